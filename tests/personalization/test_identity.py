"""The identity loss against hand-computed values (eqs. 10-13)."""

from __future__ import annotations

import math

import pytest
import torch

from personalization.fakes import LANDMARKS, FakeDetector, face, photos, recognizer
from visard.personalization.identity import (
    IdentityLoss,
    find_landmarks,
    impostor_level,
    linkability,
    prototypes,
)


def test_s_is_the_hand_computed_value() -> None:
    s, tau = (0.5, 0.3, -0.1), 0.2
    weights = [math.exp(each / tau) for each in s]
    expected = sum(w * each for w, each in zip(weights, s, strict=True)) / sum(weights)
    assert linkability(torch.tensor([s]), tau).item() == pytest.approx(expected, abs=1e-6)


def test_s_goes_to_the_largest_and_to_the_mean() -> None:
    s = torch.tensor([[0.5, 0.3, -0.1]], dtype=torch.float64)
    assert linkability(s, 1e-4).item() == pytest.approx(0.5, abs=1e-9)
    assert linkability(s, 1e6).item() == pytest.approx(0.7 / 3, abs=1e-6)


def test_the_gradient_goes_through_the_weights_unless_detached() -> None:
    tau = 0.03
    s = torch.tensor([[0.5, 0.3]], dtype=torch.float64, requires_grad=True)
    through = torch.autograd.grad(linkability(s, tau).sum(), s)[0][0]
    detached = torch.autograd.grad(linkability(s, tau, detach_weights=True).sum(), s)[0][0]
    w = torch.softmax(s.detach()[0] / tau, 0)
    total = (w * s.detach()[0]).sum()
    # dS/ds_m = w_m (1 + (s_m - S) / tau): negative for a recogniser with s_m < S - tau.
    torch.testing.assert_close(through, w * (1 + (s.detach()[0] - total) / tau))
    torch.testing.assert_close(detached, w)
    assert through[1] < 0 < detached[1]


def test_a_prototype_is_the_normalised_mean_of_the_photos_with_a_face() -> None:
    model, images = recognizer(), photos(3)
    landmarks = [LANDMARKS, None, LANDMARKS]
    embeddings = model.embed_faces(images[[0, 2]], LANDMARKS.expand(2, -1, -1))
    mean = embeddings.mean(0)
    torch.testing.assert_close(prototypes([model], images, landmarks)[0], mean / mean.norm())


def identity(script=(), **options) -> IdentityLoss:  # type: ignore[no-untyped-def]
    models = [recognizer(0), recognizer(1, size=12)]
    people = prototypes(models, photos(4), [LANDMARKS] * 4)
    return IdentityLoss(models, FakeDetector(script), people, **options)


def test_the_loss_is_one_plus_s() -> None:
    loss = identity(tau=0.1)
    images = photos(2, seed=1)
    s = loss.similarities(images, LANDMARKS.expand(2, -1, -1))
    seen = loss(images, [None, None])
    torch.testing.assert_close(seen.loss, 1 + linkability(s, 0.1))
    torch.testing.assert_close(seen.similarities, s)
    assert (seen.found, seen.fallback, seen.skipped) == (2, 0, 0)
    assert (s.abs() <= 1).all()


def test_found_then_fallback_then_skipped() -> None:
    loss = identity(script=[[[face()], [], []]])
    images = photos(3, seed=1).requires_grad_(True)
    seen = loss(images, [None, LANDMARKS + 1, None])
    assert (seen.found, seen.fallback, seen.skipped) == (1, 1, 1)
    gradient = torch.autograd.grad(seen.loss.sum(), images)[0]
    assert gradient[0].abs().sum() > 0
    assert gradient[1].abs().sum() > 0
    assert gradient[2].abs().sum() == 0
    assert seen.loss[2] == 0
    assert seen.similarities[2].isnan().all()
    moved = loss.similarities(images[1:2], LANDMARKS[None] + 1)
    torch.testing.assert_close(seen.similarities[1:2], moved.detach())


def test_without_any_face_there_is_nothing_to_descend() -> None:
    seen = identity(script=[[[], []]])(photos(2).requires_grad_(True), [None, None])
    assert not seen.loss.requires_grad
    assert seen.skipped == 2


def test_the_floor_stops_the_gradient_below_the_level_of_strangers() -> None:
    images = photos(2, seed=1).requires_grad_(True)
    below, above = identity(floors=torch.tensor([1.0, 1.0])), identity(floors=torch.tensor([-1.0, -1.0]))
    held = torch.autograd.grad(below(images, [None, None]).loss.sum(), images)[0]
    free = torch.autograd.grad(above(images, [None, None]).loss.sum(), images)[0]
    paper = torch.autograd.grad(identity()(images, [None, None]).loss.sum(), images)[0]
    assert held.abs().sum() == 0
    torch.testing.assert_close(free, paper)


def test_the_impostor_level_is_the_mean_similarity_of_strangers() -> None:
    loss, strangers = identity(), photos(3, seed=9)
    level = impostor_level(
        loss.recognizers, FakeDetector([[[face()], [], [face()]]]), loss.prototypes, strangers
    )
    expected = loss.similarities(strangers[[0, 2]], LANDMARKS.expand(2, -1, -1)).mean(0)
    torch.testing.assert_close(level, expected)
    nobody = impostor_level(loss.recognizers, FakeDetector([[[]] * 3]), loss.prototypes, strangers)
    assert nobody.tolist() == [-1, -1]


def test_landmarks_are_those_of_the_largest_face() -> None:
    """Of the person, not of a bystander whose small face has the higher score."""
    bystander = face(landmarks=LANDMARKS + 3, box=torch.tensor([0.0, 0.0, 5.0, 5.0]))
    person = face(box=torch.tensor([0.0, 0.0, 20.0, 20.0]))
    found = find_landmarks(FakeDetector([[[bystander, person], []]]), photos(2))
    assert found[0] is person.landmarks
    assert found[1] is None
