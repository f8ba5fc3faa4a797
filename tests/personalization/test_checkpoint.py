"""Checkpoints: whole or not there, private, in time, and refused by another run."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch

import visard.storage
from visard.errors import InputError, ModelError, StorageError
from visard.personalization.checkpoint import Checkpoints, Snapshot

KEY = {"settings": {"seed": 0, "decoupling": {"rho": 0.1}}, "photos": "abc"}


def snapshot(done: int) -> Snapshot:
    generator = torch.Generator().manual_seed(done)
    return Snapshot(
        done=done,
        weights={"unet.w": torch.randn(3, generator=generator)},
        optimizer={
            "unet.w/exp_avg": torch.randn(3, generator=generator),
            "unet.w/step": torch.tensor(float(done)),
        },
        run={"images": torch.randn(1, 3, 2, 2, generator=generator), "stream/order": generator.get_state()},
        queues={"reference": [2, 0]},
        history=[{"sums": {"S": 0.1 + 0.2}, "counts": {"S": 2}, "faces": {"found": 1}}],
    )


def same(one: Snapshot | None, other: Snapshot) -> bool:
    assert one is not None
    tensors = all(
        torch.equal(value, getattr(one, part)[name])
        for part in ("weights", "optimizer", "run")
        for name, value in getattr(other, part).items()
    )
    return tensors and (one.done, one.queues, one.history) == (other.done, other.queues, other.history)


def test_a_snapshot_survives_to_the_last_bit(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoint", KEY)
    assert checkpoints.load() is None
    assert checkpoints.newest_key() is None
    checkpoints.save(snapshot(3))
    assert same(checkpoints.load(), snapshot(3))
    assert Checkpoints(tmp_path / "checkpoint", {}).newest_key() == KEY


def test_the_newest_stands_alone_in_a_private_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    checkpoints = Checkpoints(folder, KEY)
    checkpoints.save(snapshot(3))
    (folder / ".00000009.beef.part").mkdir()
    checkpoints.save(snapshot(12))
    assert [each.name for each in folder.iterdir()] == ["00000012"]
    assert same(checkpoints.load(), snapshot(12))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    checkpoints.delete()
    assert not folder.exists()


def test_what_a_crash_left_half_written_is_not_read(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoint", KEY)
    checkpoints.save(snapshot(3))
    (tmp_path / "checkpoint" / ".00000009.beef.part").mkdir()
    assert same(checkpoints.load(), snapshot(3))


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoint", KEY)
    checkpoints.save(snapshot(3))
    synced: list[Any] = []

    def full(path: Path) -> None:
        synced.append(path)
        if len(synced) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(visard.storage, "_sync", full)
    with pytest.raises(StorageError, match="full"):
        checkpoints.save(snapshot(9))
    monkeypatch.undo()
    assert [each.name for each in (tmp_path / "checkpoint").iterdir()] == ["00000003"]
    assert same(checkpoints.load(), snapshot(3))
    checkpoints.save(snapshot(9))
    assert same(checkpoints.load(), snapshot(9))


def test_another_run_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "checkpoint", KEY).save(snapshot(3))
    other = {"settings": {"seed": 1, "decoupling": {"rho": 0.3}}, "photos": "abd"}
    with pytest.raises(InputError) as error:
        Checkpoints(tmp_path / "checkpoint", other).load()
    assert "photos, settings.decoupling.rho (0.1 then, 0.3 now), settings.seed (0 then, 1 now)" in str(
        error.value
    )
    assert "abd" not in str(error.value)


@pytest.mark.parametrize("damage", ["", "{", '{"format": 0}'])
def test_a_damaged_checkpoint_says_so(tmp_path: Path, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoint", KEY)
    checkpoints.save(snapshot(3))
    (tmp_path / "checkpoint" / "00000003" / "state.json").write_text(damage)
    with pytest.raises(ModelError, match="without resuming"):
        checkpoints.load()


def test_saving_is_due_by_time_and_never_takes_more_than_its_share(tmp_path: Path) -> None:
    now = [0.0]
    checkpoints = Checkpoints(tmp_path / "checkpoint", KEY, every=60.0, clock=lambda: now[0])
    now[0] = 29.0
    assert not checkpoints.due(boundary=True)
    now[0] = 31.0
    assert checkpoints.due(boundary=True)
    assert not checkpoints.due()
    now[0] = 60.0
    assert checkpoints.due()
    ticks = iter([100.0, 110.0, 110.0, 110.0])
    checkpoints.clock = lambda: next(ticks)
    checkpoints.save(snapshot(1))  # took ten seconds
    checkpoints.clock = lambda: now[0]
    now[0] = 110.0 + 199.0
    assert not checkpoints.due()
    now[0] = 110.0 + 200.0
    assert checkpoints.due()


def test_every_zero_is_after_every_step(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "checkpoint", KEY, every=0.0).due()


def test_what_another_program_keeps_there_is_left_alone(tmp_path: Path) -> None:
    foreign = [tmp_path / name / "model.bin" for name in ("step-1000", "1000", ".cache")]
    for file in foreign:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"theirs")
    checkpoints = Checkpoints(tmp_path, KEY)
    assert checkpoints.newest_key() is None
    for done in (1, 2):
        checkpoints.save(snapshot(done))
    assert [each.name for each in sorted(tmp_path.iterdir())] == [".cache", "00000002", "1000", "step-1000"]
    checkpoints.delete()
    assert [each.name for each in sorted(tmp_path.iterdir())] == [".cache", "1000", "step-1000"]
