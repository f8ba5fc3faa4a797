"""A run killed without warning, in another process, and resumed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from personalization.runs import MOVES, same, start, weights
from visard.diffusion.backbone import Backbone

HERE = Path(__file__).parent


def kill_after(step: int, delay: float, base: Path, cache: Path, folder: Path) -> None:
    """Start the run as a program and SIGKILL it `delay` seconds after it reported `step`."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path]),
    }
    command = [sys.executable, str(HERE / "runs.py"), str(base), str(cache), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            stage, _, done = line.strip().rpartition(" ")
            if stage == "personalization" and int(done) >= step:
                time.sleep(delay)
                break
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_killed_in_the_middle_and_resumed(
    tmp_path: Path, base: Backbone, fresh: Callable[[], Backbone], cache: Path
) -> None:
    whole = start(tmp_path / "whole", fresh(), cache)
    kill_after(5, 0.02, Path(base.source), cache, tmp_path / "killed")
    assert any((tmp_path / "killed" / "checkpoint").iterdir())
    assert not (tmp_path / "killed" / "run.toml").exists()
    assert same(weights(whole), weights(start(tmp_path / "killed", fresh(), cache)))


@pytest.mark.slow
def test_killed_at_twenty_random_moments(
    tmp_path: Path, base: Backbone, fresh: Callable[[], Backbone], cache: Path
) -> None:
    whole = weights(start(tmp_path / "whole", fresh(), cache))
    chance = random.Random(0)
    for attempt in range(20):
        folder = tmp_path / f"killed{attempt}"
        for _ in range(chance.randint(1, 2)):
            kill_after(chance.randint(1, MOVES), chance.random() * 0.2, Path(base.source), cache, folder)
        assert same(whole, weights(start(folder, fresh(), cache))), attempt
