"""Attacks on a benchmark: its people against an attacker who has run the same protocol on others.

The attacker's people lie in a benchmark of their own inside the folder. Their models, which take long, what
is drawn from leaked ones, and the attack on each arm are units of work: a stopped campaign goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from visard import pool
from visard.attacks import PUBLISHED, AttackSettings, AttackTier, Knowledge, Known, Lenses, attack
from visard.attacks.inputs import Pictures, Source
from visard.attacks.purification import backbone_views
from visard.attacks.result import LEARNED, up_to
from visard.attacks.stored import keep, kept
from visard.attacks.views import VIEWS
from visard.benchmark import job
from visard.benchmark.datasets import TRAIN, Audition, audition_of, camera_of, people_of
from visard.benchmark.leaks import ATTACKER, Leak, Taps, read_pictures
from visard.benchmark.methods import find_method
from visard.benchmark.people import (
    CLEAN,
    STRANGERS,
    Camera,
    load_photos,
    numbered,
    world_camera,
    world_people,
)
from visard.benchmark.protocol import Protocol, Unit, parse_arms, said, scored_by, with_sources
from visard.benchmark.table import DEV
from visard.benchmark.unit import UnitJob, require_pictures
from visard.errors import InputError
from visard.kits import Kit, open_kit, placed
from visard.personalization.record import key_digest
from visard.progress import Progress, silent

WHOLE = job.Slice()
RULES = 4
"""Raised when attacks come to other figures from the same pictures: what was found before is found anew."""
MODEL_FILE = "T5"
"""The tier that has the model file; arms that words alone make have none."""


T = TypeVar("T")


@dataclass(frozen=True)
class Attackers:
    """The attacker's own people: development and training, how T5 samples, and how many units at a time."""

    dev: Sequence[int]
    train: Sequence[int]
    leaked: int = 8
    """Pictures of every prompt in LEAKS."""
    workers: int = 2

    @classmethod
    def of(
        cls, audition: Audition | None, tier: str, dev: int, train: int, leaked: int, workers: int
    ) -> Attackers:
        """The first people of the splits for attackers, in a folder or (None) the embedded world.

        Below T4 there is nobody to learn from. Raises InputError when a split has fewer.
        """
        train = train if tier >= LEARNED else 0
        if audition is not None:
            return cls(*audition.people.attackers(dev, train, audition), leaked, workers)
        return cls(world_people(DEV, dev), world_people(TRAIN, train), leaked, workers)


