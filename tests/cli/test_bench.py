"""`visard bench main`: what it refuses before anything is trained, and a slice of nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--split", "actors"), "attacker_dev"),
        (("--people", "1001"), "Ask for fewer"),
        (("--arms", "0.1,strong"), "There is no arm 'strong'"),
        (("--device", "cuda:97"), "no device cuda:97"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    visard: Callable[..., Result], tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    refused = visard("bench", "main", tmp_path / "bench", *options)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not (tmp_path / "bench").exists()


def test_a_slice_of_nothing_says_how_to_go_on(visard: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "bench"
    begun = visard("bench", "main", out, "--people", 1, "--strangers", 2, "--units", 0)
    assert begun.exit_code == 2
    assert "The command without --report-only goes on" in " ".join(begun.output.split())
    assert (out / "bench.json").is_file()
    assert not (out / "units").exists()
