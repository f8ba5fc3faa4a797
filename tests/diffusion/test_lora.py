from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from support.tiny import tiny_pipeline
from visard.diffusion.backbone import Backbone
from visard.diffusion.lora import add_lora, attached_lora, load_lora, merge_lora, save_lora
from visard.diffusion.sampling import generate
from visard.errors import ModelError

ALLOWED = {"format"} | {
    f"modelspec.{name}"
    for name in ("sai_model_spec", "architecture", "implementation", "title", "trigger_phrase", "hash_sha256")
}


def prediction(backbone: Backbone) -> Tensor:
    """What a LoRA can change: text encoder and UNet together."""
    zt = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return backbone.predict(zt, torch.tensor([100, 700]), backbone.embed_text(["a photo", "sks person"]))


def train(backbone: Backbone) -> None:
    """Give the up factors values, as training would."""
    generator = torch.Generator().manual_seed(1)
    for network in backbone.adaptable.values():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                with torch.no_grad():
                    parameter.normal_(std=0.3, generator=generator)


@pytest.fixture(params=["v_folder", "xl_folder"])
def folder(request) -> Path:
    """The base model: Stable Diffusion, and SDXL."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def trained(folder) -> Backbone:
    return with_lora(folder)


def with_lora(folder: Path) -> Backbone:
    backbone = Backbone.load(folder)
    add_lora(backbone, rank=3, text_encoder=True)
    train(backbone)
    return backbone


@pytest.fixture
def files(trained, tmp_path) -> dict[str, Path]:
    peft, kohya = save_lora(trained, tmp_path / "lora.safetensors", title="A title", trigger="sks person")
    return {"peft": peft, "kohya": kohya}


@pytest.fixture
def fresh(folder) -> Backbone:
    return Backbone.load(folder)


def test_a_new_lora_changes_nothing_and_is_all_that_trains(tiny):
    before = prediction(tiny)
    add_lora(tiny, rank=2)
    torch.testing.assert_close(prediction(tiny), before)
    trainable = [
        name for net in tiny.networks.values() for name, p in net.named_parameters() if p.requires_grad
    ]
    assert trainable
    assert all("lora_" in name for name in trainable)
    assert {name.split(".lora_")[0].split("attn")[1][2:] for name in trainable} == {
        "to_q",
        "to_k",
        "to_v",
        "to_out.0",
    }
    assert not any("lora_" in name for name, _ in tiny.text_encoder.named_parameters())


def test_lora_weights_are_float32_on_a_half_precision_model(v_folder):
    backbone = Backbone.load(v_folder, dtype=torch.bfloat16)
    add_lora(backbone, rank=2, text_encoder=True)
    trained = [p for net in backbone.networks.values() for p in net.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}
    prediction(backbone)


def test_initial_weights_follow_the_generator_and_no_global_state(v_folder):
    def factors(seed: int, noise: int) -> dict[str, Tensor]:
        torch.manual_seed(noise)
        backbone = Backbone.load(v_folder)
        add_lora(backbone, rank=2, text_encoder=True, generator=torch.Generator().manual_seed(seed))
        return {name: f.down for name, f in attached_lora(backbone).items()}

    first, again, other = factors(0, 0), factors(0, 1), factors(1, 0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", ["peft", "kohya"])
def test_round_trip_key_by_key_and_picture_by_picture(trained, fresh, files, kind):
    plain = prediction(fresh)
    load_lora(fresh, files[kind])
    before, after = attached_lora(trained), attached_lora(fresh)
    assert before.keys() == after.keys()
    assert any(name.startswith("text_encoder.") for name in before)
    for name in before:
        assert torch.equal(before[name].down, after[name].down)
        assert torch.equal(before[name].up, after[name].up)
    assert torch.equal(prediction(fresh), prediction(trained))
    assert (prediction(fresh) - plain).abs().max() > 0.01
    assert not any(p.requires_grad for net in fresh.networks.values() for p in net.parameters())


@pytest.mark.parametrize("kind", ["peft", "kohya"])
def test_diffusers_itself_reads_both_files(trained, fresh, files, kind):
    fresh.pipeline().load_lora_weights(str(files[kind]))
    torch.testing.assert_close(prediction(fresh), prediction(trained))
    ours, theirs = (generate(model, "sks person", 1, seed=0, steps=2) for model in (trained, fresh))
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("settings", [{"lora_alpha": 1.5}, {"lora_alpha": 1.5, "use_rslora": True}])
def test_alpha_in_a_diffusers_header_is_honoured(fresh, folder, tmp_path, settings):
    theirs = Backbone.load(folder)
    theirs.unet.add_adapter(LoraConfig(r=3, target_modules=["to_q", "to_out.0"], **settings))
    train(theirs)
    theirs.pipeline().save_lora_weights(
        tmp_path,
        unet_lora_layers=get_peft_model_state_dict(theirs.unet),
        unet_lora_adapter_metadata=theirs.unet.peft_config["default"].to_dict(),
    )
    load_lora(fresh, tmp_path / "pytorch_lora_weights.safetensors")
    torch.testing.assert_close(prediction(fresh), prediction(theirs))


DOWN = "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0"
LAYER = "text_model_encoder_layers_0_self_attn_q_proj"
KOHYA_NAMES = {
    "v_folder": (f"lora_unet_{DOWN}", f"lora_te_{LAYER}"),
    "xl_folder": (  # as kohya's trainer names them: the UNet's blocks by LDM's names, two text encoders
        "lora_unet_input_blocks_3_1_transformer_blocks_1_attn1_to_out_0",
        "lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k",
        "lora_unet_output_blocks_1_1_transformer_blocks_0_attn1_to_q",
        f"lora_te1_{LAYER}",
        f"lora_te2_{LAYER}",
    ),
}


@pytest.mark.parametrize("base", KOHYA_NAMES)
def test_names_are_those_other_programs_know(base, request, tmp_path):
    model = with_lora(request.getfixturevalue(base))
    peft, kohya = (load_file(file) for file in save_lora(model, tmp_path / "lora.safetensors"))
    unet = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"
    encoders = ["text_encoder", "text_encoder_2"][: len(model.text_encoders)]
    text = [f"{part}.text_model.encoder.layers.0.self_attn.q_proj" for part in encoders]
    for name in (unet, *text):
        assert {f"{name}.lora_A.weight", f"{name}.lora_B.weight"} <= peft.keys()
    for name in KOHYA_NAMES[base]:
        assert {f"{name}.lora_down.weight", f"{name}.lora_up.weight", f"{name}.alpha"} <= kohya.keys()
        assert kohya[f"{name}.alpha"].item() == 3
    assert len(kohya) == len(peft) * 3 // 2


def test_pictures_survive_the_way_through_either_file(trained, fresh, files, folder):
    """diffusers -> kohya -> diffusers, to the last bit."""
    load_lora(fresh, files["kohya"])
    again, _ = save_lora(fresh, files["kohya"].with_name("again.safetensors"))
    first, second = load_file(files["peft"]), load_file(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    back = Backbone.load(folder)
    load_lora(back, again)
    assert torch.equal(*(generate(model, "sks person", 1, seed=0, steps=2) for model in (trained, back)))


OTHER_SPELLINGS = {
    "without text_model": ("peft", lambda name: name.replace("text_model.", "")),
    "diffusers' training scripts": (
        "peft",
        lambda name: name.replace("lora_A", "lora.down").replace("lora_B", "lora.up"),
    ),
    "lora_linear_layer": (
        "peft",
        lambda name: name.replace("lora_A", "lora_linear_layer.down").replace(
            "lora_B", "lora_linear_layer.up"
        ),
    ),
    "the other family's name of the text encoder": (
        "kohya",
        lambda name: re.sub("lora_te(1?)_", lambda te: "lora_te_" if te[1] else "lora_te1_", name),
    ),
}


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_other_spellings_load_the_same(trained, fresh, files, tmp_path, spelling):
    kind, rename = OTHER_SPELLINGS[spelling]
    renamed = {rename(name): tensor for name, tensor in load_file(files[kind]).items()}
    assert renamed.keys() != load_file(files[kind]).keys()
    save_file(renamed, tmp_path / "renamed.safetensors")
    load_lora(fresh, tmp_path / "renamed.safetensors")
    assert torch.equal(prediction(fresh), prediction(trained))


def test_sdxl_files_with_diffusers_names_of_the_blocks_load_the_same(xl_folder, tmp_path):
    """As diffusers' convert_state_dict_to_kohya writes them."""
    trained, fresh = with_lora(xl_folder), Backbone.load(xl_folder)
    _, file = save_lora(trained, tmp_path / "lora.safetensors")
    blocks = {
        "input_blocks_3_1": "down_blocks_1_attentions_0",
        "middle_block_1": "mid_block_attentions_0",
        "output_blocks_0_1": "up_blocks_0_attentions_0",
        "output_blocks_1_1": "up_blocks_0_attentions_1",
    }
    tensors = load_file(file)
    for ldm, ours in blocks.items():
        tensors = {name.replace(ldm, ours): tensor for name, tensor in tensors.items()}
    assert not any("put_blocks" in name for name in tensors)
    save_file(tensors, tmp_path / "renamed.safetensors")
    load_lora(fresh, tmp_path / "renamed.safetensors")
    assert torch.equal(prediction(fresh), prediction(trained))