@dataclass(frozen=True)
class Left:
    """What a campaign has not done: models of the attacker's people, leaked pictures, attacks on arms."""

    models: list[Unit]
    leaks: list[Leak]
    arms: list[str]

    def __len__(self) -> int:
        return len(self.models) + len(self.leaks) + len(self.arms)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The same attack on several arms of a finished benchmark, in the folder `out`."""

    out: Path
    arms: Sequence[str]
    attackers: Attackers
    tiers: Sequence[str]
    kit: str = "world"
    seed: int = 0
    settings: AttackSettings = field(default_factory=AttackSettings)

    def run(
        self,
        *,
        camera: Camera = world_camera,
        execute: job.Executor[Any] | None = None,
        part: job.Slice = WHOLE,
        progress: Progress = silent,
    ) -> list[Unit]:
        """Do what is left, or the `part` of it; an attack that has begun is not stopped by the time.

        Returns models that another command is at; no attack begins before these are done. T5 needs the models
        of the people under attack: a benchmark made with --keep-models. Raises InputError, ModelError,
        StorageError, and TrainingError, after all others are done, for failed units.
        """
        deadline, allowed = part.deadline, part.units
        self._check()
        trained = self.left().models[:allowed]
        busy = job.run(
            self.training,
            self.protocol,
            self.own,
            kit=self.kit,
            camera=camera,
            execute=execute,
            part=part,
            progress=progress,
        )
        if (left := self.left()).models:
            return busy
        allowed = _less(allowed, len(trained))
        drawn = left.leaks[:allowed]
        reported = partial(_report, progress, deadline)
        self._do(drawn, partial(self._taps, deadline), "pictures from model files", execute, reported)
        if (left := self.left()).leaks:
            return []
        arms = left.arms[: _less(allowed, len(drawn))]
        if len(arms) == 1 and execute is None:  # here, with its own progress
            Assault(self, deadline, progress)(arms[0])
        else:
            self._do(arms, partial(Assault, self, deadline), "attacks", execute, reported)
        return []

    def found(self) -> dict[str, list[AttackTier]]:
        """Arm -> a result for each tier, of the arms that have been attacked in this very way."""
        results = {arm: kept(self.file(arm), self.key(arm)) for arm in self.arms}
        return {arm: found for arm, found in results.items() if found is not None}

    def left(self) -> Left:
        """What is not done yet, in the order it is done."""
        taps, found = self._taps(), self.found()
        return Left(
            job.left(self.training, self.protocol, self.own),
            [leak for leak in self.leaks if not taps.done(leak)],
            [arm for arm in self.arms if arm not in found],
        )

    @property
    def size(self) -> int:
        """Units of work, done or not."""
        return len(self.training.units) + len(self.leaks) + len(self.arms)

    @cached_property
    def protocol(self) -> Protocol:
        return replace(Protocol.of(self.out), scored_by=scored_by(open_kit(self.kit)))

    @property
    def own(self) -> Path:
        """The benchmark of the attacker's people."""
        return self.out / ATTACKER

    @property
    def training(self) -> job.Job:
        """The units of the attacker's people."""
        return job.Job(
            people=[*self.attackers.dev, *self._learned],
            strangers=[int(folder.name) for folder in self._strangers],
            arms=with_sources([known_by(arm) for arm in self.arms]),
            seeds=[self.seed],
            workers=self.attackers.workers,
            keep_models=self._leaks,
        )

    @property
    def leaks(self) -> list[Leak]:
        """The model files of T5: of the people under attack, then of the attacker's own."""
        if not self._leaks:
            return []
        subjects = [self._leak(unit) for units in self.subjects.values() for unit in units]
        own = [self._leak(unit, own=True) for unit in self.training.units]
        return [leak for leak in dict.fromkeys((*subjects, *own)) if leak is not None]

    def key(self, arm: str) -> str:
        """A digest of all that an attack's figures depend on."""
        units, own = self.subjects[arm], [*self.attackers.dev, *self._learned]
        known = [Unit(person, known_by(arm), self.seed) for person in own]
        return key_digest(
            {
                "rules": RULES,
                "units": [unit.key(self.protocol) for unit in units],
                "drawn by": [str(self._drawn_by(unit)) for unit in units],
                "attacker's": [unit.key(self.protocol) for unit in known],
                "strangers": [folder.name for folder in self._strangers],
                "dev": list(self.attackers.dev),
                "train": list(self._learned),
                "leaked": self.attackers.leaked if self._leaks else 0,
                "tiers": list(self.tiers),
                "settings": asdict(self.settings),
                "eyes": self._eyes,
            }
        )

    def attack(self, arm: str, kit: Kit, progress: Progress = silent) -> None:
        """Attack one arm, for which everything is there, and write what is found."""
        side = kit.backbone().resolution
        subjects = self.subjects[arm]
        from_models = any(self._leak(unit) for unit in subjects)
        gallery: dict[str, Source] = {_name(unit): _clean(self.out, unit, side) for unit in subjects}
        gallery |= self.strangers(side)
        dev, train = (
            {
                _name(unit): Known(_clean(self.own, unit, side), self._pictures(unit, own=True))
                for unit in (Unit(person, known_by(arm), self.seed) for person in people)
            }
            for people in (self.attackers.dev, self._learned)
        )
        found = attack(
            {_name(unit): self._pictures(unit) for unit in subjects},
            gallery,
            Knowledge(dev, train),
            lenses(kit),
            tiers=[tier for tier in self.tiers if from_models or tier < MODEL_FILE],
            settings=self.settings,
            arm=arm,
            exchanged={_name(unit): _name(whose) for unit in subjects if (whose := self._drawn_by(unit))},
            progress=progress,
        )
        keep(self.file(arm), found, self.key(arm))

    def file(self, arm: str) -> Path:
        """Where the benchmark keeps what this attack on an arm found."""
        attacker = f"{self.highest}-dev-{len(self.attackers.dev)}-train-{len(self._learned)}"
        return self.out / f"attack-{arm}-{attacker}-seed-{self.seed}.json"

    def strangers(self, side: int) -> dict[str, Source]:
        """The photos of the gallery's strangers."""
        return {f"stranger {each.name}": partial(load_photos, each, side) for each in self._strangers}

    def _check(self) -> None:
        """Raise InputError for what stands in the way, before anything takes long."""
        for name, units in self.subjects.items():
            if not units:
                raise InputError(
                    f"No unit of the arm {name} is finished in {self.out}.",
                    "Finish it with visard bench main first.",
                )
            for unit in units:
                require_pictures(unit.folder(self.out))
        people = {each: {unit.person for unit in units} for each, units in self.subjects.items()}
        fewest = min(self.arms, key=lambda each: len(people[each]))
        if set.union(*people.values()) > people[fewest]:
            raise InputError(
                f"{len(people[fewest])} people of {fewest} are finished, and more of other arms.",
                "Arms are compared on the same people: finish it with visard bench main, or leave it out.",
            )
        own = [*self.attackers.dev, *self._learned]
        under_attack = {unit.person for units in self.subjects.values() for unit in units}
        if under_attack & set(own) or len(set(own)) < len(own):
            raise InputError("The attacker's people are among those under attack.", "Choose others.")
        taps = self._taps()
        for leak in self.leaks:
            taps.check(leak)

    def _do(
        self,
        units: Sequence[T],
        start: pool.Start[T],
        stage: str,
        execute: job.Executor[Any] | None,
        progress: Progress,
    ) -> None:
        execute = execute or partial(job.processes, workers=self.attackers.workers)
        if units:
            total = len(units)
            job.settle(execute(units, start, lambda left: progress(stage, total - len(left), total)))

    def _taps(self, deadline: float | None = None) -> Taps:
        return Taps(self.out, self.kit, self.attackers.leaked, deadline=deadline)

    def _pictures(self, unit: Unit, own: bool = False) -> Pictures:
        home, leak = self.own if own else self.out, self._leak(unit, own)
        sources: dict[str, Source] = {PUBLISHED: partial(_published, unit, self.protocol, home)}
        if self._leaks and leak is not None:
            files = self._taps().files(leak)
            sources |= {name: partial(read_pictures, each) for name, each in files.items()}
        return sources

    def _leak(self, unit: Unit, own: bool = False) -> Leak | None:
        """The model file that drew a unit's pictures; None where it is the public base model."""
        drawn_by = self._drawn_by(unit, own)
        return None if drawn_by is None else Leak(drawn_by, own)

    def _drawn_by(self, unit: Unit, own: bool = False) -> Unit | None:
        return UnitJob(unit, self.protocol, self.own if own else self.out).drawn_by

    @property
    def highest(self) -> str:
        """The highest tier that is asked for."""
        return max(self.tiers)

    @property
    def _leaks(self) -> bool:
        return self.highest >= MODEL_FILE

    @property
    def _learned(self) -> Sequence[int]:
        return self.attackers.train if self.highest >= LEARNED else ()

    @cached_property
    def subjects(self) -> dict[str, list[Unit]]:
        """Arm -> the units under attack."""
        finished = [each.unit for each in job.finished(self.out) if each.unit.seed == self.seed]
        return {arm: [unit for unit in finished if unit.arm == arm] for arm in self.arms}

    @cached_property
    def _strangers(self) -> list[Path]:
        return numbered(self.out / STRANGERS)

    @cached_property
    def _eyes(self) -> list[Any]:
        """What the attacker sees with, and how."""
        kit = open_kit(self.kit)
        rows = [row for row in kit.contents.recognizers if row.role == "judge"]
        contents = kit.contents
        others = (contents.detector, contents.landmarks, contents.matcher, contents.describer)
        return [[kit.digest(row.file), said(row)] for row in (*rows, *others) if row is not None]


