"""What a benchmark is: its arms, its units and everything that must be equal for units to share a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visard.benchmark import victims
from visard.benchmark.variants import find_variant
from visard.errors import InputError
from visard.kits import Kit
from visard.personalization.checkpoint import differences
from visard.personalization.record import key_digest, public_name
from visard.personalization.settings import PersonalizationSettings
from visard.settings import from_table, read_toml
from visard.storage import atomic_write

NONE = "none"
"""The undefended arm, which the others are compared with."""
AT = "@"
"""Between an arm and another guidance at which its models draw."""
PROMPTS = ("a photo of sks person", "a dslr portrait of sks person")
PROTOCOL_FILE = "bench.json"
RULES = 1
"""Raised when units come to other pictures or scores from the same settings: they are then made anew."""
ROWS, SCORED_BY = "rows", "scored_by"
KEYLESS = (ROWS, SCORED_BY)
"""What came when units had been finished: their keys, and what they made, stay as they are."""
LATER = ("people", *KEYLESS)
"""What folders of an earlier version do not have."""
UNSAID = ("file", "zoo", "licence")
"""Of a kit's row, what changes nothing that the model says."""
OF_THE_ARM = ("defence", "seed", "decoupling.rho")
"""Settings that arms and units decide."""


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn from every model."""

    prompts: tuple[str, ...] = PROMPTS
    pictures: int = 8
    steps: int = 25
    guidance: float | None = None
    """None: what suits the model, as visard.models.Personalized says."""


@dataclass(frozen=True)
class Lineup:
    """How many photos of whom: to train on, to measure against, and of the strangers in the gallery."""

    training: int = 8
    clean: int = 8
    strangers: int = 111
    each: int = 2


@dataclass(frozen=True)
class Protocol:
    """What all units of a folder share.

    models: name -> digest of its weights, as `models_of` gives them; protection: the kit's settings for arms
    that perturb photos; rows: what else the kit says of the models, as `rows_of` gives it; scored_by: models
    on which scores depend and pictures do not, as `scored_by` gives them.
    """

    kit: str
    device: str
    models: dict[str, str]
    settings: PersonalizationSettings
    protection: dict[str, Any]
    sampling: Sampling
    lineup: Lineup
    people: str = ""
    """Digest of a folder of people; "": those of the embedded world."""
    rows: dict[str, str] = field(default_factory=dict)
    """{}: not known, in a folder of an earlier version; whatever kit comes next is taken at its word."""
    scored_by: dict[str, str] = field(default_factory=dict)
    """Units scored by others are scored anew."""

    @property
    def content(self) -> dict[str, Any]:
        """As JSON; without what folders of an earlier version do not have, nor where a decoder lies."""
        whole: dict[str, Any] = _plain(asdict(self))
        whole["settings"]["decoupling"]["decoder"] = public_name(self.settings.decoupling.decoder)
        return {name: value for name, value in whole.items() if value or name not in LATER}

    @property
    def identity(self) -> dict[str, Any]:
        """What keys are made of."""
        return {name: value for name, value in self.content.items() if name not in KEYLESS}

    def claim(self, folder: Path) -> None:
        """Write this into a benchmark's folder. Raises InputError if another protocol's units are there."""
        file = folder / PROTOCOL_FILE
        mine = self.content
        if not file.exists():
            atomic_write(file, json.dumps(mine, indent=1).encode())
            return
        there = _read(file)
        taken = {ROWS: there.get(ROWS) or self.rows, SCORED_BY: self.scored_by}
        if changed := differences({"bench": {**there, **taken}}, {"bench": {**taken, **mine}}):
            names = ", ".join(each.removeprefix("bench.") for each in changed)
            raise InputError(
                f"{folder} holds a benchmark of another kind; it differs in {names}.",
                "Choose another folder, or give the options it was started with.",
            )
        if (ROWS not in there and self.rows) or there.get(SCORED_BY, {}) != self.scored_by:
            atomic_write(file, json.dumps(there | taken, indent=1).encode())

    def decoder(self, kit: Kit) -> str:
        """The decoder by its place, if it has one that is known: to who gave it, or to the kit."""
        name = self.settings.decoupling.decoder
        own = str(kit.personalization.get("decoupling", {}).get("decoder", name))
        place = own if public_name(own) == name else name
        return str(Path(place).resolve()) if place != "vae" and Path(place).exists() else place

    def require(self, kit: Kit) -> None:
        """Raise InputError unless `kit` has the models that this was made with."""
        pairs = ((self.models, models_of(kit)), (self.rows, rows_of(kit)))
        if changed := sorted(
            {name for mine, theirs in pairs for name in mine if mine[name] != theirs.get(name)}
        ):
            raise InputError(
                f"The kit {kit.name} is not the one this benchmark was made with ({self.kit}): it differs in "
                f"{', '.join(changed)}.",
                "Give that one with --kit.",
            )

    @classmethod
    def of(cls, folder: Path) -> Protocol:
        """The protocol of a benchmark's folder. Raises InputError when there is none."""
        file = folder / PROTOCOL_FILE
        if not file.is_file():
            raise InputError(f"There is no benchmark in {folder}.", "Start one with visard bench main.")
        return from_table(cls, _read(file))


