"""A protection in a folder: files that keep to the radius, nothing private, stopped and resumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from personalization.fakes import photos
from protection.runs import settings
from visard.diffusion.backbone import Backbone
from visard.errors import BusyError, InputError, VisardError
from visard.images import read_folder, to_image, to_tensor
from visard.personalization.checkpoint import Checkpoints, Snapshot
from visard.protection.protect import Protected, protect
from visard.protection.run import protected_photos
from visard.storage import claimed

Fresh = Callable[[], Backbone]


@pytest.fixture
def levels() -> Tensor:
    """Photos as files give them."""
    return torch.stack([to_tensor(to_image(photo)) for photo in photos(2)])


def read(folder: Path) -> Tensor:
    return torch.stack([to_tensor(photo.image) for photo in read_folder(folder)])


def test_files_keep_to_the_radius_and_hold_nothing_else(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    told, out = settings("aspl", radius=0.02, step=0.015), tmp_path / "out"
    made = protect(told, levels, fresh(), folder=out, cache=cache, captions=["anna", "a photo"])
    assert sorted(file.name for file in out.iterdir()) == ["0000.png", "0001.png", "protect.toml"]
    files = read(out)
    exact = protected_photos(levels, fresh(), told, cache=cache, captions=["anna", "a photo"])
    assert (files - levels).abs().max() <= 0.02 + 1e-6
    assert (files - exact).abs().max() <= 1.01 / 127.5
    assert made.record.largest_change == pytest.approx((files - levels).abs().max().item())
    assert made.record.psnr == pytest.approx(10 * torch.log10(4 / (files - levels).square().mean()).item())
    for file in made.pictures:
        with Image.open(file) as picture:
            assert picture.info == {}
    written = (out / "protect.toml").read_text()
    assert str(tmp_path) not in written
    assert "anna" not in written
    assert "arXiv 2303.15433" in written


def test_the_captions_of_the_clean_photos_are_learnt_with_them(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    told, clean = settings("aspl"), photos(3, seed=9)
    words = ["anna", "a photo of anna", "a photo of sks person"]
    exact = protected_photos(levels, fresh(), told, clean=clean, clean_captions=words, cache=cache)
    without = protected_photos(levels, fresh(), told, clean=clean, cache=cache)
    assert not torch.equal(exact, without)
    protect(told, levels, fresh(), folder=tmp_path, clean=clean, clean_captions=words, cache=cache)
    assert (read(tmp_path) - exact).abs().max() <= 1.01 / 127.5


def test_a_stopped_protection_goes_on_and_a_finished_one_is_kept(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    told, out = settings("simac"), tmp_path / "out"
    whole = protect(told, levels, fresh(), folder=tmp_path / "whole", cache=cache)

    def stop(stage: str, done: int, total: int, **_: float) -> None:
        if stage == "protection" and done == total - 1:
            raise KeyboardInterrupt

    seen: list[int] = []

    def watch(stage: str, done: int, total: int, **_: float) -> None:
        if stage == "protection":
            seen.append(done)

    with pytest.raises(KeyboardInterrupt):
        protect(told, levels, fresh(), folder=out, cache=cache, progress=stop)
    assert [file.name for file in out.iterdir()] == ["checkpoint"]
    made = protect(told, levels, fresh(), folder=out, cache=cache, progress=watch)
    assert seen[0] > 1
    assert torch.equal(read(out), read(whole.folder))
    assert made.record == whole.record
    assert not (out / "checkpoint").exists()

    times = [file.stat().st_mtime_ns for file in made.pictures]
    again = protect(told, levels, fresh(), folder=out, cache=cache)
    assert again == Protected(out, made.pictures, made.record)
    assert [file.stat().st_mtime_ns for file in again.pictures] == times
    with pytest.raises(InputError, match=r"it differs in settings.seed"):
        protect(settings("simac", seed=1), levels, fresh(), folder=out, cache=cache)
    with pytest.raises(InputError, match="other photos or another model"):
        protect(told, levels.flip(0), fresh(), folder=out, cache=cache)
    anew = protect(settings("random"), levels, fresh(), folder=out, cache=cache, resume=False)
    assert anew.record.settings.method == "random"


def test_photos_in_a_checkpoint_do_not_outlive_a_kill(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, out = settings("simac"), tmp_path / "out"
    with monkeypatch.context() as killed:
        killed.setattr(Checkpoints, "delete", lambda self: None)
        made = protect(told, levels, fresh(), folder=out, cache=cache)
    assert any((out / "checkpoint").iterdir())
    assert protect(told, levels, fresh(), folder=out, cache=cache) == made
    assert not (out / "checkpoint").exists()


@pytest.mark.parametrize("kept", [None, 0, 0.5])
def test_a_file_that_is_gone_or_damaged_is_made_again(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor, kept: float | None
) -> None:
    told = settings("random")
    made = protect(told, levels, fresh(), folder=tmp_path, cache=cache)
    before = made.pictures[0].read_bytes()
    if kept is None:
        made.pictures[0].unlink()
    else:
        made.pictures[0].write_bytes(before[: int(kept * len(before))])
    assert protect(told, levels, fresh(), folder=tmp_path, cache=cache) == made
    assert made.pictures[0].read_bytes() == before


def test_one_that_is_stopped_while_it_writes_goes_on(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = settings("random", output={"checkpoint_every": 1e9})

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr("visard.protection.protect._record", stop)
        protect(told, levels, fresh(), folder=tmp_path, cache=cache)
    made = protect(told, levels, fresh(), folder=tmp_path, cache=cache)
    assert sorted(tmp_path.iterdir()) == [*made.pictures, tmp_path / "protect.toml"]


def test_two_protections_in_one_folder_are_refused(
    backbone: Backbone, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    with claimed(tmp_path), pytest.raises(BusyError, match="at work"):
        protect(settings("random"), levels, backbone, folder=tmp_path, cache=cache)


def test_photos_are_never_written_over(fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor) -> None:
    to_image(levels[0]).save(tmp_path / "0000.png")
    before = (tmp_path / "0000.png").read_bytes()
    with pytest.raises(InputError, match="holds other pictures"):
        protect(settings("random"), levels, fresh(), folder=tmp_path, cache=cache)
    assert (tmp_path / "0000.png").read_bytes() == before


def test_beginning_anew_removes_what_is_a_protections_alone(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def anew(photos: Tensor, folder: Path) -> Protected:
        return protect(settings("random"), photos, fresh(), folder=folder, cache=cache, resume=False)

    out = tmp_path / "recorded"
    protect(settings("random", seed=1), levels, fresh(), folder=out, cache=cache)
    to_image(levels[0]).save(out / "0007.png")
    mine = (out / "0007.png").read_bytes()
    assert anew(levels[:1], out).record.pictures == 1
    assert sorted(file.name for file in out.iterdir()) == ["0000.png", "0007.png", "protect.toml"]
    to_image(levels[0]).save(out / "0001.png")
    with pytest.raises(InputError, match="holds other pictures"):
        anew(levels, out)
    assert (out / "0007.png").read_bytes() == (out / "0001.png").read_bytes() == mine

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr("visard.protection.protect._record", stop)
        protect(settings("random", seed=1), levels, fresh(), folder=out, cache=cache)
    to_image(levels[0]).save(out / "0007.png")
    anew(levels[:1], out)
    assert sorted(file.name for file in out.iterdir()) == ["0000.png", "0007.png", "protect.toml"]


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("resume", [False, True])
def test_a_checkpoint_of_anything_else_is_left_alone(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor, resume: bool, damaged: bool
) -> None:
    told, other = settings("random"), {"settings": {}, "photos": "abc", "recognisers": {}}
    state = tmp_path / "checkpoint" / "00000003" / "state.json"

    def begin() -> None:
        protect(told, levels, fresh(), folder=tmp_path, cache=cache, resume=resume)

    Checkpoints(tmp_path / "checkpoint", other).save(Snapshot(3, {}, {}, {}, {}, []))
    if damaged:
        state.write_text("{")
    with pytest.raises(VisardError, match="checkpoint"):
        begin()
    assert state.exists()


def test_a_finished_protection_leaves_another_commands_checkpoint(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    told = settings("random")
    made = protect(told, levels, fresh(), folder=tmp_path, cache=cache)
    Checkpoints(tmp_path / "checkpoint", {"detector": "abc"}).save(Snapshot(3, {}, {}, {}, {}, []))
    assert protect(told, levels, fresh(), folder=tmp_path, cache=cache) == made
    with pytest.raises(InputError, match="not known to be a protection's"):
        protect(told, levels, fresh(), folder=tmp_path, cache=cache, resume=False)
    assert (tmp_path / "checkpoint" / "00000003").is_dir()
    assert all(file.is_file() for file in made.pictures)


def test_a_stopped_protection_is_begun_anew(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    def stop(stage: str, done: int, total: int, **_: float) -> None:
        if stage == "protection" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        protect(settings("advdm"), levels, fresh(), folder=tmp_path, cache=cache, progress=stop)
    assert any((tmp_path / "checkpoint").iterdir())
    made = protect(settings("random"), levels, fresh(), folder=tmp_path, cache=cache, resume=False)
    assert sorted(tmp_path.iterdir()) == [*made.pictures, tmp_path / "protect.toml"]


def test_a_prompt_that_may_name_the_person_is_not_said(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    def make(instance: str) -> Protected:
        told = settings("random", prompts={"instance": instance})
        return protect(told, levels, fresh(), folder=tmp_path, cache=cache)

    made = make("a photo of anna")
    assert "anna" not in (tmp_path / "protect.toml").read_text()
    assert made.record.settings.prompts.prior == "a photo of person"
    assert make("a photo of anna") == made
    with pytest.raises(InputError, match="other prompts"):
        make("a photo of bert")
    with pytest.raises(
        InputError, match=r"differs in settings\.prompts\.instance .*a photo of sks person now"
    ):
        make("a photo of sks person")


def test_photos_that_do_not_change_are_infinitely_like_themselves(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    told = settings("advdm", methods={"advdm": {"steps": 0}})
    made = protect(told, levels, fresh(), folder=tmp_path, cache=cache)
    assert (made.record.largest_change, made.record.psnr) == (0, math.inf)
    assert protect(told, levels, fresh(), folder=tmp_path, cache=cache) == made


def test_what_cannot_be_made_leaves_what_is_there(
    fresh: Fresh, cache: Path, tmp_path: Path, levels: Tensor
) -> None:
    made = protect(settings("random"), levels, fresh(), folder=tmp_path, cache=cache)
    small, wrong = settings("random", radius=0.0078), settings("random", methods={"anti_diffusion": {}})
    for told, target, message in (
        (small, None, "less than one level of an 8-bit file"),
        (wrong, None, "no method 'anti_diffusion'"),
        (settings("mist"), torch.zeros(3, 16, 16), r"The target is \(3, 16, 16\)"),
        (settings("mist"), torch.full((3, 32, 32), 2.0), "The target holds values outside"),
        (settings("mist"), torch.full((3, 32, 32), torch.nan), "The target holds values outside"),
    ):
        with pytest.raises(InputError, match=message):
            protect(told, levels, fresh(), folder=tmp_path, cache=cache, target=target, resume=False)
    assert protect(settings("random"), levels, fresh(), folder=tmp_path, cache=cache) == made
    least = protect(
        settings("random", radius=0.0079), levels, fresh(), folder=tmp_path / "least", cache=cache
    )
    assert least.record.largest_change == pytest.approx(2 / 255, abs=1e-6)
