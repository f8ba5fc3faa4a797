"""Eyes for pictures: people are colours, so that what is seen can be computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from support.colours import BLACK, GREEN, RED, SeesColour, colours
from support.toys import ToyHead
from visard.attacks import PUBLISHED, AttackSettings, Knowledge, Known, Lenses, attack
from visard.attacks.eyes import CONTEXT, DESCRIPTION, WHOLE, Lesson
from visard.attacks.tuning import fine_tune
from visard.attacks.views import AS_IT_IS, VIEWS
from visard.faces.recognizer import InputSpec, Recognizer


class Colour(nn.Module):
    """A linear look at a face's colour."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.look.weight.copy_(torch.eye(3))

    def forward(self, crops: Tensor) -> Tensor:
        seen: Tensor = self.look(crops.mean((2, 3)) + 1)
        return seen


class Corners(nn.Module):
    """The colour of the border, and of the middle."""

    def forward(self, pictures: Tensor) -> Tensor:
        middle = pictures[:, :, 12:20, 12:20].mean((2, 3))
        return torch.cat([pictures[:, :, :2].mean((2, 3)), middle], 1) + 0.01


def lenses(judge: Recognizer | None = None) -> Lenses:
    chosen = judge or Recognizer(Colour(), name="colour", family="", spec=InputSpec(8))
    return Lenses(SeesColour(), [chosen], Corners(), VIEWS)


def test_where_no_face_is_found_recognisers_see_nothing() -> None:
    seen = lenses().look(colours(RED, BLACK, GREEN), AS_IT_IS, ["colour", WHOLE, CONTEXT])
    assert torch.allclose(seen["colour"].rows, torch.tensor([RED, BLACK, GREEN]), atol=1e-5)
    length = seen["colour"].quality  # of a colour in [0, 2]; a little of a crop lies beyond the picture
    assert length.tolist() == pytest.approx([2, 0, 2], abs=0.3)
    assert seen[WHOLE].rows[1].any()
    assert not seen[CONTEXT].rows[1].any()  # the face could not be masked: the context would hold it
    nothing = lenses().look(colours(BLACK), AS_IT_IS, ["colour", CONTEXT])
    assert not nothing["colour"].rows.any()
    assert not lenses().enrol(colours(BLACK, BLACK), AS_IT_IS, ["colour"])["colour"].any()


def test_the_context_does_not_depend_on_the_face() -> None:
    one, other = colours(RED, RED)
    other[:, 8:24, 8:24] = 0.7
    seen = lenses().look(torch.stack([one, other]), AS_IT_IS, [CONTEXT, WHOLE])
    assert torch.equal(seen[CONTEXT].rows[0], seen[CONTEXT].rows[1])
    assert not torch.allclose(seen[WHOLE].rows[0], seen[WHOLE].rows[1])


class Describes:
    """Says how a face's colour differs from grey; it sees faces alone."""

    name = "describes"
    heads: ClassVar[Mapping[str, ToyHead]] = {"colour": ToyHead("continuous", ("r", "g", "b"))}

    def predict_faces(self, images: Tensor, landmarks: Tensor) -> Mapping[str, Tensor]:
        assert landmarks.shape == (len(images), 5, 2)
        return {"colour": images[:, :, 12:20, 12:20].mean((2, 3))}


def test_how_a_face_is_described_is_one_more_matcher() -> None:
    eyes = Lenses(SeesColour(), [*lenses().recognizers.values()], None, VIEWS, Describes())
    assert eyes.others == (DESCRIPTION,)
    seen = eyes.look(colours(RED, BLACK, GREEN), AS_IT_IS, [DESCRIPTION])[DESCRIPTION]
    assert not seen.rows[1].any()  # no face
    assert float(seen.rows[0] @ seen.rows[0]) == pytest.approx(1)
    assert float(seen.rows[0] @ seen.rows[2]) < 0
    entry = eyes.enrol(colours(RED, RED), AS_IT_IS, [DESCRIPTION])[DESCRIPTION]
    assert float(entry @ seen.rows[0]) == pytest.approx(1, abs=1e-4)
    assert not eyes.look(colours(BLACK), AS_IT_IS, [DESCRIPTION])[DESCRIPTION].rows.any()


