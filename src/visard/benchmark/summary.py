"""From scores of units to figures of arms: means over people, resampled by people, paired with no defence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from visard.benchmark.protocol import NONE
from visard.benchmark.scoring import is_of
from visard.benchmark.unit import Result
from visard.metrics.bootstrap import SubjectBootstrap, estimate, percentile_interval

ALL_PROMPTS = "all prompts"
"""Mean of the prompts, person by person."""
FSR, AGREEMENT = "fsr", "agreement"
DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; NaN bounds where there is one person."""

    value: float
    low: float
    high: float

    def apart(self, other: Interval) -> bool:
        """Whether the two intervals do not touch."""
        return self.high < other.low or other.high < self.low


@dataclass(frozen=True)
class Row:
    """One figure of one arm under one prompt by one recogniser ("" for figures of no recogniser).

    change: relative to no defence, over the same people and seeds: 0.1 is ten per cent more.
    """

    arm: str
    prompt: str
    role: str
    recognizer: str
    figure: str
    mean: Interval
    change: Interval | None
    people: int
    pictures: int
    faces: int


@dataclass(frozen=True)
class Summary:
    """All rows; arms and prompts in the order they are shown."""

    rows: list[Row]

    def find(self, arm: str, prompt: str, recognizer: str, figure: str) -> Row | None:
        """The row of a figure, if it was measured."""
        wanted = (arm, prompt, recognizer, figure)
        for row in self.rows:
            if (row.arm, row.prompt, row.recognizer, row.figure) == wanted:
                return row
        return None

    def member(self, *families: str) -> str:
        """The kit's recogniser of the first family that it has ("arcface_r100" of "arcface"), or ""."""
        known = [name for role in ROLES for name in self.recognizers(role)]
        for family in families:
            for name in known:
                if is_of(family, name):
                    return name
        return ""

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(row.arm for row in self.rows))

    @property
    def prompts(self) -> list[str]:
        return list(dict.fromkeys(row.prompt for row in self.rows))

    def recognizers(self, role: str) -> list[str]:
        """Names of those of one of the `ROLES`."""
        return list(dict.fromkeys(row.recognizer for row in self.rows if row.role == role))


ROLES = ("judges", "surrogates", "retrieval")
"""Of recognisers; those of the last do nothing but search."""
SHARES = (FSR, "rank_", "linked", "tmr@")
"""Names of figures that count cases begin with these."""
T = TypeVar("T")
Place = tuple[int, int, str]
"""Person, seed, prompt: what two arms are compared at."""
Series = tuple[str, str, str]
"""Role, recogniser, figure."""


def summarize(results: Sequence[Result], draws: int = DRAWS, seed: int = 0) -> Summary:
    """Figures of finished units; the intervals' draws of people are shared by all arms."""
    arms = sorted({result.unit.arm for result in results}, key=lambda arm: (arm != NONE, arm))
    people = sorted({result.unit.person for result in results})
    prompts = list(dict.fromkeys(prompt for result in results for prompt in result.scores["prompts"]))
    chosen = SubjectBootstrap(len(people), draws, torch.Generator().manual_seed(seed)).chosen
    values: dict[tuple[str, Series], dict[Place, float]] = {}
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        unit = result.unit
        for series, prompt, value in _values(result):
            values.setdefault((unit.arm, series), {})[unit.person, unit.seed, prompt] = value
        for prompt, each in result.scores["prompts"].items():
            for name in (prompt, ALL_PROMPTS):
                count = counts.setdefault((unit.arm, name), [0, 0])
                count[0] += each["pictures"]
                count[1] += each["faces"]
    gallery = max((result.scores.get("gallery", math.inf) for result in results), default=math.inf)
    rows = []
    for arm in arms:
        for prompt in [*prompts, ALL_PROMPTS]:
            pictures, faces = counts.get((arm, prompt), (0, 0))
            for (of, series), all_values in values.items():
                if of != arm or not pictures:
                    continue
                mine = _of_prompt(all_values, prompt)
                base = _of_prompt(values.get((NONE, series), {}), prompt) if arm != NONE else {}
                mean = _per_person(mine, people)
                rows.append(
                    Row(
                        arm=arm,
                        prompt=prompt,
                        role=series[0],
                        recognizer=series[1],
                        figure=series[2],
                        mean=_within(
                            _mean(mean, chosen, share=series[2].startswith(SHARES)), series[2], gallery
                        ),
                        change=_change(mine, base, people, chosen),
                        people=int((~mean.isnan()).sum()),
                        pictures=pictures,
                        faces=faces,
                    )
                )
    return Summary(rows)


def mean_over_figures(
    results: Sequence[Result], arm: str, prompt: str, figures: Sequence[tuple[str, str]], draws: int = DRAWS
) -> Interval:
    """Mean of several figures (recogniser, name): averaged for every person first, then over people."""
    people = sorted({result.unit.person for result in results})
    chosen = SubjectBootstrap(len(people), draws, torch.Generator().manual_seed(0)).chosen
    values: dict[tuple[str, str], dict[Place, float]] = {each: {} for each in figures}
    for result in results:
        for (_, recognizer, figure), of, value in _values(result):
            if result.unit.arm == arm and (recognizer, figure) in values:
                values[recognizer, figure][result.unit.person, result.unit.seed, of] = value
    each = [_per_person(_of_prompt(found, prompt), people) for found in values.values()]
    share = all(figure.startswith(SHARES) for _, figure in figures)
    return _mean(torch.stack(each).mean(0), chosen, share=share)


