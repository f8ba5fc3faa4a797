"""Recogniser recipes: every member trains, ships in half precision, loads strictly and brings its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visard.errors import InputError
from visard.faces.architectures.reduced import REDUCED
from visard.storage import load_tensors
from visard.world.dataset import Pictures
from visard.world.recipes import RECIPES, Job, build, recognition
from visard.world.recipes.crops import FaceCrops, pictures_at
from visard.world.recipes.quick import quicken
from visard.world.recipes.recognizers import PLANS, kit_row

NAMES = [name for name, member in REDUCED.items() if member.role in ("surrogate", "judge")]


def test_every_recogniser_has_a_plan_and_a_recipe() -> None:
    assert set(PLANS) == set(NAMES)
    assert set(NAMES) < set(RECIPES)


def test_surrogates_and_judges_share_no_family_and_no_loss() -> None:
    by_role = {
        role: [name for name in NAMES if REDUCED[name].role == role] for role in ("surrogate", "judge")
    }
    families, losses = (
        {role: {value(name) for name in names} for role, names in by_role.items()}
        for value in (lambda name: REDUCED[name].family, lambda name: PLANS[name].loss)
    )
    assert not families["surrogate"] & families["judge"]
    assert not losses["surrogate"] & losses["judge"]


@pytest.mark.parametrize("name", NAMES)
def test_a_recogniser_trains_ships_and_is_measured(name: str, renders: Path, tmp_path: Path) -> None:
    lines: list[str] = []

    def note(stage: str, done: int, total: int, **figures: float) -> None:
        lines.append(stage)

    scores = build(name, Job(renders, tmp_path, steps=2, progress=note))
    row = kit_row(name)
    tensors, meta = load_tensors(tmp_path / row["file"])
    assert all(tensor.dtype == torch.float16 for tensor in tensors.values() if tensor.is_floating_point())
    assert meta["config"] == row["config"]
    card = json.loads((tmp_path / row["file"]).with_suffix(".json").read_text())
    assert card["scores"] == scores
    assert card["facts"]["steps"] == 2
    assert scores["people"] == 12
    assert 0 <= scores["TMR @ FMR 0.001"] <= 1
    assert f"# {name}" in (tmp_path / row["file"]).with_suffix(".md").read_text()


def test_an_unknown_recipe_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="irse"):
        build("resnet", Job(tmp_path, tmp_path, steps=1))


def test_scores_of_a_perfect_and_of_a_blind_recogniser() -> None:
    person = torch.arange(40).repeat_interleave(4)
    perfect = recognition.scores(torch.eye(40)[person], person)
    assert perfect["TMR @ FMR 0.001"] == 1
    assert perfect["rank-1, one photo enrolled"] == perfect["rank-1, half of the photos enrolled"] == 1
    noise = F.normalize(torch.randn(160, 64, generator=torch.Generator().manual_seed(0)))
    blind = recognition.scores(noise, person)
    assert blind["TMR @ FMR 0.001"] < 0.02
    assert blind["rank-1, one photo enrolled"] < 0.1


def test_crops_put_the_landmarks_on_the_template(blobs: Callable[..., Pictures]) -> None:
    pictures = blobs(3, 2)
    crops = FaceCrops(pictures, 64)
    left_eye = crops.target[0].round().int()
    faces = crops(torch.arange(6))
    at_eye = faces[:, :, left_eye[1], left_eye[0]]
    points = torch.from_numpy(pictures.landmarks[:, 0]).round().long()
    whole = pictures_at(pictures, torch.arange(6))
    expected = whole[torch.arange(6), :, points[:, 1], points[:, 0]]
    assert float((at_eye - expected).abs().max()) < 0.15
    moved = crops(torch.arange(6), torch.Generator().manual_seed(0), jitter=0.05)
    assert not torch.equal(moved, faces)


def test_the_quick_prelu_is_prelu() -> None:
    slow, quick = nn.PReLU(4), quicken(nn.PReLU(4))
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for module, given in ((slow, inputs[0]), (quick, inputs[1])):
        module(given).square().sum().backward()
    assert torch.equal(slow(x), quick(x))
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(slow.weight.grad, quick.weight.grad)
    assert list(quick.state_dict()) == ["weight"]


def test_a_training_begins_with_an_earlier_generation_and_its_card_says_so(
    renders: Path, tmp_path: Path
) -> None:
    build("irse", Job(renders, tmp_path / "first", steps=2))
    build("irse", Job(renders, tmp_path / "second", minutes=0, start=tmp_path / "first"))
    before, after = (
        load_tensors(tmp_path / each / kit_row("irse")["file"])[0] for each in ("first", "second")
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    build("irse", Job(renders, tmp_path / "third", steps=3, start=tmp_path / "second"))
    card = json.loads((tmp_path / "third/surrogates/irse.json").read_text())
    assert (card["facts"]["steps of the weights it began with"], card["facts"]["steps"]) == (2, 3)