def test_a_gallery_entry_is_the_mean_of_a_persons_photos() -> None:
    entry = lenses().enrol(colours(RED, GREEN, BLACK), AS_IT_IS, ["colour"])["colour"]
    assert torch.allclose(entry, torch.tensor([0.5**0.5, 0.5**0.5, 0.0]), atol=1e-4)


def test_fine_tuning_learns_which_drawn_face_is_whose_and_leaves_the_original() -> None:
    """The tool exchanges red and green: the original follows the colour, the fine-tuned one the person."""
    original = Recognizer(Colour(), name="colour", family="", spec=InputSpec(8))
    before = original.network.look.weight.clone()
    crops = colours(RED, GREEN)[:, :, :8, :8]
    people = torch.tensor([GREEN, RED])
    generator = torch.Generator().manual_seed(0)
    tuned = fine_tune(
        original, crops, torch.tensor([0, 1]), people, steps=200, learning_rate=0.02, generator=generator
    )
    assert (original.embed(crops) @ people.T).diagonal().max() < 0.1
    assert (tuned.embed(crops) @ people.T).diagonal().min() > 0.8
    assert torch.equal(original.network.look.weight, before)
    assert not any(each.requires_grad for each in tuned.parameters())


def test_a_tuned_recogniser_sees_pictures_and_its_original_the_gallery() -> None:
    eyes = lenses()
    people = [(colours(GREEN), colours(RED, RED)), (colours(RED), colours(GREEN, GREEN))]
    before = float(eyes.look(colours(RED), AS_IT_IS, ["colour"])["colour"].rows[0] @ torch.tensor(GREEN))
    name = eyes.tuned("colour", Lesson(people, AS_IT_IS, 200, 0))
    assert name is not None
    assert "colour" in name
    entry = eyes.enrol(colours(GREEN), AS_IT_IS, [name])[name]
    assert torch.allclose(entry, torch.tensor(GREEN), atol=1e-4)
    assert float(eyes.look(colours(RED), AS_IT_IS, [name])[name].rows[0] @ entry) > before + 0.1
    assert list(eyes.faces) == ["colour"]  # T0 to T3 do not have it
    unseen = Lesson([(colours(BLACK), colours(BLACK))], AS_IT_IS, 10, 0)
    assert eyes.tuned("colour", unseen) is None


def test_all_tiers_on_pictures() -> None:
    """From pictures to T5: the tool draws everybody in the next colour, on a background that it keeps."""
    generator = torch.Generator().manual_seed(0)

    def person() -> Known:
        face, background = torch.rand(2, 3, generator=generator)
        photos = colours(*[tuple(background.tolist())] * 4)  # type: ignore[list-item]
        drawn = photos.clone()
        photos[:, :, 6:26, 6:26] = (face * 2 - 1)[:, None, None]
        drawn[:, :, 6:26, 6:26] = (face.roll(1) * 2 - 1)[:, None, None]
        noise = 0.02 * torch.randn(drawn.shape, generator=generator)
        return Known(photos, {PUBLISHED: (drawn + noise).clamp(-1, 1), "leaked": drawn})

    subjects = {f"subject {index}": person() for index in range(4)}
    gallery = {name: each.photos for name, each in subjects.items()}
    gallery |= {f"stranger {index}": person().photos for index in range(12)}
    found = attack(
        {name: each.pictures for name, each in subjects.items()},
        gallery,
        Knowledge(
            {f"dev {index}": person() for index in range(6)},
            {f"train {index}": person() for index in range(8)},
        ),
        lenses(),
        settings=AttackSettings(draws=50, pictures_out=(1, 4), tuning_steps=30, folds=3),
    )
    assert [each.tier for each in found] == ["T0", "T1", "T2", "T3", "T4", "T5"]
    assert found[0].attack == "colour; 1 picture"
    assert found[1].linked.value > found[0].linked.value  # the background gives them away
    assert {WHOLE, CONTEXT} & set(found[1].attack.replace(";", " +").split(" + "))
    assert {view for view in VIEWS if any(view in tried.attack for tried in found[2].tried)} >= set(VIEWS) - {
        AS_IT_IS
    }
    assert any("fine-tuned" in tried.attack for tried in found[4].tried)
    assert any("weights" in tried.attack for tried in found[4].tried)
