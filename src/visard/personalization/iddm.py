"""Algorithm 1: alternating optimisation for identity-decoupled personalised diffusion models (IDDM)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import torch
from torch import Tensor

from visard.diffusion.conditioning import Conditioning
from visard.personalization.decoupling import Decoupling, Stage, StepFigures
from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import FineTuning, Losses, PhotoSet
from visard.personalization.offload import Enter, Phase, stay
from visard.personalization.settings import Anchor, DecouplingSettings, StageSplit

log = logging.getLogger(__name__)


class Call(str, Enum):
    """The two fine-tuning calls of a round."""

    REFERENCE = "reference"
    """Step 1: FT on X_c."""
    PROTECTED = "protected"
    """Step 3: FT on X'."""


@dataclass(frozen=True)
class Move:
    """One indivisible step of Algorithm 1: an optimiser step of a fine-tuning call, or a PGD step."""

    round: int
    """k, from 1."""
    kind: Call | Stage
    opens_update: bool = False
    """The first PGD step of a round (line 6)."""
    closes_round: bool = False


def algorithm_1(
    rounds: int, fine_tuning_steps: int, pgd_steps: int, rho: float, split: StageSplit, *, joint: bool = False
) -> Iterator[Move]:
    """Algorithm 1 as the sequence of its steps; `pgd_steps` 0 is the same loop without a defence."""
    calls = 2 * rounds
    for k in range(1, rounds + 1):
        for _ in range(share(fine_tuning_steps, calls, 2 * k - 1)):  # line 4: Theta'_k <- FT(Theta_k-1; X_c)
            yield Move(k, Call.REFERENCE)
        t_rec = stage_one_steps(pgd_steps, rho, k, split)
        for t in range(1, pgd_steps + 1):  # lines 6-13: X' <- Proj(X' - alpha sign(grad L))
            stage = Stage.JOINT if joint else Stage.FIDELITY if t <= t_rec else Stage.IDENTITY
            yield Move(k, stage, opens_update=t == 1)
        last = share(fine_tuning_steps, calls, 2 * k)
        for step in range(1, last + 1):  # line 15: Theta_k <- FT(Theta'_k; X')
            yield Move(k, Call.PROTECTED, closes_round=step == last)


def stage_one_steps(pgd_steps: int, rho: float, k: int, split: StageSplit) -> int:
    """T_rec of round `k` (line 1). "floor": floor(rho T); "carry": what that drops goes to later rounds."""
    exact = Fraction(str(rho)) * pgd_steps
    if split == "floor":
        return int(exact)
    return int(exact * k) - int(exact * (k - 1))


def share(total: int, parts: int, part: int) -> int:
    """What falls to `part` (from 1) when `total` is split evenly over `parts`, remainders spread."""
    return total * part // parts - total * (part - 1) // parts


def plan(settings: DecouplingSettings, fine_tuning_steps: int, *, defended: bool) -> list[Move]:
    """Every step of a run, in order."""
    kept = stage_one_steps(settings.pgd_steps, settings.rho, 1, settings.stage_split)
    if defended and settings.stage_split == "floor" and kept < settings.rho * settings.pgd_steps:
        log.warning(
            'stage_split = "floor": %g of %d steps a round are Stage I by rho = %g, and %d are made',
            settings.rho * settings.pgd_steps,
            settings.pgd_steps,
            settings.rho,
            kept,
        )
    return list(
        algorithm_1(
            settings.rounds,
            fine_tuning_steps,
            settings.pgd_steps if defended else 0,
            settings.rho,
            settings.stage_split,
            joint=settings.schedule == "joint",
        )
    )


class Iddm:
    """Algorithm 1 move by move; its state is the number of moves done, X', the ball's centre and the weights.

    `originals` (N, 3, H, W) in [-1, 1] are X_0. `decoupling` may be None when no move is a PGD step.
    `enter` is called with what comes next.
    """

    def __init__(
        self,
        moves: Sequence[Move],
        originals: Tensor,
        *,
        anchor: Anchor,
        reference: PhotoSet,
        protected: PhotoSet,
        fine_tuning: FineTuning,
        decoupling: Decoupling | None,
        enter: Enter = stay,
    ) -> None:
        self.moves, self.originals, self.anchor = list(moves), originals, anchor
        self.reference, self.protected = reference, protected
        self.fine_tuning, self.decoupling, self.enter = fine_tuning, decoupling, enter
        self.done = 0
        self.images = originals
        """X'; stays floating point between rounds."""
        self.centre = originals
        self._text: Conditioning | None = None
        self._stale = False
        """Whether X' has changed since `protected` was encoded, which is X_0 at first."""

    def __iter__(self) -> Iterator[tuple[Move, Losses | StepFigures]]:
        """Make the moves that are left, each with what it has seen; the state is whole at every yield."""
        while self.done < len(self.moves):
            move = self.moves[self.done]
            seen = self._make(move)
            self.done += 1
            yield move, seen

    def _make(self, move: Move) -> Losses | StepFigures:
        if isinstance(move.kind, Stage):
            return self._update(move, move.kind)
        self._text = None  # the text encoder may train, so the embeddings of the last update are out of date
        if move.kind is Call.PROTECTED and self._stale:
            self.enter(Phase.PICTURES)
            self.protected.posterior = encoded(self.fine_tuning.backbone, self.images)
            self._stale = False
        self.enter(Phase.FINE_TUNING)
        return self.fine_tuning.step(self.reference if move.kind is Call.REFERENCE else self.protected)

    def _update(self, move: Move, stage: Stage) -> StepFigures:
        if self.decoupling is None:
            raise ValueError("this plan has projected-gradient steps: give it a Decoupling")
        if move.opens_update and self.anchor == "round":
            self.centre = self.images
        if self._text is None:
            self.enter(Phase.WORDS)
            self._text = self.decoupling.embed(self.protected.prompts)
        self.enter(Phase.DECOUPLING)
        self.images, seen = self.decoupling.step(self.images, self.centre, self._text, stage)
        self._stale = True
        return seen

    def restore(self, done: int, images: Tensor, centre: Tensor) -> None:
        """Continue after `done` moves; weights, orders and generators are restored by their owners."""
        self.done, self.images, self.centre = done, images.to(self.originals), centre.to(self.originals)
        self._text, self._stale = None, not torch.equal(self.images, self.originals)
