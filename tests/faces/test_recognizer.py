"""Recognisers: what the network sees is data, loading is strict, gradients flow, nothing is learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.alignment import TEMPLATE_112, align
from visard.faces.architectures.reduced import REDUCED
from visard.faces.recognizer import InputSpec, Recognizer, RecognizerRow, prototype
from visard.settings import from_toml


class Mean(nn.Module):
    """Embeds a crop as the mean of each channel, so that a test sees what the network saw."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def recognizer(spec: InputSpec) -> Recognizer:
    return Recognizer(Mean(), name="mean", family="test", spec=spec)


def colour(red: float, green: float, blue: float, size: int = 8) -> Tensor:
    """One crop of one colour, given in 0-255."""
    levels = torch.tensor([red, green, blue]) / 127.5 - 1
    return levels[None, :, None, None].expand(1, 3, size, size)


@pytest.fixture
def row(tmp_path: Path) -> RecognizerRow:
    """A saved reduced IR-SE, with the row that describes it."""
    torch.manual_seed(0)
    member = REDUCED["irse"]
    save_file(member.build().state_dict(), tmp_path / "irse.safetensors")
    file = tmp_path / "irse.safetensors"
    return RecognizerRow("irse", "surrogate", "ir_se", file, "IR-SE", InputSpec(64), member.config)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (InputSpec(8, "RGB", 127.5, 127.5), [(0 - 127.5) / 127.5, 0, (255 - 127.5) / 127.5]),
        (InputSpec(8, "BGR", 127.5, 127.5), [(255 - 127.5) / 127.5, 0, (0 - 127.5) / 127.5]),
        (InputSpec(8, "RGB", 127.5, 128), [-127.5 / 128, 0, 127.5 / 128]),
        (InputSpec(8, "BGR", 0, 255), [1, 0.5, 0]),  # MagFace: x alone, in 0..1
        (InputSpec(8, "BGR", 0, 1), [255, 127.5, 0]),
    ],
)
def test_channel_order_and_range_are_data(spec: InputSpec, expected: list[float]) -> None:
    found = recognizer(spec).features(colour(0, 127.5, 255))
    torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float32), rtol=0, atol=1e-4)


def test_a_wrong_channel_order_gives_other_but_plausible_numbers() -> None:
    crop = colour(200, 120, 90)
    right, wrong = (recognizer(InputSpec(8, order)).embed(crop) for order in ("RGB", "BGR"))
    torch.testing.assert_close(right.flip(1), wrong)
    assert not torch.allclose(right, wrong)


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="crops of shape"):
        recognizer(InputSpec(8)).embed(torch.zeros(1, 3, 9, 9))


def test_embeddings_are_unit_rows_and_features_are_not(row: RecognizerRow) -> None:
    loaded = Recognizer.load(row)
    crops = torch.rand(3, 3, 64, 64) * 2 - 1
    embedding, features = loaded.embed(crops), loaded.features(crops)
    assert embedding.shape == (3, loaded.dimension) == (3, 256)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(features / features.norm(dim=1, keepdim=True), embedding)


def test_adafaces_direction_and_length_make_its_features() -> None:
    network = REDUCED["adaface"].build().eval()
    ours = Recognizer(network, name="adaface", family="AdaFace", spec=InputSpec(64))
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    direction, length = network(crops)
    torch.testing.assert_close(ours.embed(crops), direction)
    torch.testing.assert_close(ours.features(crops).norm(dim=1, keepdim=True), length)


def test_gradient_reaches_the_picture_through_alignment_but_no_parameter(row: RecognizerRow) -> None:
    loaded = Recognizer.load(row)
    pictures = (torch.rand(2, 3, 128, 128) * 2 - 1).requires_grad_()
    points = TEMPLATE_112.expand(2, 5, 2) + 5
    loaded.embed_faces(pictures, points)[:, 0].sum().backward()
    assert pictures.grad is not None
    assert bool((pictures.grad.flatten(1).abs().sum(1) > 0).all())
    assert all(not each.requires_grad and each.grad is None for each in loaded.parameters())


def test_embed_faces_is_align_and_embed(row: RecognizerRow) -> None:
    loaded = Recognizer.load(row)
    pictures, points = torch.rand(2, 3, 128, 128) * 2 - 1, TEMPLATE_112.expand(2, 5, 2) + 5
    torch.testing.assert_close(
        loaded.embed_faces(pictures, points), loaded.embed(align(pictures, points, 64))
    )


def test_it_measures_and_never_learns(row: RecognizerRow) -> None:
    loaded = Recognizer.load(row).train()
    before = {key: value.clone() for key, value in loaded.state_dict().items()}
    crops = torch.rand(4, 3, 64, 64)
    torch.testing.assert_close(loaded.embed(crops)[:1], loaded.embed(crops[:1]), rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in loaded.state_dict().items())


def test_autocast_around_it_changes_nothing(row: RecognizerRow) -> None:
    loaded, crops = Recognizer.load(row), torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loaded.embed(crops)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, loaded.embed(crops))


def test_loading_gives_the_saved_network(row: RecognizerRow) -> None:
    torch.manual_seed(0)
    network = REDUCED["irse"].build().eval()
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    expected = nn.functional.normalize(network(crops), dim=1)
    torch.testing.assert_close(Recognizer.load(row).embed(crops), expected)


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("ir", {}),
        ("adaface", {}),
        ("mobilefacenet", {}),
        ("ir_se", {"embedding_dim": 128}),
        ("ir_se", {"units": (2, 2, 3)}),
        ("ir_se", {"input_size": 96}),
    ],
)
def test_another_architecture_than_the_files_is_refused(
    row: RecognizerRow, architecture: str, config: dict[str, object]
) -> None:
    base = {} if architecture == "mobilefacenet" else dict(row.config)
    if architecture != "ir_se":
        base.pop("reduction", None)
    with pytest.raises(ModelError, match=r"lacks|has not|has shape"):
        Recognizer.load(replace(row, architecture=architecture, config={**base, **config}))


def test_unknown_architectures_and_settings_are_refused(row: RecognizerRow) -> None:
    with pytest.raises(ModelError, match="no architecture 'resnet'"):
        Recognizer.load(replace(row, architecture="resnet"))
    with pytest.raises(ModelError, match="cannot be built"):
        Recognizer.load(replace(row, config={"depth": 3}))


def test_a_crop_size_the_network_cannot_take_is_refused(row: RecognizerRow) -> None:
    with pytest.raises(ModelError, match="cannot take crops of 96 px"):
        Recognizer.load(replace(row, input=InputSpec(96)))


def test_a_row_is_a_table_of_toml() -> None:
    text = """
        name = "adaface_ir50"
        role = "judge"
        architecture = "adaface"
        file = "judges/adaface_ir50.ckpt"
        family = "AdaFace"
        state = "state_dict"
        prefix = "model."
        input = { size = 112, channels = "BGR", mean = 127.5, scale = 127.5 }
        config = { units = [3, 4, 14, 3] }
    """
    row = from_toml(RecognizerRow, text)
    assert row.input == InputSpec(112, "BGR")
    assert row.file == Path("judges/adaface_ir50.ckpt")


def test_prototype_by_hand() -> None:
    found = prototype(torch.tensor([[3.0, 0], [0, 0.1]]))
    torch.testing.assert_close(found, torch.tensor([1.0, 1]) / 2**0.5)


def test_prototype_of_nobody_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        prototype(torch.zeros(0, 4))
