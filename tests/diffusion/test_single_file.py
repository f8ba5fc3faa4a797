"""Checkpoints of one file: the same model as the folder they were written from, and what is refused."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import infer_diffusers_model_type
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from support.checkpoints import (
    clip_tensors,
    open_clip_tensors,
    unet_tensors,
    vae_tensors,
    write_checkpoint,
)
from support.tiny import Specials
from visard.diffusion import single_file
from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import BLUEPRINTS
from visard.diffusion.lora import add_lora, save_lora
from visard.diffusion.sampling import generate
from visard.diffusion.single_file import check_names, converted, predicts_noise, recognise
from visard.errors import ModelError

UNET = "model.diffusion_model."
EPSILON, V = {"modelspec.prediction_type": "epsilon"}, {"modelspec.prediction_type": "v"}


def same_weights(one: Backbone, other: Backbone) -> bool:
    return all(
        torch.equal(tensor, other.networks[part].state_dict()[name])
        for part, network in one.networks.items()
        for name, tensor in network.state_dict().items()
    )


@pytest.mark.parametrize(("base", "header"), [("v_folder", V), ("xl_folder", EPSILON)])
def test_a_file_is_the_model_it_was_written_from(base, header, request, tmp_path):
    folder = request.getfixturevalue(base)
    file = write_checkpoint(folder, tmp_path / "model.safetensors", header=header)
    ours, theirs = Backbone.load(file), Backbone.load(folder)
    assert same_weights(theirs, ours)
    assert (ours.fingerprint(), ours.is_xl, ours.resolution) == (theirs.fingerprint(), theirs.is_xl, 32)
    pictures = [generate(each, "a photo of sks person", 1, seed=0, steps=2) for each in (ours, theirs)]
    assert torch.equal(*pictures)
    assert (ours.source, ours.revision, ours.files) == (str(file), None, {"model": file})
    ours.save(tmp_path / "folder")
    assert Backbone.load(tmp_path / "folder").fingerprint() == theirs.fingerprint()


def test_open_clip_names_lose_their_last_layer_and_pad_with_token_0(epsilon_folder, tmp_path):
    file = write_checkpoint(epsilon_folder, tmp_path / "v2.safetensors", open_clip=True, header=EPSILON)
    loaded = Backbone.load(file)
    assert same_weights(Backbone.load(epsilon_folder), loaded)
    assert (loaded.tokenizer.pad_token, loaded.tokenizer.pad_token_id) == ("!", 0)


def test_precision_is_as_asked_and_the_autoencoder_whole(v_folder, tmp_path):
    file = write_checkpoint(v_folder, tmp_path / "model.safetensors", header=V)
    backbone = Backbone.load(file, dtype=torch.bfloat16)
    dtypes = (backbone.vae.dtype, backbone.unet.dtype, backbone.text_encoder.dtype)
    assert dtypes == (torch.float32, torch.bfloat16, torch.bfloat16)


@pytest.fixture(scope="module")
def checkpoint(v_folder, tmp_path_factory) -> Path:
    """A whole file without a word about what it predicts."""
    return write_checkpoint(v_folder, tmp_path_factory.mktemp("checkpoint") / "model.safetensors")


@pytest.fixture
def damaged(checkpoint, tmp_path):
    """`damaged(change)`: a copy with its tensors changed, tokenizer beside it."""

    def make(change, header=None) -> Path:
        tensors = load_file(checkpoint)
        file = tmp_path / "damaged.safetensors"
        save_file(change(tensors) or tensors, file, header or EPSILON)
        (tmp_path / "tokenizer").symlink_to(checkpoint.parent / "tokenizer")
        return file

    return make


def test_what_it_predicts_is_said_by_header_mark_or_neighbour(damaged, monkeypatch):
    def never(_):
        raise AssertionError("no look is needed")

    monkeypatch.setattr(single_file, "predicts_noise", never)
    monkeypatch.setattr(single_file, "V_SAMPLE_SIZE", {"tiny": 6})
    file = damaged(lambda _: None, V)
    found = Backbone.load(file)
    assert (found.schedule.prediction_type, found.resolution) == ("v_prediction", 48)
    marked = load_file(file) | {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    save_file(marked, file)
    found = Backbone.load(file)
    assert found.schedule.prediction_type == "v_prediction"
    assert found.schedule.alphas_cumprod[-1] == 0
    del marked["v_pred"], marked["ztsnr"]
    save_file(marked, file)
    yaml = file.with_suffix(".yaml")
    for text, prediction in (('  parameterization: "v"\n', "v_prediction"), ("model:\n", "epsilon")):
        yaml.write_text(text)
        assert Backbone.load(file).schedule.prediction_type == prediction


@pytest.mark.parametrize("noise", [True, False])
def test_a_look_at_pure_noise_tells_epsilon_from_v(noise):
    """A UNet taught either target at the last timestep."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**BLUEPRINTS["tiny"].unet)
    optimizer = torch.optim.Adam(unet.parameters(), 1e-2)
    abar = 0.0047
    text = torch.zeros(2, 4, 16)
    for _ in range(60):
        x, z0 = torch.randn(2, 4, 16, 16), torch.randn(2, 4, 1, 1).expand(2, 4, 16, 16)
        target = x if noise else abar**0.5 * x - (1 - abar) ** 0.5 * z0
        loss = (unet(x, 999, encoder_hidden_states=text).sample - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert predicts_noise(unet) is noise


def test_a_file_that_says_nothing_is_looked_at(checkpoint, monkeypatch):
    for answer, prediction in ((True, "epsilon"), (False, "v_prediction")):
        monkeypatch.setattr(single_file, "predicts_noise", lambda _, answer=answer: answer)
        assert Backbone.load(checkpoint).schedule.prediction_type == prediction


@pytest.mark.parametrize(("name", "family"), [("sd15", "v1"), ("sd21", "v2"), ("sdxl", "xl_base")])
def test_full_size_files_are_known_and_every_tensor_finds_its_place(name, family):
    """On names and shapes alone; diffusers, too, takes what we write for that family."""
    blueprint = BLUEPRINTS[name]
    with init_empty_weights():
        networks = {part: blueprint.build(part, Specials()) for part in blueprint.parts}
    states = {part: network.state_dict() for part, network in networks.items()}
    tensors = unet_tensors(networks["unet"], states["unet"]) | vae_tensors(states["vae"])
    if name == "sdxl":
        tensors |= clip_tensors(states["text_encoder"], "conditioner.embedders.0.transformer.")
        tensors |= open_clip_tensors(states["text_encoder_2"], "conditioner.embedders.1.model.")
    elif name == "sd21":
        tensors |= open_clip_tensors(states["text_encoder"], "cond_stage_model.model.", extra_layer=True)
    else:
        tensors |= clip_tensors(states["text_encoder"], "cond_stage_model.transformer.")
    assert infer_diffusers_model_type(tensors) == family
    anatomy = recognise({key: tuple(each.shape) for key, each in tensors.items()}, Path("model"))
    assert anatomy.name == name
    for part, network in networks.items():
        prefix = {"unet": UNET, "vae": "first_stage_model."}.get(part) or anatomy.homes[part]
        own = {key: each for key, each in tensors.items() if key.startswith(prefix)}
        check_names(Path("model"), part, network, converted(network, part, prefix, own))


def with_channels(count):
    def change(tensors):
        name = f"{UNET}input_blocks.0.0.weight"
        tensors[name] = torch.zeros(tensors[name].shape[0], count, 3, 3)

    return change


def without(prefix):
    return lambda tensors: {name: each for name, each in tensors.items() if not name.startswith(prefix)}


def replace(name, tensor):
    return lambda tensors: tensors | {name: tensor}


def not_a_number(tensors):
    tensors[f"{UNET}out.2.bias"][1] = torch.nan


REFUSED = {
    "inpainting": (with_channels(9), r"a model for inpainting \(9 input channels\)"),
    "editing": (with_channels(8), "a model for editing"),
    "depth": (with_channels(5), "a model for depth-to-image"),
    "a LoRA": (
        lambda _: {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(1)},
        "is a LoRA",
    ),
    "Flux": (lambda _: {"double_blocks.0.img_attn.qkv.weight": torch.zeros(1)}, "is a flow-matching model"),
    "a ControlNet": (lambda _: {"control_model.input_hint_block.0.weight": torch.zeros(1)}, "ControlNet"),
    "a part": (lambda _: {"down_blocks.0.resnets.0.conv1.weight": torch.zeros(1)}, "give the whole folder"),
    "Playground": (replace("edm_mean", torch.zeros(1)), "Playground"),
    "something else": (lambda _: {"layers.0.weight": torch.zeros(1)}, "not known here"),
    "another width": (
        replace(f"{UNET}input_blocks.0.0.weight", torch.zeros(24, 4, 3, 3)),
        "an architecture that is not known",
    ),
    "no autoencoder": (without("first_stage_model."), "lacks its autoencoder"),
    "no text encoder": (without("cond_stage_model."), "lacks its text encoder"),
    "pruned": (without(f"{UNET}middle_block.1."), r"missing weights in its unet, such as mid_block\.att"),
    "too much": (
        replace(f"{UNET}middle_block.1.transformer_blocks.1.norm1.bias", torch.zeros(16)),
        "1 unknown weights in its unet",
    ),
    "wrong shape": (replace(f"{UNET}out.2.weight", torch.zeros(3, 8, 3, 3)), "1 mismatched weights"),
    "NaN": (not_a_number, r"\(unet\) has NaN or infinite weights in 1 tensors, such as conv_out.bias"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_says_what_it_is(damaged, name):
    change, message = REFUSED[name]
    with pytest.raises(ModelError, match=message) as caught:
        Backbone.load(damaged(change))
    assert caught.value.exit_code == 3
    assert caught.value.advice


def test_the_refiner_is_refused_by_name(xl_folder, tmp_path):
    file = write_checkpoint(xl_folder, tmp_path / "model.safetensors")
    tensors = {
        name.replace("embedders.1.", "embedders.0."): each
        for name, each in load_file(file).items()
        if "embedders.0." not in name and "attn2" not in name
    }
    save_file(tensors, file)
    with pytest.raises(ModelError, match="SDXL's refiner"):
        Backbone.load(file)


def test_a_lora_file_is_told_apart(v_folder, checkpoint, tmp_path):
    backbone = Backbone.load(v_folder)
    add_lora(backbone, rank=2)
    for file in save_lora(backbone, tmp_path / "lora.safetensors"):
        assert single_file.holds_lora(file)
        with pytest.raises(ModelError, match="is a LoRA"):
            Backbone.load(file)
    assert not single_file.holds_lora(checkpoint)


def test_a_file_cut_short_is_said(checkpoint, tmp_path):
    file = tmp_path / "cut.safetensors"
    file.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        Backbone.load(file)
    file.write_bytes(b"")
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        Backbone.load(file)


class Trap:
    """A pickle that runs a program when it is opened."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_and_its_code_never_runs(tmp_path, name, zipped):
    file, mark = tmp_path / name, tmp_path / "it ran"
    if zipped:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Trap(mark)))
    else:
        file.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ModelError, match="is a pickle, which can run any program"):
        Backbone.load(file)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap(mark)))
    assert mark.exists()  # the trap works


def test_without_a_tokenizer_it_says_what_to_get_and_where_to_put_it(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "model.safetensors"
    file.symlink_to(checkpoint)
    with pytest.raises(ModelError, match="needs CLIP's tokenizer") as caught:
        Backbone.load(file)
    assert (
        f"hf download openai/clip-vit-large-patch14 vocab.json merges.txt --local-dir {tmp_path}/tokenizer"
        in str(caught.value)
    )
