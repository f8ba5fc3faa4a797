"""Similarities recorded once on pictures that ship: a recogniser read as then must give them again.

The pictures are renders of people who do not exist. A record belongs to a file, by its digest, whatever the
model is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import tomli_w
import torch
from torch import Tensor

from visard.faces.recognizer import Recognizer
from visard.images import read_image, to_tensor
from visard.settings import from_table, read_toml
from visard.storage import atomic_write
from visard.zoo.folder import models_folder
from visard.zoo.reading import alternatives, embed, pairs

PICTURES = Path(__file__).parent / "pictures"
RECORDS = Path(__file__).with_name("records.toml")
PAIRS = 15
TOLERANCE = 0.01
"""Between similarities here and there: the arithmetic of other machines stays far below."""


@dataclass(frozen=True)
class Record:
    """Similarities of all pairs of the known pictures, in order, under the model whose file has a digest."""

    name: str
    similarities: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.similarities) != PAIRS:
            raise ValueError(f"a record holds {PAIRS} similarities, not {len(self.similarities)}")


def similarities(recognizer: Recognizer) -> Tensor:
    """Of all pairs of the known pictures: (15,)."""
    photos, landmarks = known_pictures()
    return pairs(embed(recognizer, photos, landmarks))


def known_pictures() -> tuple[Tensor, Tensor]:
    """Six renders (6, 3, 128, 128) of three people, two each, and their landmarks (6, 5, 2)."""
    points = read_toml(PICTURES / "landmarks.toml")
    photos = [to_tensor(read_image(PICTURES / f"{name}.png")) for name in points]
    return torch.stack(photos), torch.tensor(list(points.values()))


def records() -> dict[str, Record]:
    """All records by digest: those that ship, and those made here."""
    files = [file for file in (RECORDS, models_folder() / RECORDS.name) if file.is_file()]
    return {
        digest: from_table(Record, table, f"{digest}.")
        for file in files
        for digest, table in read_toml(file).items()
    }


def record(name: str, digest: str, found: Tensor) -> None:
    """Keep the similarities (15,) found under the file of that digest, in the models folder.

    The comments that the folder's records begin with stay.
    """
    file = models_folder() / RECORDS.name
    known = read_toml(file) if file.is_file() else {}
    values = [round(value, 4) for value in found.tolist()]
    text = tomli_w.dumps({**known, digest: {"name": name, "similarities": values}})
    atomic_write(file, (_leading_comments(file) + text).encode())


def disagreement(recognizer: Recognizer, found: Tensor, recorded: Record) -> str:
    """What the record speaks against in the similarities found; empty if they agree.

    Where another input would have given the recorded ones, it is named.
    """
    wanted = torch.tensor(recorded.similarities)
    if _agree(found, wanted):
        return ""
    off = float((found - wanted).abs().max())
    fitting = [
        what
        for what, spec in alternatives(recognizer.spec)
        if _agree(similarities(recognizer.reading(spec)), wanted)
    ]
    meant = f"; they are those of {fitting[0]}" if fitting else ""
    return f"similarities are up to {off:.3f} off the recorded ones{meant}"


def _leading_comments(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
    return "".join(takewhile(lambda line: line.startswith("#") or not line.strip(), lines))


def _agree(found: Tensor, wanted: Tensor) -> bool:
    return bool(((found - wanted).abs() <= TOLERANCE).all())
