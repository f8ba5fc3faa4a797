"""From scores of units to figures of arms: means over people, resampled by people, paired with no defence.

Shares above a threshold are resampled by strangers too, from whose photos the threshold comes: a figure of a
unit is a vector, its value and then what it is in each draw of the strangers (`Result.redrawn`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from visard.benchmark.per_person import Interval, PerPerson, Place, in_both
from visard.benchmark.protocol import NONE
from visard.benchmark.result import Result
from visard.benchmark.scoring import is_of
from visard.metrics.bootstrap import SubjectBootstrap

ALL_PROMPTS = "all prompts"
"""Mean of the prompts, person by person."""
FSR, AGREEMENT, APPEARANCE = "fsr", "agreement", "appearance"
OF_ALL = "_all"
"""Of all pictures: one without a face resembles nobody, and nothing is less than that."""
OF_PHOTOS = "_of_photos"
"""The ceiling of a resemblance: a person's photos with one another; none where the kit cannot tell."""
DRAWS = 2000


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
    """All rows; arms and prompts in the order they are shown.

    paired: whether every arm is of the same people; gallery: how many people it holds with a face.
    """

    rows: list[Row]
    paired: bool = True
    gallery: int = 0

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
NO_REDRAWS = torch.empty(0)
T = TypeVar("T")
Series = tuple[str, str, str]
"""Role, recogniser, figure."""


def summarize(results: Sequence[Result], draws: int = DRAWS, seed: int = 0) -> Summary:
    """Figures of finished units; the intervals' draws of people are shared by all arms."""
    arms = sorted({result.unit.arm for result in results}, key=lambda arm: (arm != NONE, arm))
    people = sorted({result.unit.person for result in results})
    prompts = list(dict.fromkeys(prompt for result in results for prompt in result.scores["prompts"]))
    chosen = SubjectBootstrap(len(people), draws, torch.Generator().manual_seed(seed)).chosen
    values: dict[tuple[str, Series], dict[Place, Tensor]] = {}
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
    gallery = max((result.scores.get("gallery", 0) for result in results), default=0)
    rows = []
    for arm in arms:
        for prompt in [*prompts, ALL_PROMPTS]:
            pictures, faces = counts.get((arm, prompt), (0, 0))
            for (of, series), all_values in values.items():
                if of != arm or not pictures:
                    continue
                role, recognizer, figure = series
                mine = _of_prompt(all_values, prompt)
                base = _of_prompt(values.get((NONE, series), {}), prompt) if arm != NONE else {}
                mean = PerPerson.gather(mine, people, share=_is_share(figure))
                rows.append(
                    Row(
                        arm=arm,
                        prompt=prompt,
                        role=role,
                        recognizer=recognizer,
                        figure=figure,
                        mean=_within(mean.interval(chosen), figure, gallery),
                        change=_change(mine, base, people, chosen, figure),
                        people=mean.count,
                        pictures=pictures,
                        faces=faces,
                    )
                )
    return Summary(rows, len(set(_people_of_arms(results).values())) < 2, gallery)


def mean_over_figures(
    results: Sequence[Result], arm: str, prompt: str, figures: Sequence[tuple[str, str]], draws: int = DRAWS
) -> Interval:
    """Mean of several figures (recogniser, name): averaged for every person first, then over people."""
    people = sorted({result.unit.person for result in results})
    chosen = SubjectBootstrap(len(people), draws, torch.Generator().manual_seed(0)).chosen
    values: dict[tuple[str, str], dict[Place, Tensor]] = {each: {} for each in figures}
    for result in results:
        for (_, recognizer, figure), of, value in _values(result):
            if result.unit.arm == arm and (recognizer, figure) in values:
                values[recognizer, figure][result.unit.person, result.unit.seed, of] = value
    share = all(_is_share(figure) for _, figure in figures)
    each = [PerPerson.gather(_of_prompt(found, prompt), people, share=share) for found in values.values()]
    return PerPerson(torch.stack([one.values for one in each]).mean(0), share).interval(chosen)