def test_alpha_other_than_rank_is_honoured_and_then_baked_in(trained, fresh, files, tmp_path, folder):
    tensors = load_file(files["kohya"])
    halved = {name: tensor / 2 if name.endswith(".alpha") else tensor for name, tensor in tensors.items()}
    save_file(halved, tmp_path / "alpha.safetensors")
    load_lora(fresh, tmp_path / "alpha.safetensors", scale=2.0)
    torch.testing.assert_close(prediction(fresh), prediction(trained))
    peft, _ = save_lora(fresh, tmp_path / "again.safetensors")
    other = Backbone.load(folder)
    load_lora(other, peft)
    torch.testing.assert_close(prediction(other), prediction(trained))


def test_several_loras_add_up(trained, fresh, files, tmp_path, folder):
    load_lora(fresh, files["peft"], scale=0.25)
    load_lora(fresh, files["kohya"], scale=0.75)
    torch.testing.assert_close(prediction(fresh), prediction(trained), rtol=1e-4, atol=1e-5)
    joined, _ = save_lora(fresh, tmp_path / "joined.safetensors")
    other = Backbone.load(folder)
    load_lora(other, joined)
    torch.testing.assert_close(prediction(other), prediction(trained), rtol=1e-4, atol=1e-5)


def test_merged_models_are_ordinary_models(trained, tmp_path):
    with_lora = prediction(trained)
    merge_lora(trained)
    assert attached_lora(trained) == {}
    torch.testing.assert_close(prediction(trained), with_lora, rtol=1e-4, atol=1e-5)
    trained.save(tmp_path / "merged")
    merged = Backbone.load(tmp_path / "merged")
    assert all("lora" not in name for name in merged.unet.state_dict())
    torch.testing.assert_close(prediction(merged), with_lora, rtol=1e-4, atol=1e-5)


