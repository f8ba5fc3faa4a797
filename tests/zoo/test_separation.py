"""Telling known people apart: the declared input must do better than the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from visard.errors import InputError
from visard.faces.alignment import TEMPLATE_112
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec, Recognizer
from visard.images import save_image
from visard.zoo.people import People, read_people
from visard.zoo.reading import alternatives
from visard.zoo.separation import separation


class FirstChannel(nn.Module):
    """Looks at its first channel alone, and well only where that runs from -1 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        level = (5 * x[:, 0].mean((1, 2))).tanh()
        return torch.stack([level, torch.ones_like(level)], 1)


def reader(spec: InputSpec) -> Recognizer:
    return Recognizer(FirstChannel(), name="first", family="test", spec=spec)


def crowd() -> People:
    """Two people whose red differs, while their blue is anybody's."""
    generator = torch.Generator().manual_seed(0)
    photos = []
    for red in (-0.5, 0.5):
        for _ in range(4):
            noise = torch.randn(3, generator=generator) * torch.tensor([0.05, 0.5, 0.5])
            photos.append((torch.tensor([red, 0.0, 0.0]) + noise)[:, None, None].expand(3, 128, 128))
    return People(photos, [TEMPLATE_112 + 8] * 8, ["a"] * 4 + ["b"] * 4, 8)


def test_the_right_input_wins() -> None:
    found = separation(reader(InputSpec(8)), crowd())
    assert (found.mated, found.others) == (12, 16)
    assert found.declared > max(found.alternatives.values()) > 0
    assert found.warning == ""


@pytest.mark.parametrize(
    ("spec", "better"),
    [(InputSpec(8, "BGR"), "RGB input"), (InputSpec(8, "RGB", 0, 1), r"input \(255 x - 127.5\) / 127.5")],
)
def test_a_wrong_input_is_warned_of_and_the_better_one_named(spec: InputSpec, better: str) -> None:
    warning = separation(reader(spec), crowd()).warning
    with pytest.raises(ValueError, match=better):
        raise ValueError(warning)


def test_a_recogniser_that_recognises_nobody_is_warned_of() -> None:
    people = crowd()
    shuffled = People(people.photos, people.landmarks, ["a", "b"] * 4, 8)
    assert separation(reader(InputSpec(8)), shuffled).warning


def test_it_needs_somebody_twice_and_somebody_else() -> None:
    people = crowd()
    for names in (["a"] * 8, list("abcdefgh")):
        with pytest.raises(InputError, match="nobody twice, or one person alone"):
            separation(reader(InputSpec(8)), People(people.photos, people.landmarks, names, 8))


def test_alternatives_are_inputs_that_differ_in_kind() -> None:
    assert [what for what, _ in alternatives(InputSpec(112, "RGB", 127.5, 128))] == [
        "BGR input",
        "input (255 x - 0) / 255",
        "input (255 x - 0) / 1",
    ]
    assert [spec.channels for _, spec in alternatives(InputSpec(112, "BGR", 0, 255))] == ["RGB", "BGR", "BGR"]


class Corners:
    """Finds a face in the corner and, as good, one in the middle; nothing in dark pictures."""

    name, setting = "corners", "none"

    def detect(self, images: Tensor) -> list[list[Face]]:
        side = images.shape[-1]
        middle = TEMPLATE_112 * side / 112
        faces = [Face(torch.zeros(4), 0.9, middle / 8), Face(torch.zeros(4), 0.8, middle)]
        return [faces if float(image.mean()) > -0.9 else [] for image in images]


def test_the_face_in_the_middle_of_each_photo_is_taken(tmp_path: Path) -> None:
    for person in ("ann", "bob"):
        for index, level in enumerate((0.5, -1.0)):
            save_image(torch.full((3, 56, 56), level), tmp_path / person / f"{index}.png")
    people = read_people(tmp_path, Corners())
    assert people.names == ["ann", "bob"]
    assert people.detected == "faces in 2 of 4 photos"
    torch.testing.assert_close(people.landmarks[0], TEMPLATE_112 / 2)


def test_folders_without_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        read_people(tmp_path / "nowhere", Corners())
    with pytest.raises(InputError, match="no photos"):
        read_people(tmp_path, Corners())
    save_image(torch.full((3, 56, 56), -1.0), tmp_path / "ann" / "dark.png")
    with pytest.raises(InputError, match="found no face"):
        read_people(tmp_path, Corners())