def prepare(
    out: Path,
    arms: str,
    tier: str,
    attackers: Mapping[str, int],
    *,
    data: Path | None = None,
    identities: Path | None = None,
    kit: str = "world",
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Campaign, Camera, list[str]]:
    """A campaign up to `tier`, what photographs its people, and whom of a folder it leaves out and why.

    attackers: dev, train, leaked and workers, as `Attackers.of` takes them. data, identities: what a
    benchmark of a folder was made of. Raises InputError.
    """
    tiers, chosen, protocol, opened = up_to(tier), parse_arms(arms), Protocol.of(out), open_kit(kit)
    protocol.require(opened)
    people, lineup = people_of(out, data, identities), protocol.lineup
    wanted = attackers["dev"] + attackers["train"]
    audition = audition_of(people, out / ATTACKER, lineup, opened, wanted, progress)
    campaign = Campaign(
        out=out.resolve(),
        arms=chosen,
        attackers=Attackers.of(audition, tier, **attackers),
        tiers=tiers,
        kit=placed(kit),
        seed=seed,
        settings=AttackSettings(seed=seed),
    )
    left_out = [] if audition is None else audition.left_out
    return campaign, camera_of(people, lineup, opened), left_out


def known_by(name: str) -> str:
    """The arm by which an attacker gets to know one: exchanged pictures pass for what they were."""
    found = find_method(name).arm
    return found.of if found.kind == "exchanged" else name


class Assault:
    """Attacks arms of a campaign, but begins none after the deadline (seconds since the epoch)."""

    def __init__(
        self, campaign: Campaign, deadline: float | None = None, progress: Progress = silent
    ) -> None:
        self.campaign, self.deadline, self.progress = campaign, deadline, progress
        self.kit = open_kit(campaign.kit)

    def __call__(self, arm: str) -> None:
        """Attack one arm. Raises InputError, ModelError, StorageError."""
        if not job.is_over(self.deadline):
            self.campaign.attack(arm, self.kit, self.progress)


def lenses(kit: Kit) -> Lenses:
    """What an attacker with a kit's held-out models, and its undefended base model, sees with."""
    views = VIEWS | backbone_views(kit.backbone())
    return Lenses(kit.detector(), kit.judges(), kit.matcher(), views, kit.describer())


def _report(
    progress: Progress, deadline: float | None, stage: str, done: int, total: int, **_: float
) -> None:
    """Nothing once the time is up: what is then no longer waited for is not done."""
    if not job.is_over(deadline):
        progress(stage, done, total)


def _less(allowed: int | None, done: int) -> int | None:
    return None if allowed is None else allowed - done


def _published(unit: Unit, protocol: Protocol, home: Path) -> Tensor:
    """Picture for picture of each prompt: a few of them together are of several prompts."""
    pictures = list(UnitJob(unit, protocol, home).pictures().values())
    return torch.stack(pictures, 1).flatten(0, 1)


def _clean(out: Path, unit: Unit, side: int) -> Source:
    return partial(load_photos, out / "people" / str(unit.person) / CLEAN, side)


def _name(unit: Unit) -> str:
    return f"person {unit.person}"
