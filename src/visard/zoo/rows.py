"""Rows of a kit that name a published model instead of describing it, and what its licences are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visard.errors import InputError
from visard.zoo.folder import added, file_of
from visard.zoo.table import find

SECTIONS = {"recognizers": "recognizer", "detector": "detector"}


@dataclass(frozen=True)
class Licence:
    """What a model's makers allow: for its weights, its code, and what it was trained on."""

    model: str
    role: str
    weights: str
    code: str = ""
    training: str = ""
    source: str = ""


def expanded(kit: Mapping[str, Any]) -> dict[str, Any]:
    """A kit's table with each `zoo = "irse50"` replaced by what `models.toml` and the models folder know.

    What the row says itself goes first. Raises InputError for a model there is none of, or of another kind.
    """
    digests = dict(kit.get("sha256", {}))
    table = dict(kit)
    for section, kind in SECTIONS.items():
        if isinstance(rows := kit.get(section), list):
            table[section] = [_expanded(row, kind, digests) for row in rows]
        elif isinstance(rows, Mapping):
            table[section] = _expanded(rows, kind, digests)
    return {**table, "sha256": digests} if digests else table


def licence(name: str, role: str, *, zoo: str = "", own: str = "") -> Licence:
    """The licences of a kit's model: those of the table for one of `zoo`, else what the kit says itself."""
    if not zoo:
        return Licence(name, role, own or "not stated in the kit")
    entry = find(zoo)
    return Licence(name, role, entry.weights_licence, entry.code_licence, entry.training, entry.source)


def _expanded(row: Any, kind: str, digests: dict[str, str]) -> Any:
    if not isinstance(row, Mapping) or "zoo" not in row:
        return row
    entry = find(str(row["zoo"]))
    if entry.kind != kind:
        raise InputError(f"{entry.name} is no {kind}.", "visard models list says what each model is.")
    file = file_of(entry).as_posix()
    present = added(entry.name)
    if "file" not in row and present is not None:
        digests.setdefault(file, present.sha256)
    return {"name": entry.name, "file": file, **entry.settings(), **row}