@dataclass(frozen=True)
class Unit:
    """One person under one arm and seed: what is trained, sampled and scored as a whole."""

    person: int
    arm: str
    seed: int

    @property
    def run_seed(self) -> int:
        """The seed of the training: one for all arms, and another for every person."""
        return int(np.random.SeedSequence([self.seed, self.person]).generate_state(1)[0])

    def sampling_seed(self, prompt: str) -> int:
        """The seed of a prompt's pictures, one for all arms.

        Every prompt has its own: from one noise, two prompts about a person make nearly one picture.
        """
        words = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
        return int(np.random.SeedSequence([self.run_seed, words]).generate_state(1)[0])

    def folder(self, out: Path) -> Path:
        """Where the unit's files lie."""
        return out / "units" / f"person-{self.person}" / self.arm / f"seed-{self.seed}"

    @property
    def after(self) -> str:
        """The arm whose pictures this one changes, "" if it makes its own."""
        from visard.benchmark.methods import find_method  # it knows the arms, and they know the protocol

        return find_method(self.arm).arm.of

    def settings(self, protocol: Protocol) -> PersonalizationSettings:
        """The unit's own settings: the protocol's with the arm and the seed."""
        return protocol.settings.with_preset(arm_settings(self.arm)).with_preset({"seed": self.run_seed})

    def key(self, protocol: Protocol) -> str:
        """A digest of all that the unit's scores depend on, but for the models of `Protocol.scored_by`."""
        seeds = [self.run_seed, *map(self.sampling_seed, protocol.sampling.prompts)]
        whole = {"protocol": protocol.identity, "unit": asdict(self), "seeds": seeds, "rules": RULES}
        if not is_rho(self.arm) and self.arm != NONE:  # what those two mean is written in stone
            whole["arm"] = _plain(arm_settings(self.arm))
        return key_digest(whole)


def build_protocol(
    kit: Kit,
    overrides: Mapping[str, Any],
    sampling: Sampling,
    lineup: Lineup,
    device: str = "cpu",
    people: str = "",
) -> Protocol:
    """The protocol of a kit's models and settings, `overrides` on top. Raises InputError, ModelError."""
    for name in OF_THE_ARM:
        if _has(overrides, name.split(".")):
            raise InputError(f"The setting {name} is decided by arm and seed.", "Use --arms and --seed.")
    return Protocol(
        kit=kit.name,
        device=device,
        models=models_of(kit),
        settings=PersonalizationSettings().with_preset(kit.personalization).with_preset(overrides),
        protection=_plain(dict(kit.protection)),
        sampling=sampling,
        lineup=lineup,
        people=people,
        rows=rows_of(kit),
        scored_by=scored_by(kit),
    )


def models_of(kit: Kit) -> dict[str, str]:
    """The models of a kit that a unit's pictures depend on, and all but `scored_by`: name -> digest."""
    contents = kit.contents
    seeing = (*contents.recognizers, contents.detector, contents.landmarks, *contents.regressors)
    files = {row.name: row.file for row in seeing if row is not None}
    if contents.perceptual is not None:
        files |= {"AlexNet": contents.perceptual.network, "LPIPS": contents.perceptual.weights}
    digests = {name: kit.digest(file) for name, file in files.items()}
    return digests | {"base model": kit.backbone().fingerprint()}


