"""Everything a run needs to continue to the same last bit, in a private folder that is whole or not there."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from visard.errors import InputError, ModelError
from visard.storage import atomic_folder, atomic_write, load_tensors, save_tensors, storage_errors

FORMAT = 1
STATE = "state.json"
WEIGHTS, OPTIMIZER, RUN = "weights.safetensors", "optimizer.safetensors", "run.safetensors"
NAME = re.compile(r"(\.)?\d{8}(?(1)\..*)")
"""Of a snapshot, or hidden and with a suffix of one half written: what else is in the folder is not ours."""
BEGIN_ANEW = "Begin anew, without resuming."
LARGEST_SHARE = 0.05
"""Of a run's time that writing checkpoints may take."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a run between two moves."""

    done: int
    """Moves made."""
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    run: Mapping[str, Tensor]
    """X', the ball's centre and the state of every generator."""
    queues: Mapping[str, list[int]]
    """What is left of each data order's current pass."""
    history: list[dict[str, Any]]


class Checkpoints:
    """The newest snapshot of one run in `folder`, readable by its owner alone.

    `run_key` says what a run is (its settings and hashes of what it is given), as nested JSON; a snapshot of
    another run is refused. A snapshot gets a new name and the one before is removed only once it is whole, so
    that neither a crash nor a full disk can leave none.
    """

    def __init__(
        self,
        folder: Path,
        run_key: Mapping[str, Any],
        *,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.run_key, self.every, self.clock = folder, dict(run_key), every, clock
        self._last, self._cost = clock(), 0.0

    def due(self, *, boundary: bool = False) -> bool:
        """Whether to save: after `every` seconds, half of them at a `boundary`, at most 5 % of all time."""
        wait = self.every / 2 if boundary else self.every
        if self.every > 0:
            wait = max(wait, self._cost / LARGEST_SHARE)
        return self.clock() - self._last >= wait

    def save(self, snapshot: Snapshot) -> None:
        """Write `snapshot` beside the one before, then remove that. Raises StorageError and keeps that."""
        target = self.folder / f"{snapshot.done:08d}"
        if target.exists():  # the same move of the same run: the same state
            return
        started = self.clock()
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        state = {
            "format": FORMAT,
            "run_key": self.run_key,
            "done": snapshot.done,
            "queues": snapshot.queues,
            "history": snapshot.history,
        }
        with atomic_folder(target) as fresh:
            save_tensors(fresh / WEIGHTS, snapshot.weights, {})
            save_tensors(fresh / OPTIMIZER, snapshot.optimizer, {})
            save_tensors(fresh / RUN, snapshot.run, {})
            atomic_write(fresh / STATE, json.dumps(state).encode())
        self._remove_all_but(target)
        self._last = self.clock()
        self._cost = self._last - started

    def load(self) -> Snapshot | None:
        """The newest snapshot, or None. InputError when it is another run's, ModelError when damaged."""
        newest = self._newest()
        if newest is None:
            return None
        state = self._read_state(newest)
        if changed := differences(state["run_key"], self.run_key):
            raise InputError(
                f"The checkpoint in {self.folder} is another run's; it differs in {', '.join(changed)}.",
                "Give what it was started with, choose another folder, or begin anew without resuming.",
            )
        weights, optimizer, run = (load_tensors(newest / name)[0] for name in (WEIGHTS, OPTIMIZER, RUN))
        return Snapshot(state["done"], weights, optimizer, run, state["queues"], state["history"])

    def newest_key(self) -> dict[str, Any] | None:
        """The run key of the newest snapshot, whichever run's it is, or None. Raises ModelError."""
        newest = self._newest()
        return None if newest is None else dict(self._read_state(newest)["run_key"])

    def delete(self) -> None:
        """Remove every snapshot, whole or begun: they hold the photos. What else is there stays."""
        with storage_errors(self.folder):
            if not self.folder.is_dir():
                return
            for each in self._ours():
                shutil.rmtree(each)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _newest(self) -> Path | None:
        files = (STATE, WEIGHTS, OPTIMIZER, RUN)
        whole = [each for each in self._ours() if not each.name.startswith(".")]
        return max((each for each in whole if any((each / name).exists() for name in files)), default=None)

    def _ours(self) -> list[Path]:
        """Every snapshot, whole or begun."""
        if not self.folder.is_dir():
            return []
        return [each for each in self.folder.iterdir() if NAME.fullmatch(each.name) and each.is_dir()]

    def _read_state(self, snapshot: Path) -> dict[str, Any]:
        try:
            state = json.loads((snapshot / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"The checkpoint in {self.folder} is damaged: {error}.", BEGIN_ANEW) from error
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ModelError(f"The checkpoint in {self.folder} was written by another version.", BEGIN_ANEW)
        return state

    def _remove_all_but(self, keep: Path) -> None:
        """Older snapshots, and what a crash may have left half written."""
        for each in self._ours():
            if each != keep:
                shutil.rmtree(each, ignore_errors=True)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names of what differs; settings with their values, hashes without."""
    found: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            shown = f" ({before} then, {after} now)" if prefix else ""
            found.append(f"{prefix}{key}{shown}")
    return found
