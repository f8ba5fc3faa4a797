"""From finished units to the cells of a table: means over people, and figures of all pictures at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from visard.audit.quality import encode
from visard.benchmark.people import CLEAN, load_photos
from visard.benchmark.protocol import Protocol
from visard.benchmark.summary import FSR, Interval, Summary, shared_people, summarize
from visard.benchmark.table import Column, Figure
from visard.benchmark.unit import SIMILARITIES_FILE, Result, UnitJob
from visard.errors import ModelError
from visard.kits import Kit
from visard.metrics.brisque import brisque_features
from visard.metrics.frechet import fid, kid
from visard.metrics.linkability import d_sys
from visard.metrics.naturalness import feature_distance
from visard.storage import load_tensors

BATCH = 16
NULL_DRAWS = 50
ENOUGH_PHOTOS = 10
"""Real photos that say what is natural."""
NAN = math.nan


@dataclass(frozen=True)
class Cell:
    """A value as the table prints it; low and high bound its 95 % interval, NaN without one.

    note: what must stand beside it.
    """

    value: float
    low: float = NAN
    high: float = NAN
    note: str = ""


class Measures:
    """Figures of one benchmark's units; `label` says whose they are.

    Only people whom every arm that has begun has finished are compared, or all where there is none.
    """

    def __init__(self, label: str, out: Path, results: Sequence[Result], kit: Kit | None = None) -> None:
        self.label, self.out, self.kit = label, out, kit
        self.results = shared_people(results) or list(results)
        self.protocol = Protocol.of(out)
        self._looked: dict[tuple[str, str, str], Tensor] = {}

    @cached_property
    def summary(self) -> Summary:
        """Means over people."""
        return summarize(self.results)

    @property
    def people(self) -> list[int]:
        return sorted({result.unit.person for result in self.results})

    @property
    def detector(self) -> str:
        """Its name and setting, which FSR depends on."""
        return str(self.results[0].scores["detector"])

    def cell(self, arm: str, column: Column) -> Cell | None:
        """What stands in a column for an arm; None where nothing was measured."""
        found = [self.figure(arm, column.prompt, figure) for figure in column.figures]
        cells = [each for each in found if each is not None and not math.isnan(each.value)]
        if not cells or len(cells) < len(found):
            return None
        if len(cells) == 1:
            return cells[0]
        return Cell(sum(each.value for each in cells) / len(cells))

    def figure(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """One figure of one arm's pictures of one prompt."""
        if self._mine(arm) == []:
            return None
        if figure.key in POOLED:
            return POOLED[figure.key](self, arm, prompt, figure)
        row = self.summary.find(arm, prompt, self._recognizer(figure), figure.key)
        if row is None:
            return None
        return _scaled(row.mean, 100.0 if figure.percent else 1.0)

    def faces(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """How many pictures show a face, of how many."""
        row = self.summary.find(arm, prompt, "", FSR)
        return None if row is None else Cell(row.faces, note=f"of {row.pictures}")

    def change(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """How far the optimised photos are from the photos: mean over people."""
        values = [
            result.scores["change"][figure.key]
            for result in self._mine(arm)
            if figure.key in result.scores.get("change", {})
        ]
        return Cell(sum(values) / len(values)) if values else None

    def linkability(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """D_sys of all people's scores, beside what strangers in their places give."""
        name = self._recognizer(figure)
        rows = []
        for result in self._mine(arm):
            try:
                kept, _ = load_tensors(result.unit.folder(self.out) / SIMILARITIES_FILE)
            except ModelError:
                return None
            if f"{name}/{prompt}" not in kept:
                return None
            scores = kept[f"{name}/{prompt}"]
            rows.append(scores[~scores.isnan().any(1)])
        mated = torch.cat([each[:, 0] for each in rows])
        strangers = torch.cat([each[:, 1:].flatten() for each in rows])
        generator = torch.Generator().manual_seed(0)
        null = [_stand_ins(rows, generator) for _ in range(NULL_DRAWS)]
        return Cell(d_sys(mated, strangers), note=f"chance {sum(null) / len(null):.2f}")

    def frechet(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """FID or KID of all people's pictures against their clean photos."""
        network = self.kit.features() if self.kit is not None else None
        if network is None:
            return None
        look: Look = lambda pictures: encode(network, pictures, BATCH)  # noqa: E731
        drawn, photos = self._pictures(arm, prompt, "features", look), self._photos("features", look)
        if min(len(drawn), len(photos)) < 2:
            return None
        counts = f"n = {len(drawn)}, {len(photos)}"
        if figure.key == "fid":
            return Cell(fid(drawn, photos), note=counts)
        return Cell(kid(drawn, photos, torch.Generator().manual_seed(0))[0], note=counts)

    def unnaturalness(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """Distance of the pictures' BRISQUE features from those of the clean photos."""
        photos = self._photos("brisque", brisque_features)
        if len(photos) < ENOUGH_PHOTOS:
            return None
        drawn = self._pictures(arm, prompt, "brisque", brisque_features)
        return Cell(float(feature_distance(drawn, photos).mean()))

    def _pictures(self, arm: str, prompt: str, kind: str, look: Look) -> Tensor:
        key = (kind, arm, prompt)
        if key not in self._looked:
            jobs = [UnitJob(result.unit, self.protocol, self.out) for result in self._mine(arm)]
            self._looked[key] = torch.cat([look(job.pictures_of(prompt)) for job in jobs])
        return self._looked[key]

    def _photos(self, kind: str, look: Look) -> Tensor:
        key = (kind, "", "")
        if key not in self._looked:
            side = UnitJob(self.results[0].unit, self.protocol, self.out).side
            folders = [self.out / "people" / str(person) / CLEAN for person in self.people]
            self._looked[key] = torch.cat([look(load_photos(folder, side)) for folder in folders])
        return self._looked[key]

    def _mine(self, arm: str) -> list[Result]:
        return [result for result in self.results if result.unit.arm == arm]

    def _recognizer(self, figure: Figure) -> str:
        """The kit's recogniser that stands for the figure's, "" if it is of none."""
        known = [*self.summary.recognizers("judges"), *self.summary.recognizers("surrogates")]
        return next((name for name in figure.of if name in known), "")


Look = Callable[[Tensor], Tensor]
"""Pictures (P, 3, H, W) -> features (P, D)."""
POOLED: dict[str, Callable[[Measures, str, str, Figure], Cell | None]] = {
    "faces": Measures.faces,
    "psnr": Measures.change,
    "ssim": Measures.change,
    "lpips": Measures.change,
    "d_sys": Measures.linkability,
    "fid": Measures.frechet,
    "kid": Measures.frechet,
    "unnaturalness": Measures.unnaturalness,
}


def _scaled(interval: Interval, factor: float) -> Cell:
    return Cell(factor * interval.value, factor * interval.low, factor * interval.high)


def _stand_ins(rows: Sequence[Tensor], generator: torch.Generator) -> float:
    """D_sys were every person one of the strangers: rows (F, 1 + N) of each person, whose own column is 0."""
    mated, others = [], []
    for each in rows:
        chosen = int(torch.randint(1, each.shape[1], (1,), generator=generator))
        mated.append(each[:, chosen])
        others.append(torch.cat([each[:, 1:chosen], each[:, chosen + 1 :]], 1).flatten())
    return d_sys(torch.cat(mated), torch.cat(others))
