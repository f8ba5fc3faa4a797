from __future__ import annotations

import pytest

from visard.cli import console


def test_lines_are_sparse_and_never_the_same_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 100))  # seconds: every call is long after the one before
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(clock)))
    lines = console.Lines("ann")
    for done in (0, 0, 0, 1, 1, 4, 4):
        lines("units", done, 4)
    lines("units", 4, 4, minutes_left=2.0)
    assert capsys.readouterr().err.splitlines() == [
        "ann: units 0/4",
        "ann: units 1/4",
        "ann: units 4/4",
        "ann: units 4/4 minutes_left 2",
    ]


def test_lines_between_wait_their_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.time, "monotonic", lambda: 7.0)
    lines = console.Lines()
    for done in (0, 1, 2):
        lines("photographs", done, 2)
    lines("units", 0, 2)
    assert capsys.readouterr().err.splitlines() == ["photographs 0/2", "photographs 2/2", "units 0/2"]
