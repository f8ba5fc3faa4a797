"""Class pictures: made once, shared, and made anew when anything they depend on changes."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from visard.diffusion.backbone import Backbone
from visard.diffusion.sampling import generate
from visard.errors import StorageError
from visard.personalization import prior
from visard.personalization.prior import cache_folder, class_posteriors
from visard.personalization.settings import PriorSettings
from visard.storage import user_folder

SETTINGS = PriorSettings(count=3, sampler_steps=1, batch=2)
PROMPT = "a photo of person"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts: list[int] = []

    def counting(backbone, prompt, count, **options):  # type: ignore[no-untyped-def]
        counts.append(count)
        return generate(backbone, prompt, count, **options)

    monkeypatch.setattr(prior, "generate", counting)
    return counts


def test_pictures_are_made_once_and_come_back_the_same(
    tmp_path: Path, base: Backbone, made: list[int]
) -> None:
    seen: list[tuple[str, int, int]] = []
    first = class_posteriors(
        base,
        PROMPT,
        SETTINGS,
        cache=tmp_path,
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert made == [2, 1]
    assert seen == [("class pictures", 2, 3), ("class pictures", 3, 3)]
    second = class_posteriors(base, PROMPT, SETTINGS, cache=tmp_path)
    assert made == [2, 1]
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.std, second.std)


def test_posteriors_are_those_of_the_pictures(tmp_path: Path, base: Backbone) -> None:
    posterior = class_posteriors(base, PROMPT, SETTINGS, cache=tmp_path)
    pictures = generate(base, PROMPT, 3, seed=0, steps=1, guidance=7.5)
    with torch.no_grad():
        torch.testing.assert_close(posterior.mean, base.encode(pictures).mean, rtol=1e-3, atol=1e-4)


def test_whatever_they_depend_on_makes_new_ones(tmp_path: Path, backbone: Backbone, made: list[int]) -> None:
    class_posteriors(backbone, PROMPT, SETTINGS, cache=tmp_path)
    for changed in (
        replace(SETTINGS, count=2),
        replace(SETTINGS, seed=1),
        replace(SETTINGS, guidance=1.0),
        replace(SETTINGS, sampler_steps=2),
    ):
        made.clear()
        class_posteriors(backbone, PROMPT, changed, cache=tmp_path)
        assert made
    made.clear()
    class_posteriors(backbone, "a photo of woman", SETTINGS, cache=tmp_path)
    assert made
    made.clear()
    with torch.no_grad():
        backbone.unet.conv_out.bias += 0.1
    class_posteriors(backbone, PROMPT, SETTINGS, cache=tmp_path)
    assert made
    made.clear()
    class_posteriors(backbone, PROMPT, replace(SETTINGS, batch=3), cache=tmp_path)
    assert not made


def test_a_damaged_cache_is_made_anew(
    tmp_path: Path, base: Backbone, made: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    first = class_posteriors(base, PROMPT, SETTINGS, cache=tmp_path)
    (file,) = (tmp_path / "class-pictures").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    made.clear()
    with caplog.at_level(logging.WARNING):
        second = class_posteriors(base, PROMPT, SETTINGS, cache=tmp_path)
    assert made
    assert "damaged" in caplog.text
    assert torch.equal(first.mean, second.mean)


def test_the_cache_lies_where_the_user_says_or_among_the_users_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VISARD_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("VISARD_CACHE")
    assert cache_folder() == user_folder("cache")


def test_a_cache_that_cannot_be_locked_is_said(
    tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: object, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(prior.FileLock, "acquire", refuse)
    with pytest.raises(StorageError, match="Read-only"):
        class_posteriors(backbone, PROMPT, SETTINGS, cache=tmp_path)