def scored_by(kit: Kit) -> dict[str, str]:
    """The models of a kit that scores depend on, and pictures do not: name -> digest of weights and row."""
    row = kit.contents.describer
    return {} if row is None else {row.name: key_digest({ROWS: [kit.digest(row.file), said(row)]})}


def rows_of(kit: Kit) -> dict[str, str]:
    """What the kit says of the same models besides their files, each in its place: name -> digest."""
    contents = kit.contents
    found: dict[str, list[Any]] = {}
    for section in (contents.recognizers, (contents.detector, contents.landmarks), contents.regressors):
        for place, row in enumerate(section):
            if row is not None:
                found.setdefault(row.name, []).append([place, said(row)])
    return {name: key_digest({ROWS: rows})[:16] for name, rows in found.items()}


def said(row: Any) -> Any:
    """A kit's row as JSON, without its files and origin; nor defaults, so that a new setting changes none."""
    if is_dataclass(row):
        given = {each: getattr(row, each.name) for each in fields(row) if each.name not in UNSAID}
        return {each.name: said(value) for each, value in given.items() if value != _default(each)}
    return [said(each) for each in row] if isinstance(row, (list, tuple)) else row


def parse_arms(text: str) -> list[str]:
    """Arms as in "none,0.1,simac": whatever `methods.find_method` knows. Raises InputError."""
    arms = [_arm(each.strip()) for each in text.split(",") if each.strip()]
    if not arms:
        raise InputError("There are no arms.", "Give some, e.g. --arms none,0.1,0.3,0.5.")
    return list(dict.fromkeys(arms))


def with_sources(arms: Sequence[str]) -> list[str]:
    """The arms whose pictures others of them change, then the arms."""
    return list(dict.fromkeys([*(source for arm in arms for source in sources_of(arm)), *arms]))


def sources_of(arm: str) -> list[str]:
    """The arm whose pictures or models an arm takes, after whatever that one takes itself."""
    source = Unit(0, arm, 0).after
    return [*sources_of(source), source] if source else []


def arm_settings(arm: str) -> dict[str, Any]:
    """The settings that make an arm what it is; of one that is not a training of its own, no defence."""
    if AT in arm:
        return {"defence": "none"}
    variant = find_variant(arm)
    if variant is not None:
        return dict(variant.settings)
    if is_rho(arm):
        return {"defence": "iddm", "decoupling": {"rho": float(arm)}}
    return victims.SETTINGS if victims.is_victim(arm) else {"defence": "none"}


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """Settings as a nested table from "decoupling.t_max=1000"; values as in TOML. Raises InputError."""
    table: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment!r} sets nothing.", "Write it as decoupling.t_max=1000.")
        *sections, last = name.strip().split(".")
        inner = table
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = _value(value.strip())
    return table


def arm_title(arm: str) -> str:
    """An arm as tables name it."""
    return f"rho {arm}" if is_rho(arm) else arm


def _arm(name: str) -> str:
    if not is_rho(name):
        from visard.benchmark.methods import find_method  # it knows the arms, and they know the protocol

        return find_method(name).arm.name
    rho = float(name)
    if not 0 <= rho <= 1:
        raise InputError(f"The arm {name} is not a share.", "rho runs from 0 (most private) to 1.")
    return f"{rho:g}"


def is_rho(arm: str) -> bool:
    """Whether an arm is a setting of the dial: a number."""
    try:
        float(arm)
    except ValueError:
        return False
    return True


def _default(setting: Field[Any]) -> Any:
    return setting.default if setting.default_factory is MISSING else setting.default_factory()


def _value(text: str) -> Any:
    try:
        return read_toml(f"value = {text}")["value"]
    except InputError:  # a word without quotes
        return text


def _has(table: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(table, Mapping) or name not in table:
            return False
        table = table[name]
    return True


def _read(file: Path) -> dict[str, Any]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}.", "Choose another folder.") from error
    if not isinstance(table, dict):
        raise InputError(f"{file} does not describe a benchmark.", "Choose another folder.")
    return table


def _plain(value: Any) -> Any:
    """As JSON gives it back, so that what was read compares equal to what is meant."""
    return json.loads(json.dumps(value))
