"""From finished units to the cells of a table: means over people, and figures of all pictures at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from visard.audit.serfiq import SerFiq
from visard.benchmark.features import NATURAL, NETWORK, Features, Seen
from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import Protocol
from visard.benchmark.result import SIMILARITIES_FILE, Result
from visard.benchmark.summary import (
    FSR,
    Summary,
    difference,
    mean_over_figures,
    shared_people,
    summarize,
)
from visard.benchmark.table import FID, UNNATURAL, Column, Figure
from visard.errors import ModelError
from visard.kits import Kit
from visard.metrics.brisque import BrisqueModel
from visard.metrics.frechet import fid, kid_between_people
from visard.metrics.jackknife import jackknife_interval
from visard.metrics.linkability import d_sys
from visard.metrics.naturalness import feature_distance
from visard.storage import load_tensors

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

    Only people whom every arm that has begun has finished are compared; where there is none, all are, and the
    summary is not paired.
    """

    def __init__(self, label: str, out: Path, results: Sequence[Result], kit: Kit | None = None) -> None:
        self.label, self.out, self.kit = label, out, kit
        self.results = shared_people(results) or list(results)
        self.protocol = Protocol.of(out)
        self.features = Features(out, self.protocol, kit)
        self._cells: dict[tuple[str, Column], Cell | None] = {}

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
        if (arm, column) not in self._cells:
            self._cells[arm, column] = self._measure(arm, column)
        return self._cells[arm, column]

    def _measure(self, arm: str, column: Column) -> Cell | None:
        found = [self.figure(arm, column.prompt, figure) for figure in column.figures]
        cells = [each for each in found if each is not None and not math.isnan(each.value)]
        if not cells or len(cells) < len(found):
            return None
        if len(cells) == 1:
            return cells[0]
        wanted = [(self._recognizer(each), each.key) for each in column.figures]
        average = mean_over_figures(self.results, arm, column.prompt, wanted)
        return _scaled(average, 100.0 if column.figures[0].percent else 1.0)

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
        values: dict[int, list[float]] = {}
        for result in self._mine(arm):
            if figure.key in result.scores.get("change", {}):
                values.setdefault(result.unit.person, []).append(float(result.scores["change"][figure.key]))
        return pooled(lambda people: mean(mean(values[each]) for each in people), list(values))

    def linkability(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """D_sys of all people's scores, beside what strangers in their places give."""
        name = self._recognizer(figure)
        rows: dict[int, list[Tensor]] = {}
        for result in self._mine(arm):
            try:
                kept, _ = load_tensors(result.unit.folder(self.out) / SIMILARITIES_FILE)
            except ModelError:
                return None
            if f"{name}/{prompt}" not in kept:
                return None
            scores = kept[f"{name}/{prompt}"]
            rows.setdefault(result.unit.person, []).append(scores[~scores.isnan().any(1)])
        generator = torch.Generator().manual_seed(0)
        everybody = [each for person in rows.values() for each in person]
        null = [_stand_ins(everybody, generator) for _ in range(NULL_DRAWS)]

        def of(people: Sequence[int]) -> float:
            mine = torch.cat([each for person in people for each in rows[person]])
            return d_sys(mine[:, 0], mine[:, 1:].flatten())

        return pooled(of, list(rows), f"chance {sum(null) / len(null):.2f}", least=0.0, most=1.0)

    def frechet(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """FID or KID of all people's pictures against their clean photos."""
        if self.features.network is None:
            return None
        drawn, photos = self._pictures(NETWORK, arm, prompt=prompt), self._photos(NETWORK)
        if min(len(drawn.features), len(photos.features)) < 2:
            return None

        def of(people: Sequence[int]) -> float:
            mine, real = drawn.of(people), photos.of(people)
            if figure.key == "fid":
                return fid(mine.features, real.features)
            return kid_between_people(mine.features, real.features, mine.people, real.people)

        least = 0.0 if figure.key == "fid" else -math.inf  # KID is unbiased, and so may be below nothing
        people = sorted(set(drawn.people.tolist()))
        counts = f"n = {len(drawn.features)}, {len(photos.of(people).features)}"
        return pooled(of, people, counts, least)

    def difference(self, arm: str, other: str, figure: Figure) -> Interval | None:
        """A figure of one arm minus that of another, over all prompts and the same people."""
        if not (self._mine(arm) and self._mine(other)):
            return None
        if figure == FID:
            return self._fid_difference(arm, other)
        if figure == UNNATURAL:
            return self._unnaturalness_difference(arm, other)
        return difference(self.results, arm, other, self._recognizer(figure), figure.key)

    def _fid_difference(self, arm: str, other: str) -> Interval | None:
        if self.features.network is None:
            return None
        photos = self._photos(NETWORK)

        def worse(mine: Seen, theirs: Seen, people: Sequence[int]) -> float:
            real = photos.of(people).features
            return fid(mine.of(people).features, real) - fid(theirs.of(people).features, real)

        return self._over_prompts(worse, (arm, other), NETWORK)

    def _unnaturalness_difference(self, arm: str, other: str) -> Interval | None:
        photos = self._photos(NATURAL)
        if len(photos.features) < ENOUGH_PHOTOS:
            return None

        def worse(mine: Seen, theirs: Seen, people: Sequence[int]) -> float:
            return _distance(mine.of(people), photos) - _distance(theirs.of(people), photos)

        return self._over_prompts(worse, (arm, other), NATURAL)

    def _over_prompts(
        self,
        worse: Callable[[Seen, Seen, Sequence[int]], float],
        arms: tuple[str, str],
        kind: str,
    ) -> Interval | None:
        """The mean over the prompts of how much worse the first arm's pictures of some people are."""
        pairs = [
            (self._pictures(kind, *arms, prompt=prompt), self._pictures(kind, *arms[::-1], prompt=prompt))
            for prompt in self.results[0].scores["prompts"]
        ]
        people = sorted({result.unit.person for result in self._mine(*arms)})
        cell = pooled(lambda people: mean(worse(*pair, people) for pair in pairs), people)
        return None if cell is None else Interval(cell.value, cell.low, cell.high)

    def unnaturalness(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """Distance of the pictures' BRISQUE features from those of the clean photos."""
        photos = self._photos(NATURAL)
        if len(photos.features) < ENOUGH_PHOTOS:
            return None
        drawn = self._pictures(NATURAL, arm, prompt=prompt)
        return pooled(
            lambda people: _distance(drawn.of(people), photos),
            sorted(set(drawn.people.tolist())),
            least=0.0,
        )

    def brisque(self, arm: str, prompt: str, figure: Figure) -> Cell | None:
        """Mean BRISQUE score, by the kit's trained model."""
        model = self._brisque
        if model is None:
            return None
        drawn = self._pictures(NATURAL, arm, prompt=prompt)
        people = sorted(set(drawn.people.tolist()))
        return pooled(lambda people: float(model.score(drawn.of(people).features).mean()), people)

    @property
    def notes(self) -> dict[str, str]:
        """What must be known to read a column: through which network it is seen."""
        found = {}
        if (network := self.features.network) is not None:
            found["FID"] = (
                f"FID and KID are over the features of {network.name}: not to be compared with the "
                "paper's, whose are Inception's."
            )
        if self.kit is not None and (quality := SerFiq.by_one_of(self.kit.judges())) is not None:
            found["SER"] = f"SER is by {quality.name}."
        if self.kit is not None and (describer := self.kit.describer()) is not None:
            found["appearance"] = (
                f"Appearance is by {describer.name}: similarity of how it describes pictures and person, 0 "
                "as of strangers on average; “described” is a search by that alone."
            )
        if self._brisque is not None:
            found["BRQ"] = f"BRQ is by {self._brisque.name}."
        if self.kit is not None and self.kit.contents.perceptual is not None:
            found["LPIPS"] = "LPIPS is version 0.1 on AlexNet."
        return found

    def _pictures(self, kind: str, arm: str, *beside: str, prompt: str) -> Seen:
        return self.features.of_pictures(kind, self._mine(arm, *beside), prompt)

    def _photos(self, kind: str) -> Seen:
        return self.features.of_photos(kind, [result.unit for result in self.results])

    @cached_property
    def _brisque(self) -> BrisqueModel | None:
        return None if self.kit is None else self.kit.brisque()

    def _mine(self, arm: str, *beside: str) -> list[Result]:
        """The arm's results; only of people and seeds that the arms beside it have as well."""
        mine = [result for result in self.results if result.unit.arm == arm]
        for other in beside:
            theirs = {(each.unit.person, each.unit.seed) for each in self._mine(other)}
            mine = [each for each in mine if (each.unit.person, each.unit.seed) in theirs]
        return mine

    def _recognizer(self, figure: Figure) -> str:
        """The kit's recogniser that stands for the figure's, "" if it is of none."""
        return self.summary.member(*figure.of)


def pooled(
    statistic: Callable[[Sequence[int]], float],
    people: Sequence[int],
    note: str = "",
    least: float = -math.inf,
    most: float = math.inf,
) -> Cell | None:
    """A figure of all people at once, with the jackknife's interval; None without any people.

    least, most: what the figure cannot be beyond, and the interval, which is symmetric, is not said to be.
    """
    if not people:
        return None
    low, high = jackknife_interval(statistic, people)
    if not math.isnan(low):
        low, high = max(low, least), min(high, most)
    return Cell(statistic(people), low, high, note)


POOLED: dict[str, Callable[[Measures, str, str, Figure], Cell | None]] = {
    "faces": Measures.faces,
    "psnr": Measures.change,
    "ssim": Measures.change,
    "lpips": Measures.change,
    "d_sys": Measures.linkability,
    "fid": Measures.frechet,
    "kid": Measures.frechet,
    "unnaturalness": Measures.unnaturalness,
    "brq": Measures.brisque,
}


def _distance(pictures: Seen, photos: Seen) -> float:
    """Mean distance of the pictures' features from the photos'."""
    return float(feature_distance(pictures.features, photos.features).mean())


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