def difference(
    results: Sequence[Result], arm: str, other: str, recognizer: str, figure: str, draws: int = DRAWS
) -> Interval | None:
    """A figure of one arm minus that of another, at the people, seeds and prompts that both have.

    None where they have none in common.
    """
    values: dict[str, dict[Place, float]] = {arm: {}, other: {}}
    for result in results:
        for (_, of, name), prompt, value in _values(result):
            if result.unit.arm in values and (of, name) == (recognizer, figure) and not math.isnan(value):
                values[result.unit.arm][result.unit.person, result.unit.seed, prompt] = value
    both = values[arm].keys() & values[other].keys()
    if not both:
        return None
    people = sorted({person for person, _, _ in both})
    apart = _per_person({place: values[arm][place] - values[other][place] for place in both}, people)
    chosen = SubjectBootstrap(len(people), draws, torch.Generator().manual_seed(0)).chosen
    return _interval(float(apart.mean()), apart[chosen].mean(1), apart)


def of_prompts(results: Sequence[Result], prompts: Sequence[str]) -> list[Result]:
    """The results with the figures of these prompts alone: means over "all prompts" are then over them."""
    found = []
    for result in results:
        scores = {**result.scores, "prompts": _chosen(result.scores["prompts"], prompts)}
        for role in ROLES:
            if role in scores:
                scores[role] = {
                    name: {**each, "prompts": _chosen(each["prompts"], prompts)}
                    for name, each in scores[role].items()
                }
        found.append(replace(result, scores=scores))
    return found


def _chosen(figures: Mapping[str, T], prompts: Sequence[str]) -> dict[str, T]:
    return {prompt: each for prompt, each in figures.items() if prompt in prompts}


def shared_people(results: Sequence[Result]) -> list[Result]:
    """The results of those people whom every arm has, whatever the seed."""
    of_arm: dict[str, set[int]] = {}
    for result in results:
        of_arm.setdefault(result.unit.arm, set()).add(result.unit.person)
    everywhere = set.intersection(*of_arm.values()) if of_arm else set()
    return [result for result in results if result.unit.person in everywhere]


def _values(result: Result) -> Iterator[tuple[Series, str, float]]:
    """Every number of a unit: its series, prompt and value, NaN where there was no face."""
    for prompt, each in result.scores["prompts"].items():
        yield ("", "", FSR), prompt, each["faces"] / each["pictures"]
        for figure, value in each.items():
            if figure not in ("pictures", "faces"):
                yield ("", "", figure), prompt, math.nan if value is None else value
    for role in ROLES:
        for name, scores in result.scores.get(role, {}).items():
            for prompt, figures in scores["prompts"].items():
                if "real" in scores:
                    yield (role, name, "real"), prompt, scores["real"]
                for figure, value in figures.items():
                    if not isinstance(value, list):
                        yield (role, name, figure), prompt, math.nan if value is None else value


def _of_prompt(values: dict[Place, float], prompt: str) -> dict[Place, float]:
    return {place: value for place, value in values.items() if prompt in (ALL_PROMPTS, place[2])}


def _per_person(values: dict[Place, float], people: Sequence[int]) -> Tensor:
    """(people,) mean over seeds and prompts of what is there, NaN for a person without any."""
    mine: dict[int, list[float]] = {person: [] for person in people}
    for (person, _, _), value in values.items():
        if not math.isnan(value):
            mine[person].append(value)
    return torch.tensor(
        [sum(each) / len(each) if each else math.nan for each in mine.values()], dtype=torch.float64
    )


def _mean(values: Tensor, chosen: Tensor, share: bool = False) -> Interval:
    """share: whether it counts cases, so that all or none of them leaves the rule of three."""
    mean = float(values.nanmean())
    found = _interval(mean, values[chosen].nanmean(1), values)
    if not share or math.isnan(found.low):
        return found
    wider = estimate(mean, values[chosen].nanmean(1), int((~values.isnan()).sum()), "subjects")
    return Interval(mean, wider.low, wider.high)


def _within(interval: Interval, figure: str, gallery: float) -> Interval:
    """A place in a gallery is at least 1, and at most its size."""
    if not figure.endswith("rank") or math.isnan(interval.low):
        return interval
    return Interval(interval.value, max(1.0, interval.low), min(gallery, interval.high))


def _change(
    mine: dict[Place, float], base: dict[Place, float], people: Sequence[int], chosen: Tensor
) -> Interval | None:
    """Ratio of the means over the places that both have, minus 1; None where the base is not positive."""
    both = [
        place
        for place in mine.keys() & base.keys()
        if not math.isnan(mine[place]) and not math.isnan(base[place])
    ]
    after = _per_person({place: mine[place] for place in both}, people)
    before = _per_person({place: base[place] for place in both}, people)
    if not both or float(before.nanmean()) <= 0:
        return None
    ratio = float(after.nanmean() / before.nanmean())
    return _interval(ratio - 1, after[chosen].nanmean(1) / before[chosen].nanmean(1) - 1, after)


def _interval(value: float, replicas: Tensor, per_person: Tensor) -> Interval:
    return Interval(value, *percentile_interval(replicas, int((~per_person.isnan()).sum())))
