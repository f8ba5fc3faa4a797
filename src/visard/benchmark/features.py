"""What is seen in a benchmark's pictures and photos beyond faces: looked at once, or kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from visard.audit.quality import encode
from visard.benchmark.people import CLEAN, load_photos
from visard.benchmark.protocol import ROWS, Protocol, Unit, said
from visard.benchmark.result import Result
from visard.benchmark.unit import UnitJob, has_pictures
from visard.errors import InputError, ModelError
from visard.kits import Kit
from visard.metrics.brisque import brisque_features
from visard.metrics.encoders import Encoder
from visard.personalization.record import key_digest
from visard.storage import load_tensors

FEATURES_FILE = "features.safetensors"
"""Beside a unit's result, or a person's photos, what was seen in pictures that are not there."""
NETWORK, NATURAL = "network", "brisque"
"""By the kit's network, for FID and KID; and BRISQUE's features."""
BATCH = 16

Look = Callable[[Tensor], Tensor]
"""Pictures (P, 3, H, W) -> features (P, D)."""


@dataclass(frozen=True)
class Seen:
    """Features (P, D), and whose each is, (P,)."""

    features: Tensor
    people: Tensor

    @classmethod
    def gather(cls, found: Sequence[tuple[int, Tensor]]) -> Seen:
        """From (person, features) of one unit after the other."""
        owners = [torch.full((len(each),), person) for person, each in found]
        return cls(torch.cat([each for _, each in found]), torch.cat(owners))

    def of(self, people: Sequence[int]) -> Seen:
        """Of these people's pictures."""
        mine = torch.isin(self.people, torch.tensor(people))
        return Seen(self.features[mine], self.people[mine])


class Features:
    """Features of one benchmark's pictures and clean photos, each looked at once."""

    def __init__(self, out: Path, protocol: Protocol, kit: Kit | None = None) -> None:
        self.out, self.protocol, self.kit = out, protocol, kit
        self._seen: dict[tuple[object, ...], Seen] = {}

    @cached_property
    def network(self) -> Encoder | None:
        """The kit's for FID and KID."""
        return None if self.kit is None else self.kit.features()

    @cached_property
    def looks(self) -> Mapping[str, Look]:
        """Every kind of features that there is."""
        mine: dict[str, Look] = {NATURAL: brisque_features}
        if self.network is not None:
            mine[NETWORK] = partial(encode, self.network, batch=BATCH)
        return mine

    def of_pictures(self, kind: str, results: Sequence[Result], prompt: str) -> Seen:
        """Of all pictures of a prompt. Raises InputError, ModelError for what is neither there nor kept."""
        units = [result.unit for result in results]
        return self._once((kind, prompt, *units), units, lambda unit: self.unit(kind, unit, prompt))

    def of_photos(self, kind: str, units: Sequence[Unit]) -> Seen:
        """Of the clean photos of the units' people. Raises as `of_pictures`."""
        first = {unit.person: unit for unit in reversed(units)}
        everybody = [first[person] for person in sorted(first)]
        return self._once((kind, *everybody), everybody, lambda unit: self.photos(kind, unit))

    def unit(self, kind: str, unit: Unit, prompt: str) -> Tensor:
        """(P, D), of one unit's pictures of a prompt."""
        job = UnitJob(unit, self.protocol, self.out)
        if has_pictures(job.folder):
            return self.looks[kind](job.pictures_of(prompt))
        return self._kept(job.folder, kind, prompt)

    def photos(self, kind: str, unit: Unit) -> Tensor:
        """(P, D), of the clean photos of a unit's person, as large as its pictures."""
        job = UnitJob(unit, self.protocol, self.out)
        if has_pictures(job.folder) and (job.photos / CLEAN).is_dir():
            return self.looks[kind](load_photos(job.photos / CLEAN, job.side))
        return self._kept(job.photos, kind)

    @cached_property
    def meta(self) -> dict[str, str]:
        """What is written beside kept features: a digest of the network's weights and row; "" without one."""
        row = None if self.kit is None else self.kit.contents.features
        if self.kit is None or row is None:
            return {NETWORK: ""}
        return {NETWORK: key_digest({ROWS: [self.kit.digest(row.file), said(row)]})}

    def _once(self, key: tuple[object, ...], units: Sequence[Unit], look: Callable[[Unit], Tensor]) -> Seen:
        if key not in self._seen:
            self._seen[key] = Seen.gather([(unit.person, look(unit)) for unit in units])
        return self._seen[key]

    def _kept(self, folder: Path, kind: str, *prompt: str) -> Tensor:
        file = folder / FEATURES_FILE
        if not file.is_file():
            raise InputError(
                f"There are neither pictures nor their features in {folder}.",
                "Delete that folder: the command that made it makes it again.",
            )
        tensors, meta = load_tensors(file)
        if kind == NETWORK and meta.get(NETWORK) != self.meta[NETWORK]:
            raise InputError(
                f"{file} holds what another network saw than the kit's for FID.",
                "Give the kit that it was packed with, or delete the folder to make it again.",
            )
        name = "/".join((kind, *prompt))
        if name not in tensors:
            raise ModelError(f"{file} does not hold {name}.", "Unpack it again.")
        return tensors[name]
