"""The figures of a run, round by round: losses, similarities, and how often a face was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visard.personalization.decoupling import StepFigures
from visard.personalization.fine_tuning import Losses
from visard.personalization.iddm import Move

COUNTS = ("found", "fallback", "skipped")


class History:
    """Sums and counts of each figure in each round; `state` is plain JSON."""

    def __init__(self, recognizers: Sequence[str], state: Sequence[Mapping[str, Any]] = ()) -> None:
        self.recognizers = list(recognizers)
        self.state: list[dict[str, Any]] = [dict(each) for each in state]

    def add(self, move: Move, seen: Losses | StepFigures) -> dict[str, float]:
        """Take in what a move has seen; returns the move's own figures, worth showing."""
        values = self._values(move, seen)
        while len(self.state) < move.round:
            self.state.append({"sums": {}, "counts": {}, "faces": dict.fromkeys(COUNTS, 0)})
        entry = self.state[move.round - 1]
        for name, each in values.items():
            entry["sums"][name] = entry["sums"].get(name, 0.0) + sum(each)
            entry["counts"][name] = entry["counts"].get(name, 0) + len(each)
        if isinstance(seen, StepFigures):
            for name in COUNTS:
                entry["faces"][name] += getattr(seen, name)
        return {name: sum(each) / len(each) for name, each in values.items() if each}

    def table(self) -> list[dict[str, Any]]:
        """One row a round: the mean of every figure, and counts of faces found, replaced and skipped."""
        return [
            {"round": k}
            | {name: total / entry["counts"][name] for name, total in entry["sums"].items()}
            | {"faces": entry["faces"]}
            for k, entry in enumerate(self.state, start=1)
        ]

    def _values(self, move: Move, seen: Losses | StepFigures) -> dict[str, list[float]]:
        if isinstance(seen, Losses):
            return {f"{move.kind.value}_loss": [seen.instance], "prior_loss": [seen.prior]}
        values = {"reconstruction": seen.reconstruction, "S": seen.linkability}
        for m, name in enumerate(self.recognizers):
            values[f"s_{name}"] = [row[m] for row in seen.similarities]
        return {name: each for name, each in values.items() if each}
