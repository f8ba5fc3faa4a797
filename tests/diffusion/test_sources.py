"""What a user may call a model, and what is said when it is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from visard.diffusion import sources
from visard.diffusion.backbone import Backbone
from visard.diffusion.sources import ALIASES, resolve
from visard.errors import ModelError

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path, v_folder):
    """A copy to damage."""
    return Path(shutil.copytree(v_folder, tmp_path / "model"))


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def weights(change):
    """A damage done to the UNet's tensors."""

    def damage(folder: Path) -> None:
        tensors = load_file(folder / UNET)
        change(tensors)
        save_file(tensors, folder / UNET)

    return damage


DAMAGES = {
    "no index": (lambda f: (f / "model_index.json").unlink(), "not a diffusers model folder"),
    "broken index": (lambda f: (f / "model_index.json").write_text("{"), "model_index.json cannot be read"),
    "another kind": (
        lambda f: edit(f / "model_index.json", _class_name="StableDiffusionInpaintPipeline"),
        "holds a StableDiffusionInpaintPipeline",
    ),
    "parts missing": (
        lambda f: [shutil.rmtree(f / "vae"), shutil.rmtree(f / "tokenizer")],
        "missing: vae/config.json, vae/diffusion_pytorch_model.safetensors, tokenizer/vocab.json",
    ),
    "pickle": (
        lambda f: (f / UNET).rename((f / UNET).with_suffix(".bin")),
        r"pickle files where safetensors are needed: unet/diffusion_pytorch_model.safetensors",
    ),
    "cut short": (
        lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:-100]),
        "unet cannot be loaded",
    ),
    "tensor missing": (
        weights(lambda tensors: tensors.pop("conv_in.weight")),
        "1 missing weights, such as conv_in.weight",
    ),
    "tensor of another size": (
        weights(lambda tensors: tensors.update({"conv_in.weight": torch.zeros(8, 9, 3, 3)})),
        "unet cannot be loaded",
    ),
    "NaN": (
        weights(lambda tensors: tensors["conv_in.weight"].view(-1)[3].fill_(torch.nan)),
        "NaN or infinite weights in 1 tensors, such as conv_in.weight",
    ),
    "another prediction": (
        lambda f: edit(f / "scheduler" / "scheduler_config.json", prediction_type="sample"),
        "predicts 'sample'",
    ),
    "broken tokenizer": (
        lambda f: (f / "tokenizer" / "tokenizer.json").write_text("{}"),
        "tokenizer cannot be loaded",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_folders_say_what_is_wrong(model, name):
    damage, message = DAMAGES[name]
    damage(model)
    with pytest.raises(ModelError, match=message) as caught:
        Backbone.load(model)
    assert caught.value.exit_code == 3
    assert caught.value.advice


def test_a_missing_shard_is_named(model):
    tensors = load_file(model / UNET)
    (model / UNET).unlink()
    save_file(tensors, model / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors")
    shards = dict.fromkeys(tensors, "diffusion_pytorch_model-00001-of-00002.safetensors")
    shards["conv_out.weight"] = "diffusion_pytorch_model-00002-of-00002.safetensors"
    index = model / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    with pytest.raises(
        ModelError, match=r"missing: unet/diffusion_pytorch_model-00002-of-00002\.safetensors"
    ):
        resolve(model)


def test_a_text_encoder_of_another_model_does_not_fit(model):
    wide = Path(model) / "text_encoder"
    edit(wide / "config.json", vocab_size=100)
    tensors = load_file(wide / "model.safetensors")
    name = "text_model.embeddings.token_embedding.weight"
    tensors[name] = tensors[name][:100].clone()
    save_file(tensors, wide / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"tokenizer has \d+ tokens, the text encoder knows 100"):
        Backbone.load(model)


def test_text_encoders_without_the_old_level_load_the_same(model, v_folder):
    file = model / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    assert all(name.startswith("text_model.") for name in tensors)
    bare = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    save_file(bare, file, {"format": "pt"})
    assert torch.equal(
        Backbone.load(model).embed_text(["a photo"]).text,
        Backbone.load(v_folder).embed_text(["a photo"]).text,
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "no model folder nowhere"),
        ("/nowhere/at/all", "no model folder /nowhere/at/all"),
        ("sd21", "not in this machine's model cache"),
        ("someone/something", "not in this machine's model cache"),
    ],
)
def test_unknown_names_offline(source, message, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=message):
        resolve(source)


@pytest.mark.parametrize(
    ("alias", "wanted", "unwanted"),
    [
        ("sd21-v", "'text_encoder/*.json'", "text_encoder_2"),
        ("sdxl", "text_encoder_2/model.safetensors", "?"),
    ],
)
def test_a_missing_model_says_what_to_download(alias, wanted, unwanted, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=str(tmp_path)) as caught:
        resolve(alias)
    assert f"hf download {ALIASES[alias][0]} --include model_index.json" in caught.value.advice
    assert wanted in caught.value.advice
    assert unwanted not in caught.value.advice


def cached(cache: Path, repository: str, model: Path) -> Path:
    """Put a model where the hub's client keeps downloads."""
    home = cache / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(model, home / "snapshots" / COMMIT))


def test_a_later_mirror_in_the_cache_comes_before_the_network(v_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    mirror = ALIASES["sd21"][1]
    snapshot = cached(tmp_path, mirror, v_folder)
    found = resolve("sd21")
    assert (found.path, found.name, found.revision) == (snapshot, mirror, COMMIT)
    assert Backbone.load("sd21").revision == COMMIT


def test_a_half_cached_model_does_not_count(v_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = cached(tmp_path, ALIASES["sd15"][0], v_folder)
    shutil.rmtree(snapshot / "unet")
    with pytest.raises(ModelError, match="not in this machine's model cache"):
        resolve("sd15")


def test_mirrors_are_tried_in_order_and_every_refusal_is_told(v_folder, tmp_path, monkeypatch):
    asked: list[str] = []
    answers = {ALIASES["sd21"][1]: cached(tmp_path, "a/b", v_folder)}

    def hub(repository: str, local_files_only: bool = False, **_: object) -> str:
        if local_files_only:
            raise sources.LocalEntryNotFoundError("not cached")
        asked.append(repository)
        if repository not in answers:
            raise OSError(f"404 for {repository}")
        return str(answers[repository])

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sources, "snapshot_download", hub)
    assert resolve("sd21").name == ALIASES["sd21"][1]
    assert asked == list(ALIASES["sd21"][:2])
    answers.clear()
    with pytest.raises(ModelError, match=r"404 for .*2-1-base.*404 for"):
        resolve("sd21")


def test_a_run_that_is_not_there_is_not_asked_for_at_the_hub(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("visard.diffusion.sources.snapshot_download", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(ModelError, match="no model folder runs/alice"):
        resolve("runs/alice")