def difference(
    results: Sequence[Result], arm: str, other: str, recognizer: str, figure: str, draws: int = DRAWS
) -> Interval | None:
    """A figure of one arm minus that of another, at the people, seeds and prompts that both have.

    None where they have none in common.
    """
    values: dict[str, dict[Place, Tensor]] = {arm: {}, other: {}}
    for result in results:
        if result.unit.arm in values:
            for (_, of, name), prompt, value in _values(result):
                if (of, name) == (recognizer, figure):
                    values[result.unit.arm][result.unit.person, result.unit.seed, prompt] = value
    both = in_both(values[arm], values[other])
    if not both[0]:
        return None
    people = sorted({person for person, _, _ in both[0]})
    chosen = SubjectBootstrap(len(people), draws, torch.Generator().manual_seed(0)).chosen
    mine, theirs = (PerPerson.gather(each, people, share=_is_share(figure)) for each in both)
    return mine.minus(theirs, chosen)


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
    everywhere = frozenset.intersection(*_people_of_arms(results).values()) if results else frozenset()
    return [result for result in results if result.unit.person in everywhere]


def _people_of_arms(results: Sequence[Result]) -> dict[str, frozenset[int]]:
    arms = {result.unit.arm for result in results}
    return {
        arm: frozenset(result.unit.person for result in results if result.unit.arm == arm) for arm in arms
    }


def _values(result: Result) -> Iterator[tuple[Series, str, Tensor]]:
    """Every number of a unit: its series, prompt and value with its redraws, NaN where there was no face."""
    for prompt, each in result.scores["prompts"].items():
        kept = each["faces"] / each["pictures"]
        yield ("", "", FSR), prompt, _number(kept)
        for figure, value in each.items():
            if figure not in ("pictures", "faces"):
                yield ("", "", figure), prompt, _number(value)
        for figure in (AGREEMENT, APPEARANCE):
            if each.get(figure + OF_PHOTOS) is not None:
                yield ("", "", figure + OF_ALL), prompt, _number(kept * max(0.0, each[figure] or 0.0))
    for role in ROLES:
        for name, scores in result.scores.get(role, {}).items():
            for prompt, figures in scores["prompts"].items():
                if "real" in scores:
                    yield (role, name, "real"), prompt, _number(scores["real"])
                for figure, value in figures.items():
                    if not isinstance(value, list):
                        redrawn = result.redrawn.get(f"{name}/{prompt}/{figure}", NO_REDRAWS)
                        yield (role, name, figure), prompt, torch.cat([_number(value), redrawn.double()])


def _is_share(figure: str) -> bool:
    """Whether a figure counts cases."""
    return figure.startswith((FSR, "rank_", "linked", "tmr@"))


def _number(value: float | None) -> Tensor:
    return torch.tensor([math.nan if value is None else value], dtype=torch.float64)


def _of_prompt(values: Mapping[Place, Tensor], prompt: str) -> dict[Place, Tensor]:
    return {place: value for place, value in values.items() if prompt in (ALL_PROMPTS, place[2])}


def _within(interval: Interval, figure: str, gallery: int) -> Interval:
    """A place in a gallery is at least 1, and at most its size."""
    if not figure.endswith("rank") or math.isnan(interval.low):
        return interval
    return Interval(interval.value, max(1.0, interval.low), min(gallery or math.inf, interval.high))


def _change(
    mine: Mapping[Place, Tensor],
    base: Mapping[Place, Tensor],
    people: Sequence[int],
    chosen: Tensor,
    figure: str,
) -> Interval | None:
    """Ratio of the means over the places that both have, minus 1; None where the base is not positive."""
    both = in_both(mine, base)
    if not both[0]:
        return None
    after, before = (PerPerson.gather(each, people, share=_is_share(figure)) for each in both)
    return after.relative_to(before, chosen) if before.mean > 0 else None