def test_headers_hold_the_allow_list_and_nothing_of_the_disk(trained, tmp_path):
    folder = tmp_path / "Erika Mustermann"
    for file in save_lora(trained, folder / "erika.safetensors", title="A title", trigger="sks person"):
        with safe_open(file, "pt") as opened:
            header = opened.metadata()
        assert header.keys() == ALLOWED
        assert (header["modelspec.title"], header["modelspec.trigger_phrase"]) == ("A title", "sks person")
        content = file.read_bytes().lower()
        assert b"mustermann" not in content
        assert b"erika" not in content
        assert str(tmp_path).lower().encode() not in content


@pytest.fixture(scope="module")
def whole(v_folder, tmp_path_factory) -> Path:
    """A kohya file to damage."""
    return save_lora(with_lora(v_folder), tmp_path_factory.mktemp("whole") / "lora.safetensors")[1]


def stranger(tensors: dict[str, Tensor]) -> None:
    tensors["lora_unet_mid_block_attentions_0_proj_in.hada_w1_a"] = torch.zeros(3, 3)


def of_sdxl(tensors: dict[str, Tensor]) -> None:
    tensors["lora_te2_text_model_encoder_layers_0_self_attn_q_proj.alpha"] = torch.tensor(1.0)


def narrower(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if name.endswith("attn1_to_q.lora_down.weight"))
    tensors[name] = tensors[name][:, :-1].clone()


def unknown_module(tensors: dict[str, Tensor]) -> None:
    for kind in ("lora_down.weight", "lora_up.weight"):
        tensors[f"lora_unet_mid_block_nowhere.{kind}"] = torch.zeros(3, 3)


def not_a_number(tensors: dict[str, Tensor]) -> None:
    next(tensor for name, tensor in tensors.items() if "lora_up" in name).fill_(torch.nan)


def half(tensors: dict[str, Tensor]) -> None:
    tensors.pop(next(name for name in tensors if "lora_up" in name))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (stranger, "not a LoRA for Stable Diffusion 1.x, 2.x or SDXL"),
        (of_sdxl, "is a LoRA for SDXL, and this model is not"),
        (narrower, "1 of its 40 layers do not fit"),
        (unknown_module, "such as unet_mid_block_nowhere"),
        (not_a_number, "NaN or infinite"),
        (half, "only half of the LoRA"),
        (dict.clear, "holds no LoRA"),
    ],
)
def test_files_that_cannot_be_loaded_say_why(whole, tiny, tmp_path, damage, message):
    tensors = load_file(whole)
    damage(tensors)
    save_file(tensors, tmp_path / "damaged.safetensors")
    with pytest.raises(ModelError, match=message):
        load_lora(tiny, tmp_path / "damaged.safetensors")
    assert attached_lora(tiny) == {}


def test_a_lora_for_sdxl_and_one_for_sd_do_not_fit_each_other(v_folder, xl_folder, tmp_path):
    for mine, other, message in ((v_folder, xl_folder, "another model"), (xl_folder, v_folder, "for SDXL")):
        for file in save_lora(with_lora(mine), tmp_path / "lora.safetensors"):
            with pytest.raises(ModelError, match=message):
                load_lora(Backbone.load(other), file)


def test_saving_without_a_lora_is_refused(fresh, tmp_path):
    with pytest.raises(ModelError, match="no LoRA"):
        save_lora(fresh, tmp_path / "lora.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_another_models_weights_do_not_matter_for_loading(v_folder, tmp_path):
    peft, _ = save_lora(with_lora(v_folder), tmp_path / "lora.safetensors")
    other = Backbone.load(tiny_pipeline(tmp_path / "other", seed=7))
    load_lora(other, peft)
    assert attached_lora(other)
