from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from support.colours import BLACK, BLUE, GREEN, RED, SeesColour, Shade, colours
from visard.benchmark.scoring import SETTINGS, Panel
from visard.errors import InputError
from visard.faces.recognizer import InputSpec, Recognizer


class Colour(nn.Module):
    """A colour as it is: its channels, from 0 to `length`, are the embedding."""

    def __init__(self, length: float) -> None:
        super().__init__()
        self.length = length

    def forward(self, crops: Tensor) -> Tensor:
        return (crops.mean((2, 3)) + 1) / 2 * self.length


def judge(name: str, length: float = 2.0) -> Recognizer:
    return Recognizer(Colour(length), name=name, family="", spec=InputSpec(8))


ORANGE = (0.8, 0.6, 0.0)
"""Its cosine to red is .8, to green .6."""


@pytest.fixture
def panel() -> Panel:
    strangers, owner = colours(GREEN, GREEN, BLUE, BLUE, BLACK), torch.tensor([0, 0, 1, 1, 2])
    return Panel(SeesColour(), [judge("judge")], [judge("surrogate")], strangers, owner)


def score(panel: Panel, *pictures: Shade) -> tuple[dict[str, Any], dict[str, Any]]:
    """All scores, and the judge's figures of the one prompt."""
    return score_by(panel, "judge", *pictures)


def score_by(panel: Panel, judge: str, *pictures: Shade) -> tuple[dict[str, Any], dict[str, Any]]:
    scores = panel.score(colours(RED, RED), {"a prompt": colours(*pictures)}).report
    return scores, scores["judges"][judge]["prompts"]["a prompt"]


def test_hand_computed_figures(panel: Panel) -> None:
    scores, figures = score(panel, RED, ORANGE, GREEN, BLACK)
    assert scores["prompts"]["a prompt"] == {"pictures": 4, "faces": 3}
    assert scores["detector"] == "colour, not black"
    assert scores["gallery"] == 3  # the person and two strangers: the third shows no face
    assert figures["similarities"] == pytest.approx([1.0, 0.8, 0.0, None], abs=1e-5)
    assert figures["similarity"] == pytest.approx(1.8 / 3, abs=1e-5)
    assert figures["similarity_all"] == pytest.approx(1.8 / 4, abs=1e-5)
    # To green and blue: red 0 and 0, orange .6 and 0, green 1 and 0.
    assert figures["strangers"] == pytest.approx(1.6 / 6, abs=1e-5)
    assert figures["rank_1"] == pytest.approx(2 / 4)
    assert figures["rank_1_detected"] == pytest.approx(2 / 3)
    assert figures["rank_5"] == pytest.approx(3 / 4)
    assert figures["rank_5_detected"] == 1.0
    # From below: red is the most similar of three, green the least; orange stands above blue and green.
    assert figures["bottom_rank"] == 3


def test_similarities_are_kept_picture_by_picture(panel: Panel) -> None:
    kept = panel.score(colours(RED, RED), {"a prompt": colours(ORANGE, BLACK)}).similarities
    assert set(kept) == {"judge/a prompt", "surrogate/a prompt"}
    assert kept["judge/a prompt"][0].tolist() == pytest.approx([0.8, 0.6, 0.0], abs=1e-5)
    assert kept["judge/a prompt"][1].isnan().all()


def test_shares_are_redrawn_with_the_strangers() -> None:
    """Searches by two strangers score .8, by the third .6: the threshold where it alone is drawn."""
    shades = (GREEN, (0.0, 0.8, 0.6), BLUE)
    panel = Panel(SeesColour(), [judge("judge")], [], colours(*shades, *shades), torch.tensor([0, 1, 2] * 2))
    found = panel.score(colours(RED, RED), {"a prompt": colours(RED, (0.75, 0.66, 0.0), BLACK, GREEN)})
    assert found.report["judges"]["judge"]["prompts"]["a prompt"]["linked"] == 0.25
    drawn = found.redrawn["judge/a prompt/linked"]
    assert drawn.shape == (SETTINGS.draws,)
    assert set(drawn.tolist()) == {0.25, 0.5}
    assert float((drawn == 0.5).double().mean()) == pytest.approx(1 / 27, abs=0.03)


def test_the_ceiling_is_each_clean_photo_against_the_others(panel: Panel) -> None:
    scores = panel.score(colours(RED, ORANGE, BLACK), {"a prompt": colours(RED)}).report
    found = scores["judges"]["judge"]
    assert found["real"] == pytest.approx(0.8, abs=1e-5)
    assert found["real_photos"] == pytest.approx([0.8, 0.8, None], abs=1e-5)


def test_surrogates_are_kept_apart(panel: Panel) -> None:
    scores, _ = score(panel, RED)
    assert list(scores["judges"]) == ["judge"]
    assert list(scores["surrogates"]) == ["surrogate"]


def test_a_magface_is_also_searched_by_quality() -> None:
    """The picture is .5 like the person, in clear photos, and .4 like two strangers in faint ones."""
    faint, picture = (0.0, 0.1, 0.0), (0.5, 0.4, 0.7681146)
    strangers, owner = colours(faint, faint, faint, faint), torch.tensor([0, 0, 1, 1])
    panel = Panel(SeesColour(), [judge("magface_r100", 30.0), judge("other")], [], strangers, owner)
    scores, figures = score_by(panel, "magface_r100", picture, BLACK)
    assert figures["rank_1_detected"] == 1.0
    # QMagFace: .5 + (.063 - .077) * 30 = .07 of the person, .4 + (.050 - .077) * 3 = .32 of the strangers.
    assert scores["retrieval"] == {
        "qmagface_r100": {
            "prompts": {
                "a prompt": {"rank_1": 0.0, "rank_1_detected": 0.0, "rank_5": 0.5, "rank_5_detected": 1.0}
            }
        }
    }
    scores, _ = score_by(panel, "magface_r100", BLACK)
    assert scores["retrieval"]["qmagface_r100"]["prompts"]["a prompt"]["rank_1_detected"] is None


def test_match_rates_use_thresholds_of_strangers_and_count_every_picture() -> None:
    """Fifteen strangers around green and blue: their 105 pairs show a rate of 1 in 100, not one in 1000."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(30, 3, generator=generator)
    photos = colours(*[(0.0, 0.2 + 0.8 * float(g), 0.2 + 0.8 * float(b)) for _, g, b in noise])
    panel = Panel(SeesColour(), [judge("judge")], [], photos, torch.arange(15).repeat_interleave(2))
    scores, figures = score(panel, RED, GREEN, BLACK)
    assert set(scores["judges"]["judge"]["thresholds"]) == {"0.01"}
    assert 0.9 < scores["judges"]["judge"]["thresholds"]["0.01"] < 1
    assert figures["tmr@0.01"] == pytest.approx(1 / 3)
    assert figures["linked"] == pytest.approx(1 / 3)


def test_without_any_face_nothing_is_made_up(panel: Panel) -> None:
    scores, figures = score(panel, BLACK, BLACK)
    assert scores["prompts"]["a prompt"]["faces"] == 0
    assert figures["similarity"] is None
    assert figures["rank_1_detected"] is None
    assert figures["strangers"] is None
    assert figures["similarity_all"] == 0.0
    assert figures["rank_1"] == figures["linked"] == 0.0


def test_a_person_needs_two_clean_photos(panel: Panel) -> None:
    with pytest.raises(InputError, match="1 of 2 clean photos"):
        panel.score(colours(RED, BLACK), {"a prompt": colours(RED)})
