"""The table of published models (`models.toml`): how each is built, what it wants to see, whose it is."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from visard.errors import InputError
from visard.faces.architectures import ARCHITECTURES
from visard.faces.recognizer import InputSpec, RecognizerRow
from visard.faces.scrfd import DetectorRow
from visard.settings import from_table, read_toml

TABLE = Path(__file__).with_name("models.toml")
RUNTIMES = ("onnx", "scrfd_onnx", "openvino")
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A published model.

    files: names it is published under, the usual one first. companions: suffixes of what lies beside it.
    sha256: of the loaded file, where somebody else has published it too; several when it is in circulation
    several times. code_licence and weights_licence differ more often than not: the second decides.
    architecture, config, input, state, prefix, sizes, margin: those of a kit's row.
    """

    name: str
    kind: Literal["recognizer", "detector", "base"]
    family: str
    source: str
    code_licence: str
    weights_licence: str
    architecture: str = ""
    files: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    input: InputSpec | None = None
    config: dict[str, Any] = field(default_factory=dict)
    state: str = ""
    prefix: str = ""
    sizes: tuple[int, ...] = ()
    margin: float = 0.0
    size: int = 0
    sha256: tuple[str, ...] = ()
    training: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if self.kind != "base" and self.architecture not in (*ARCHITECTURES, *RUNTIMES):
            raise ValueError(f"{self.name} is of the unknown architecture {self.architecture!r}")
        if self.kind == "recognizer" and self.input is None:
            raise ValueError(f"{self.name} says nothing of its input")
        if self.kind != "base" and not self.files:
            raise ValueError(f"{self.name} names no file")
        if not all(DIGEST.fullmatch(digest) for digest in self.sha256):
            raise ValueError(f"{self.name} has a sha256 that is none")

    @property
    def differentiable(self) -> bool:
        """Whether a gradient reaches the picture: only then can it be a surrogate."""
        return self.architecture in ARCHITECTURES

    def row(self, file: Path) -> RecognizerRow | DetectorRow:
        """A kit's row of the model whose weights are `file`. Raises InputError for a base model."""
        if self.kind == "base":
            raise InputError(
                f"{self.name} is a base model.", f"Name it where it is used: --base {self.name}."
            )
        table = {"name": self.name, "file": str(file), **self.settings()}
        if self.kind == "recognizer":
            return from_table(RecognizerRow, {"role": "judge", **table})
        return from_table(DetectorRow, table)

    def settings(self) -> dict[str, Any]:
        """What a kit's row need not repeat, as TOML has it."""
        table = read_toml(TABLE)[self.name]
        wanted = RecognizerRow if self.kind == "recognizer" else DetectorRow
        known = {each.name for each in fields(wanted)}
        return {"zoo": self.name, **{key: value for key, value in table.items() if key in known}}


def entries() -> dict[str, Entry]:
    """Every published model the table knows, by name. Raises InputError when the table is wrong."""
    return {
        name: from_table(Entry, {"name": name, **table}, f"{name}.")
        for name, table in read_toml(TABLE).items()
    }


def find(name: str) -> Entry:
    """The model of that name. Raises InputError, with the nearest name."""
    known = entries()
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        advice = f"Did you mean {nearest[0]}?" if nearest else "visard models list shows them all."
        raise InputError(f"There is no published model {name!r} in the table.", advice)
    return known[name]
