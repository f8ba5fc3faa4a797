"""What a table is, as data: rows of arms, columns of figures, and what the paper printed in its cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

PRINTED_NOTHING = "-"
TEST, DEV = "test", "attacker_dev"
"""People whom figures are of, and people on whom choices are made."""


@dataclass(frozen=True)
class Figure:
    """Something measured. `of`: families of which a kit has the recogniser, none for figures of none.

    better: which way a person hopes; percent: how the paper prints it.
    """

    key: str
    better: Literal["higher", "lower", ""] = ""
    of: tuple[str, ...] = ()
    percent: bool = False
    digits: int = 2


@dataclass(frozen=True)
class Column:
    """One column: its printed name, the heads above it, and the prompt its pictures were drawn with.

    Without a prompt the figure is of the arm. Without figures nothing of ours can stand there; with several,
    their mean does.
    """

    title: str
    figures: tuple[Figure, ...]
    prompt: str = ""
    under: str = ""
    """A head between prompt and title: a recogniser."""

    @property
    def better(self) -> str:
        return self.figures[0].better if self.figures else ""


@dataclass(frozen=True)
class Row:
    """One row: an arm, and what the paper printed: data set -> a value for each printed column."""

    title: str
    arm: str
    paper: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One target of `visard bench`.

    columns: the printed ones first, in the paper's order, then `own`. doubts: (row, data set, number of the
    column from 0) -> why the printed value cannot be right. split: whose people it takes.
    """

    name: str
    caption: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    own: tuple[Column, ...] = ()
    stands_in: str = ""
    """What takes the place of what the embedded world does not have."""
    doubts: Mapping[tuple[str, str, int], str] = field(default_factory=dict)
    split: str = TEST
    beside: str = ""
    """The arm that all others are compared with over the same people; "": none."""

    @property
    def arms(self) -> list[str]:
        """Every arm once, in order."""
        return list(dict.fromkeys(row.arm for row in self.rows))

    @property
    def prompts(self) -> list[str]:
        """Every prompt once, in order."""
        found = (column.prompt for column in (*self.columns, *self.own))
        return list(dict.fromkeys(prompt for prompt in found if prompt))


FSR = Figure("fsr", "higher")
ISM = Figure("similarity", "lower", ("arcface",))
ADA = Figure("similarity", "lower", ("adaface",))
FID = Figure("fid", "lower")
SER = Figure("ser", "higher")
BRQ = Figure("brq", "lower")
ISM_ALL = Figure("similarity_all", "lower", ("arcface",))
KID = Figure("kid", "lower", digits=3)
UNNATURAL = Figure("unnaturalness", "lower")
AGREEMENT = Figure("agreement", "higher")
AGREEMENT_ALL = Figure("agreement_all", "higher")
APPEARANCE = Figure("appearance", "higher")
APPEARANCE_ALL = Figure("appearance_all", "higher")
LINKED = Figure("linked", "lower", ("arcface",))
D_SYS = Figure("d_sys", "lower", ("arcface",))
BOTTOM = Figure("bottom_rank", "", ("arcface",), digits=0)
RANK_1 = Figure("rank_1", "lower", ("arcface",))
RANK_1_DESCRIBED = Figure("rank_1_described", "lower")
FACES = Figure("faces", digits=0)


def columns(prompt: str, named: Mapping[str, Figure]) -> tuple[Column, ...]:
    """One column a figure, all of one prompt."""
    return tuple(Column(title, (figure,), prompt) for title, figure in named.items())


def over(prompts: Iterable[str], named: Mapping[str, Figure]) -> tuple[Column, ...]:
    """The same columns under each prompt."""
    return tuple(column for prompt in prompts for column in columns(prompt, named))


def printed(text: str) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """Cells as typed from the paper: "row | data set | numbers" -> row -> data set -> values.

    A line that begins with a bar goes on with the one before; bars among numbers only please the eye.
    """
    found: dict[str, dict[str, tuple[float | None, ...]]] = {}
    row = data = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        numbers = line
        if not line.startswith("|"):
            row, data, numbers = (part.strip() for part in line.split("|", 2))
        cells = numbers.replace("|", " ").split()
        values = tuple(None if cell == PRINTED_NOTHING else float(cell) for cell in cells)
        cells_so_far = found.setdefault(row, {}).get(data, ())
        found[row][data] = (*cells_so_far, *values)
    return found


def rows(arms: Sequence[tuple[str, str]], text: str = "") -> tuple[Row, ...]:
    """Rows of (title, arm) with their printed cells."""
    cells = printed(text)
    return tuple(Row(title, arm, cells.get(title, {})) for title, arm in arms)
