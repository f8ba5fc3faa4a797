"""Arms that are not settings: what they do to pictures, and what they say of a person."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from support.kits import face_in_the_middle
from visard.benchmark.arms import Arm, arm, covered_pictures
from visard.benchmark.attributes_only import describe, read_attributes
from visard.benchmark.methods import find_method
from visard.benchmark.posthoc import cover_faces
from visard.benchmark.protocol import arm_settings
from visard.errors import InputError
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec
from visard.faces.regressor import FaceRegressor, Head


class Middle:
    """Finds a face in the middle of every picture that is not black."""

    name, setting = "middle", "not black"

    def detect(self, images: Tensor) -> list[list[Face]]:
        faces = face_in_the_middle(None, images)
        return [found if image.max() > -1 else [] for found, image in zip(faces, images, strict=True)]


class Says(torch.nn.Module):
    """Raw outputs that do not depend on the picture."""

    def __init__(self, raw: dict[str, list[float]]) -> None:
        super().__init__()
        self.raw = raw

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        return {name: torch.tensor([values] * len(crops)) for name, values in self.raw.items()}


def noise(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", Arm("none", "trained", {"defence": "none"})),
        ("0.1", Arm("0.1", "trained", arm_settings("0.1"))),
        ("early-150", Arm("early-150", "trained", {"defence": "none", "fine_tuning": {"steps": 150}})),
        ("attributes", Arm("attributes", "prompted")),
        ("pixelate-8", Arm("pixelate-8", "covered", of="none", method="pixelate", strength=8)),
        ("blur-2.5", Arm("blur-2.5", "covered", of="none", method="blur", strength=2.5)),
        ("strength-0.50", Arm("strength-0.5", "weakened", of="none", strength=0.5)),
        ("strangers", Arm("strangers", "exchanged", of="none")),
        ("strangers-0.3", Arm("strangers-0.3", "exchanged", of="0.3")),
        ("strangers-simac+clean", Arm("strangers-simac+clean", "exchanged", of="simac+clean")),
        ("strangers-aspl", Arm("strangers-anti-dreambooth", "exchanged", of="anti-dreambooth")),
        ("strangers-0.1@7.50", Arm("strangers-0.1@7.5", "exchanged", of="0.1@7.5")),
    ],
)
def test_a_name_is_a_row(name: str, expected: Arm) -> None:
    assert find_method(name).arm == expected


@pytest.mark.parametrize("name", ["early-10", "eta-0.05", "joint"])
def test_a_variant_is_the_same_row_wherever_it_is_read(name: str) -> None:
    assert arm(name) == find_method(name).arm


@pytest.mark.parametrize(
    "name", ["nobody", "early-", "early-x", "blur-0x", "pixelate--3", "strangers-nobody", ""]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="There is no arm"):
        find_method(name)


def test_only_the_face_is_covered() -> None:
    given = noise()
    for method, strength in (("pixelate", 4), ("blur", 10)):
        covered = cover_faces(given, Middle(), method, strength)
        assert torch.equal(covered[:, :, :, :4], given[:, :, :, :4])  # left of the face and its margin
        assert covered[:, :, 10:30, 12:28].var() < 0.5 * given[:, :, 10:30, 12:28].var()
    black = -torch.ones(1, 3, 40, 40)
    assert torch.equal(cover_faces(black, Middle(), "blur", 10), black)
    with pytest.raises(InputError, match="no way to cover"):
        cover_faces(given, Middle(), "smear", 1)


def test_fewer_cells_and_wider_blur_show_less() -> None:
    given = noise()

    def left(method: str, strength: float) -> float:
        return float(cover_faces(given, Middle(), method, strength)[:, :, 10:30, 12:28].var())

    assert left("pixelate", 2) < left("pixelate", 6) < left("pixelate", 20)
    assert left("blur", 20) < left("blur", 8) < left("blur", 3)
    row = arm("pixelate-6")
    by_prompt = covered_pictures(row, {"a prompt": given}, Middle())
    assert torch.equal(by_prompt["a prompt"], cover_faces(given, Middle(), "pixelate", 6))


def test_a_person_is_described_in_the_words_of_the_model() -> None:
    reading = {
        "hair_color": {"black": 0.2, "brown": 0.8},
        "hair_style": {"bald": 0.1, "short": 0.7, "bun": 0.2},
        "beard": {"none": 0.1, "mustache": 0.9},
        "accessories": {"glasses": 0.9, "hat": 0.2},
        "age": {"age": 70.0},
        "skin_tone": {"skin_tone": 0.5},
        "presentation": {"presentation": 0.8},
    }
    assert describe(reading) == (
        "a photo of a tan skin elderly man, with short brown hair, with a mustache, with glasses"
    )
    bald = {"hair_style": {"bald": 1.0}, "hair_color": {"gray": 1.0}, "accessories": {"hat": 0.6}}
    assert describe(bald) == "a photo of a person, bald, wearing a hat"
    assert describe({"age": {"age": 70.0}}) == "a photo of an elderly person"
    assert describe({}) == "a photo of a person"


def test_every_word_of_a_description_is_known_to_the_micro_model() -> None:
    from visard.benchmark.attributes_only import AGES, GENDERS, HAIRDOS, SKINS
    from visard.world.captions import VOCABULARY
    from visard.world.people import BEARDS, HAIR_COLORS, HAIR_STYLES

    words = [*AGES[1], *GENDERS[1], *SKINS[1], *HAIRDOS.values(), *HAIR_COLORS, *BEARDS]
    assert set(words) - {"none"} <= set(VOCABULARY)
    assert set(HAIRDOS) | {"bald"} == set(HAIR_STYLES)


def test_attributes_are_read_from_the_photos_that_show_a_face() -> None:
    heads = (
        Head("beard", "categorical", ("none", "beard")),
        Head("age", "continuous", ("age",), (40.0,), (10.0,)),
    )
    regressor = FaceRegressor(
        Says({"beard": [0.0, 1.0], "age": [2.0]}), name="says", spec=InputSpec(8), heads=heads
    )
    photos = torch.cat([noise(2), -torch.ones(1, 3, 40, 40)])
    reading = read_attributes(photos, Middle(), [regressor])
    assert reading["age"] == {"age": pytest.approx(60.0)}
    assert reading["beard"]["beard"] == pytest.approx(0.7311, abs=1e-4)
    with pytest.raises(InputError, match="No photo shows a face"):
        read_attributes(photos[2:], Middle(), [regressor])
