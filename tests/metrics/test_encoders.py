"""CLIP, DINO and DINOv2 from their folders: what transformers itself says, and folders that are others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import CLIPModel, Dinov2Model, ViTModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from support.encoders import MEAN, SIDE, STD, write_folder, write_preprocessor
from visard.errors import ModelError
from visard.images import to_image, to_tensor
from visard.metrics.encoders import Clip, load_clip, load_encoder
from visard.metrics.preprocessing import read_preprocessing

LEVEL = 1 / 255 / min(STD)
"""One step of 8 bits in a network's input: transformers rounds to them, and here nothing is rounded."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "clip", "clip")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return load_clip(folder, "small clip")


def pictures(height: int = SIDE, width: int = SIDE, count: int = 3) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def pixels(shown: Tensor) -> Tensor:
    """What CLIP's processor makes of pictures of the network's own size."""
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    return ((shown + 1) / 2 - mean) / std


def test_clip_sees_and_reads_what_transformers_does(folder: Path, clip: Clip) -> None:
    theirs = CLIPModel.from_pretrained(folder)
    with torch.no_grad():
        seen = theirs.visual_projection(theirs.vision_model(pixel_values=pixels(pictures())).pooler_output)
        prompts = ["a photo of a person", "red hat"]
        tokens = clip.tokenizer(prompts, padding=True, return_tensors="pt")
        read = theirs.text_projection(theirs.text_model(**tokens).pooler_output)
        torch.testing.assert_close(clip.pictures(pictures()), seen)
        torch.testing.assert_close(clip.words(prompts), read)
        torch.testing.assert_close(clip.words(["red hat"]), read[1:])  # whatever stands beside it
    assert clip.name == "small clip"
    assert not torch.allclose(read[0], read[1])


def test_long_prompts_are_cut_at_what_the_text_tower_reads(clip: Clip) -> None:
    assert clip.length == 8
    whole = " ".join(["red hat"] * 3)  # with the ends, eight tokens
    assert torch.equal(clip.words([whole]), clip.words([whole + " of a person"]))
    assert not torch.equal(clip.words([whole]), clip.words(["red hat"]))


@pytest.mark.parametrize(("architecture", "kind"), [("vit", ViTModel), ("dinov2", Dinov2Model)])
def test_dino_gives_its_class_token(architecture: str, kind: Any, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / architecture, architecture)
    write_preprocessor(folder, architecture, size={"height": SIDE, "width": SIDE})
    encoder = load_encoder(folder, architecture, "small")
    options = {"add_pooling_layer": False} if architecture == "vit" else {}
    with torch.no_grad():
        theirs = kind.from_pretrained(folder, **options).eval()(pixels(pictures())).last_hidden_state
    torch.testing.assert_close(encoder(pictures()), theirs[:, 0])
    assert encoder(pictures(50, 40)).shape == (3, 16)


@pytest.mark.parametrize(("height", "width"), [(50, 80), (90, 41), (20, 33)])
def test_pictures_of_any_shape_are_prepared_as_transformers_does(
    height: int, width: int, tmp_path: Path
) -> None:
    processors = {
        "clip": CLIPImageProcessorPil(
            size={"shortest_edge": SIDE},
            crop_size={"height": SIDE, "width": SIDE},
            image_mean=MEAN,
            image_std=STD,
        ),
        "vit": ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=MEAN, image_std=STD),
    }
    image = to_image(torch.nn.functional.avg_pool2d(pictures(height, width, 1), 3, 1, 1)[0])
    for architecture, processor in processors.items():
        theirs = processor(image, return_tensors="np")["pixel_values"]
        processor.save_pretrained(tmp_path / architecture)
        ours = read_preprocessing(tmp_path / architecture, square=architecture == "vit")
        prepared = ours.prepare(to_tensor(image)[None])
        assert prepared.shape == (1, 3, SIDE, SIDE)
        assert np.abs(prepared.numpy() - theirs).max() <= 1.01 * LEVEL


def test_files_of_older_and_newer_versions_say_the_same(tmp_path: Path) -> None:
    write_preprocessor(tmp_path, "clip")
    expected = read_preprocessing(tmp_path, square=False)
    assert expected.sides == (SIDE, SIDE)
    content = json.loads((tmp_path / "preprocessor_config.json").read_text())
    write_preprocessor(tmp_path, "clip", size=SIDE, crop_size=SIDE)
    assert read_preprocessing(tmp_path, square=False) == expected
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": content}))
    assert read_preprocessing(tmp_path, square=False) == expected
    write_preprocessor(tmp_path, "vit")
    assert read_preprocessing(tmp_path, square=True).size == (SIDE, SIDE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resample": 1}, "resample = 1"),
        ({"size": {"longest_edge": 9}}, "has no height"),
        ({"do_resize": False}, "as large as they are"),
        ({"crop_size": SIDE + 1}, "a crop of"),
        ({"image_std": [0.3, 0.0, 0.3]}, "above 0"),
        ({"image_mean": None}, "asks for"),
    ],
)
def test_an_input_that_is_not_understood_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_preprocessor(tmp_path, "clip", **changes)
    with pytest.raises(ModelError, match=message):
        read_preprocessing(tmp_path, square=False)


def test_half_precision_files_are_read_in_full(folder: Path, tmp_path: Path) -> None:
    half = write_folder(tmp_path / "half", "clip")
    CLIPModel.from_pretrained(folder).half().save_pretrained(half)
    loaded = load_clip(half, "half")
    assert {each.dtype for each in loaded.parameters()} == {torch.float32}
    assert not any(each.requires_grad for each in loaded.parameters())


def test_wrong_folders_are_refused_with_the_reason(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_encoder(tmp_path, "clip", "empty")
    with pytest.raises(ModelError, match=r'of the kind "clip", not "vit"') as caught:
        load_encoder(folder, "vit", "other")
    assert 'architecture = "clip"' in caught.value.advice

    broken = write_folder(tmp_path / "broken", "clip")
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    with pytest.raises(ModelError, match="as a pickle") as caught:
        load_clip(broken, "pickled")
    assert "never loaded" in caught.value.advice
    (broken / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"lacks model\.safetensors"):
        load_clip(broken, "without weights")

    other = write_folder(tmp_path / "other", "clip")
    write_preprocessor(other, "clip", size=SIDE + 8, crop_size=SIDE + 8)
    with pytest.raises(ModelError, match="cannot see pictures of"):
        load_clip(other, "of another size")
    (other / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks preprocessor_config\.json"):
        load_clip(other, "without preprocessor")
    write_preprocessor(other, "clip")
    CLIPModel.from_pretrained(folder).vision_model.save_pretrained(tmp_path / "part")
    (other / "model.safetensors").write_bytes((tmp_path / "part" / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="missing weights"):
        load_clip(other, "a part")


def test_a_tokenizer_that_is_missing_or_another_models(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clip", "clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] -= 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="not that of the text model"):
        load_clip(folder, "other")
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"lacks tokenizer\.json"):
        load_clip(folder, "without")
    assert load_encoder(folder, "clip", "sees").name == "sees"
