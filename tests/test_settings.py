from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from visard.errors import InputError
from visard.settings import from_table, from_toml, read_toml, to_table, to_toml


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["carry", "floor"] = "carry"

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, not {self.rate}")


@dataclass(frozen=True)
class Outer:
    name: str
    steps: int = 10
    quick: bool = False
    seed: int | None = None
    folder: Path | None = None
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 2.0)
    words: list[str] = field(default_factory=list)
    inner: Inner = field(default_factory=Inner)
    rows: list[Inner] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


FULL = Outer(
    name='a "quoted" name',
    steps=3,
    quick=True,
    seed=7,
    folder=Path("here/there"),
    sizes=(4, 5, 6),
    pair=(2, 0.5),
    words=["x", "y"],
    inner=Inner(0.25, "floor"),
    rows=[Inner(0.1), Inner(0.2)],
    extra={"width": 3, "deep": {"a": [1, 2]}},
)


@pytest.mark.parametrize("settings", [FULL, Outer(name="plain")])
def test_toml_and_back(settings: Outer, tmp_path: Path) -> None:
    text = to_toml(settings)
    assert from_toml(Outer, text) == settings
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    assert from_toml(Outer, tmp_path / "run.toml") == settings


def test_a_table_is_what_toml_and_json_give_back() -> None:
    for settings in (FULL, Outer(name="plain")):
        table = to_table(settings)
        assert table == read_toml(to_toml(settings)) == json.loads(json.dumps(table))
        assert from_table(Outer, table) == settings


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ('name = "a"\nstpes = 3', "no setting stpes", "Did you mean steps"),
        ('name = "a"\n[inner]\nrat = 1', "no setting inner.rat", "Did you mean inner.rate"),
        ('name = "a"\nzzzzzz = 1', "no setting zzzzzz", "Known here: name"),
        ("steps = 3", "setting name is missing", "Add it"),
        ('name = "a"\nsteps = 3.5', "steps cannot be 3.5", "whole number"),
        ('name = "a"\nsteps = true', "steps cannot be True", "whole number"),
        ('name = "a"\nquick = 1', "quick cannot be 1", "true or false"),
        ('name = "a"\nsizes = [1, "x"]', r"sizes\[1\] cannot be 'x'", "whole number"),
        ('name = "a"\npair = [1]', "pair cannot be", "tuple"),
        ('name = "a"\ninner = 3', "inner cannot be 3", "table"),
        ('name = "a"\n[inner]\nkind = "round"', "inner.kind cannot be 'round'", "carry, floor"),
        ('name = "a"\n[inner]\nrate = 2', "rate must be between 0 and 1, not 2", "Change"),
        ('name = "a"\n[[rows]]\nrate = 2', r"rows\[0\]", "Change"),
        ("name = ", "not TOML", "Correct"),
    ],
)
def test_mistakes_are_named(text: str, message: str, advice: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        from_toml(Outer, text)
    assert advice in caught.value.advice


def test_whole_numbers_serve_as_numbers() -> None:
    assert from_table(Inner, {"rate": 1}).rate == 1.0
    assert isinstance(from_table(Inner, {"rate": 1}).rate, float)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        from_toml(Outer, tmp_path / "nowhere.toml")
