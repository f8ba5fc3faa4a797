"""The describer's recipe: whom it describes, what a mirror changes, and figures with known answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from support.tiny import tiny_pipeline
from visard.audit.observe import observe
from visard.benchmark.people import load_photos
from visard.diffusion.backbone import Backbone
from visard.faces.recognizer import InputSpec
from visard.faces.regressor import FaceRegressor, Head, RegressorRow
from visard.kits import open_kit
from visard.progress import silent
from visard.world.dataset import Pictures
from visard.world.people import person
from visard.world.recipes import Job, build, describer
from visard.world.recipes.describer import HEAD, QUANTITIES


@pytest.fixture(autouse=True)
def few_people(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An average over forty people instead of thousands."""
    monkeypatch.setattr(describer, "EVERYBODY", 40)
    describer.average.cache_clear()
    yield
    describer.average.cache_clear()


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return Backbone.load(tiny_pipeline(tmp_path / describer.FOLDER))


def test_people_are_described_by_how_they_differ_from_the_average() -> None:
    everybody = np.arange(60_000, 60_040)
    described = describer.describe(everybody)
    assert described.shape == (40, len(QUANTITIES))
    torch.testing.assert_close(described.mean(0), torch.zeros(len(QUANTITIES)), atol=1e-4, rtol=0)
    noses = torch.tensor([person(each).shape["nose_length"] for each in everybody])
    column = described[:, QUANTITIES.index("nose_length")]
    assert float(torch.corrcoef(torch.stack([noses, column]))[0, 1]) == pytest.approx(1, abs=1e-4)
    twice = describer.describe(np.array([60_003, 60_001, 60_003]))
    torch.testing.assert_close(twice, described[[3, 1, 3]])


def test_nothing_is_described_twice_and_no_place_of_a_mole() -> None:
    assert len(set(QUANTITIES)) == len(QUANTITIES)
    assert not any("mole" in each or each == "pattern" for each in QUANTITIES)


def test_a_mirror_changes_the_parting_alone() -> None:
    signs = dict(zip(QUANTITIES, describer.mirror_signs().tolist(), strict=True))
    assert signs.pop("hair_part") == -1
    assert set(signs.values()) == {1.0}


class Average(torch.nn.Module):
    """Says the same to every face."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {HEAD: torch.ones(len(x), len(QUANTITIES))}


def test_who_says_the_same_of_everybody_explains_nothing_and_finds_all_alike(
    blobs: Callable[..., Pictures], backbone: Backbone
) -> None:
    heads = (describer.head(),)
    same = FaceRegressor(Average(), name="same", spec=InputSpec(32), heads=heads, margin=0.4)
    scores = describer.measure(same, blobs(4, 2), backbone)
    assert scores["proportions: R²"] < 0
    assert scores["similarity to strangers, through the autoencoder"] == pytest.approx(1)
    assert {f"{quantity}: R²" for quantity in QUANTITIES} <= set(scores)


def test_people_told_apart_are_alike_to_themselves_alone() -> None:
    read = torch.eye(3).repeat_interleave(2, 0)
    found = describer.alike(read, np.array([5, 5, 6, 6, 7, 7]))
    assert list(found.values()) == pytest.approx([1.0, 0.0, 0.0])


def test_the_describer_trains_ships_and_is_measured(
    renders: Path, tmp_path: Path, backbone: Backbone
) -> None:
    scores = build("describer", Job(renders, tmp_path, steps=2))
    row = json.loads((tmp_path / "describer.json").read_text())["row"]
    (head,) = (Head(each["name"], each["kind"], tuple(each["outputs"])) for each in row["heads"])
    assert head.outputs == QUANTITIES
    file, spec = tmp_path / row["file"], InputSpec(**row["input"])
    loaded = FaceRegressor.load(
        RegressorRow(row["name"], file, spec, (head,), row["margin"], config=row["config"])
    )
    assert loaded(torch.zeros(1, 3, 96, 96))[HEAD].shape == (1, len(QUANTITIES))
    assert {"colouring: R²", "hair: R², through the autoencoder"} <= set(scores)


def test_the_shipped_describer_knows_strangers_of_the_gallery_again() -> None:
    """Two photos each of people whom it has not seen: a person's other one is the most alike."""
    kit = open_kit()
    shipped = kit.describer()
    assert shipped is not None
    assert shipped.heads[HEAD].outputs == QUANTITIES
    assert kit.gallery is not None
    folders = sorted(kit.gallery.iterdir())[:24]
    photos = torch.cat([load_photos(folder, 128) for folder in folders])
    seen = observe(photos, kit.instruments(), batch=16, stage="", progress=silent)
    owner = np.arange(len(folders)).repeat(2)[seen.has_face.numpy()]
    found = describer.alike(seen.descriptions, owner)
    assert found["similarity to the person's other pictures"] > 0.6
    assert abs(found["similarity to strangers"]) < 0.1
    assert found["strangers above the median of these"] < 0.02
