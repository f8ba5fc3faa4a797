"""The order in which methods train, forget and perturb."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from personalization.fakes import photos
from protection.runs import start
from visard.diffusion.backbone import Backbone
from visard.diffusion.conditioning import Conditioning
from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import PhotoSet
from visard.protection.anti_diffusion import AntiDiffusion
from visard.protection.ascent import Ascent, Objective
from visard.protection.run import Run
from visard.protection.simac import Simac
from visard.protection.surrogate import Surrogate

Fresh = Callable[[], Backbone]
ROUND = ["clone", "train 3", "ascend", "drop", "train 2"]
"""Of ASPL: the clean photos are three, the perturbed ones two."""


@dataclass
class Event:
    """One part of a method: the model's weights before and after it, and the photos that it saw or made."""

    name: str
    before: Tensor
    after: Tensor
    seen: Tensor


class Recorder:
    """Writes down what a run does."""

    def __init__(self, run: Run, patch: pytest.MonkeyPatch) -> None:
        self.run, self.events = run, list[Event]()
        for watched in (self.train, self.clone, self.ascend, self.search, self.words, self.unet):
            watched(patch)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def weights(self) -> Tensor:
        parameters = self.run.method.surrogate.parameters.values()  # type: ignore[attr-defined]
        return torch.cat([each.detach().flatten() for each in parameters])

    def add(self, name: str, before: Tensor, seen: Tensor) -> None:
        self.events.append(Event(name, before, self.weights(), seen))

    def train(self, patch: pytest.MonkeyPatch) -> None:
        train = Surrogate.train

        def watched(surrogate: Surrogate, photos: PhotoSet, steps: int) -> None:
            before = self.weights()
            train(surrogate, photos, steps)
            self.add(f"train {len(photos.prompts)}", before, photos.posterior.mean)

        patch.setattr(Surrogate, "train", watched)

    def clone(self, patch: pytest.MonkeyPatch) -> None:
        clone = Surrogate.clone

        @contextmanager
        def watched(surrogate: Surrogate) -> Iterator[None]:
            before = self.weights()
            with clone(surrogate):
                self.add("clone", before, torch.empty(0))
                yield
                before = self.weights()
            self.add("drop", before, torch.empty(0))

        patch.setattr(Surrogate, "clone", watched)

    def ascend(self, patch: pytest.MonkeyPatch) -> None:
        ascend = Ascent.__call__

        def watched(
            ascent: Ascent, images: Tensor, centre: Tensor, objective: Objective, steps: int
        ) -> Tensor:
            before, made = self.weights(), ascend(ascent, images, centre, objective, steps)
            self.add("ascend", before, made)
            return made

        patch.setattr(Ascent, "__call__", watched)

    def search(self, patch: pytest.MonkeyPatch) -> None:
        search = Simac.search

        def watched(method: Simac, photo: int) -> Tensor:
            before, kept = self.weights(), search(method, photo)
            self.add("search", before, kept)
            return kept

        patch.setattr(Simac, "search", watched)

    def words(self, patch: pytest.MonkeyPatch) -> None:
        tuned_words = AntiDiffusion.tuned_words

        def watched(method: AntiDiffusion, image: Tensor, words: Conditioning) -> Conditioning:
            before, tuned = self.weights(), tuned_words(method, image, words)
            self.add("words", before, image)
            assert not torch.equal(tuned.text, words.text)
            return tuned

        patch.setattr(AntiDiffusion, "tuned_words", watched)

    def unet(self, patch: pytest.MonkeyPatch) -> None:
        tune_unet = AntiDiffusion.tune_unet

        def watched(method: AntiDiffusion, image: Tensor) -> None:
            before = self.weights()
            tune_unet(method, image)
            self.add("unet", before, image)

        patch.setattr(AntiDiffusion, "tune_unet", watched)


@pytest.fixture
def record(fresh: Fresh, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Recorder]:
    """A run of a method from its beginning to its end."""

    def recorded(method: str) -> Recorder:
        recorder = Recorder(start(fresh(), cache, method), monkeypatch)
        for _ in recorder.run:
            pass
        return recorder

    return recorded


def check_aspl(events: Sequence[Event], backbone: Backbone, pristine: Tensor) -> None:
    """Every round of ASPL: who learns what, from which weights on."""
    left = pristine
    for k in range(0, len(events), len(ROUND)):
        clone, clean, ascend, drop, perturbed = events[k : k + len(ROUND)]
        assert torch.equal(clone.before, left)
        assert torch.equal(clean.seen, encoded(backbone, photos(3, seed=9)).mean)
        assert not torch.equal(clean.before, clean.after)
        assert torch.equal(ascend.before, clean.after)
        assert torch.equal(ascend.after, clean.after)
        assert torch.equal(drop.after, clone.before)
        assert torch.equal(perturbed.before, clone.before)
        assert torch.equal(perturbed.seen, encoded(backbone, ascend.seen).mean)
        left = perturbed.after
        assert not torch.equal(left, perturbed.before)


@pytest.mark.parametrize("method", ["aspl", "targeted-aspl"])
def test_a_clone_learns_the_clean_photos_and_the_surrogate_the_perturbed_ones(
    record: Callable[[str], Recorder], method: str
) -> None:
    seen = record(method)
    assert seen.names == 2 * ROUND
    check_aspl(seen.events, seen.run.task.backbone, seen.events[0].before)
    assert torch.equal(seen.events[7].seen, seen.run.images)


def test_the_searches_come_first_and_see_the_model_as_it_came(record: Callable[[str], Recorder]) -> None:
    seen = record("simac")
    assert seen.names == ["search", "search", *2 * ROUND]
    pristine = seen.events[0].before
    for search in seen.events[:2]:
        assert torch.equal(search.before, pristine)
        assert torch.equal(search.after, pristine)
    check_aspl(seen.events[2:], seen.run.task.backbone, pristine)


def test_a_photo_is_protected_between_its_words_and_the_unet(record: Callable[[str], Recorder]) -> None:
    seen = record("anti-diffusion")
    a_photo = ["words", "ascend", "unet", "ascend", "words", "unet", "ascend"]
    assert seen.names == 2 * a_photo
    for k in (0, 7):
        events = seen.events[k : k + 7]
        assert torch.equal(events[0].before, seen.events[0].before)  # the model as it came
        assert torch.equal(events[0].seen, photos(2)[k // 7][None])
        for before, after in pairwise(events):
            assert torch.equal(before.after, after.before)
            if after.name != "ascend":
                assert torch.equal(after.seen, before.seen)
            assert torch.equal(after.before, after.after) == (after.name != "unet")
    assert torch.equal(seen.run.images, torch.cat([seen.events[6].seen, seen.events[13].seen]))
