"""Finished units without their pictures, models and photos: what tables are made of, an archive an arm.

To publish the figures behind a table, to put together what several machines have made, or to go on elsewhere.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from visard.benchmark import job
from visard.benchmark.features import FEATURES_FILE, Features
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.result import REDRAWN_FILE, RESULT_FILE, SIMILARITIES_FILE, Result, read_result
from visard.benchmark.summary import summarize
from visard.benchmark.table import D_SYS
from visard.errors import InputError
from visard.kits import Kit
from visard.progress import Progress, silent
from visard.storage import atomic_write, claimed, load_tensors, tensor_bytes

PACKED = (FEATURES_FILE, SIMILARITIES_FILE, REDRAWN_FILE, RESULT_FILE)
"""A unit's files that an archive holds; the one that says that the unit is done is written last."""
PEOPLE = "people"
"""The archive of what is seen in the people's clean photos, which is no arm's."""
SUFFIX = ".zip"
ENTRY = re.compile(rf"person-(\d+)/seed-(\d+)/({'|'.join(map(re.escape, PACKED))})")
PHOTOS = re.compile(rf"(\d+)/{re.escape(FEATURES_FILE)}")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry, so that the same units make the same bytes."""


@dataclass(frozen=True)
class Unpacked:
    """How many units an archive's folder gave, and how many were finished already."""

    new: int
    known: int


def pack(
    out: Path, folder: Path, kit: Kit, arms: Sequence[str] = (), progress: Progress = silent
) -> list[Path]:
    """Write ARM.zip for every finished arm, or these, to `folder`; returns the archives that changed.

    Units that an archive there has and `out` has not stay in it. Raises InputError where `out` is of real
    people, whose figures stay where they are, or `folder` holds another benchmark's; StorageError.
    """
    protocol = Protocol.of(out)
    if protocol.people:
        raise InputError(
            f"{out} is a benchmark of people of a folder; what is packed goes elsewhere.",
            "Only people of the embedded world, who do not exist, are packed.",
        )
    protocol.require(kit)
    finished = job.finished(out)
    chosen = list(dict.fromkeys(arms or sorted({each.unit.arm for each in finished})))
    for arm in chosen:
        if not any(each.unit.arm == arm for each in finished):
            raise InputError(f"No unit of the arm {arm} is finished in {out}.", "Finish it, or leave it out.")
    seen = Features(out, protocol, kit)
    written = []
    with claimed(folder):
        protocol.claim(folder)
        for done, arm in enumerate(chosen):
            mine = [each for each in finished if each.unit.arm == arm]
            entries = {
                f"person-{each.unit.person}/seed-{each.unit.seed}/{name}": data
                for each in mine
                for name, data in _unit_files(each, out, seen).items()
            }
            written += _merge(folder / f"{arm}{SUFFIX}", entries)
            progress("packing", done + 1, len(chosen))
        photos = {each.unit.person: each.unit for each in finished if each.unit.arm in chosen}
        entries = {f"{person}/{FEATURES_FILE}": _photos_file(unit, seen) for person, unit in photos.items()}
        written += _merge(folder / f"{PEOPLE}{SUFFIX}", entries)
    return written


def unpack(folder: Path, out: Path, arms: Sequence[str] = ()) -> Unpacked:
    """Put the units of archives, of all or of these arms, into the benchmark `out`, which may be new.

    What is finished there stays. Raises InputError where either holds another benchmark or an archive is not
    whole, StorageError.
    """
    protocol = Protocol.of(folder)
    protocol.claim(out)
    there = {file.stem: file for file in sorted(folder.glob(f"*{SUFFIX}")) if file.stem != PEOPLE}
    if missing := [arm for arm in arms if arm not in there]:
        raise InputError(f"There is no {missing[0]}{SUFFIX} in {folder}.", f"There are: {', '.join(there)}.")
    new = known = 0
    for arm in arms or there:
        units: dict[Unit, dict[str, bytes]] = {}
        for name, data in _read(there[arm]).items():
            if found := ENTRY.fullmatch(name):
                unit = Unit(int(found[1]), arm, int(found[2]))
                units.setdefault(unit, {})[found[3]] = data
        for unit, files in units.items():
            with claimed(unit.folder(out)):
                if read_result(unit, protocol, out) is not None:
                    known += 1
                    continue
                for name in sorted(files, key=PACKED.index):
                    atomic_write(unit.folder(out) / name, files[name])
                new += 1
    if (archive := folder / f"{PEOPLE}{SUFFIX}").is_file():
        for name, data in _read(archive).items():
            if found := PHOTOS.fullmatch(name):
                atomic_write(out / PEOPLE / found[1] / FEATURES_FILE, data)
    return Unpacked(new, known)


def _unit_files(result: Result, out: Path, seen: Features) -> dict[str, bytes]:
    """Of the similarities those alone that tables take."""
    place = result.unit.folder(out)
    similarities, meta = load_tensors(place / SIMILARITIES_FILE)
    read = summarize([result]).member(*D_SYS.of)
    kept = {name: each for name, each in similarities.items() if name.split("/")[0] == read}
    prompts = result.scores["prompts"]
    features = {
        f"{kind}/{prompt}": seen.unit(kind, result.unit, prompt) for kind in seen.looks for prompt in prompts
    }
    return {
        RESULT_FILE: (place / RESULT_FILE).read_bytes(),
        REDRAWN_FILE: (place / REDRAWN_FILE).read_bytes(),
        SIMILARITIES_FILE: tensor_bytes(kept, meta),
        FEATURES_FILE: tensor_bytes(features, seen.meta),
    }


def _photos_file(unit: Unit, seen: Features) -> bytes:
    return tensor_bytes({kind: seen.photos(kind, unit) for kind in seen.looks}, seen.meta)


def _merge(archive: Path, entries: Mapping[str, bytes]) -> list[Path]:
    """Put entries into an archive, which may be there; it alone if that changes it."""
    there = _read(archive) if archive.exists() else {}
    if there.items() >= entries.items():
        return []
    whole = io.BytesIO()
    with ZipFile(whole, "w", ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in sorted({**there, **entries}.items()):
            entry = ZipInfo(name, EPOCH)
            entry.compress_type = ZIP_DEFLATED
            file.writestr(entry, data)
    atomic_write(archive, whole.getvalue())
    return [archive]


def _read(archive: Path) -> dict[str, bytes]:
    """Every entry by its name. Raises InputError where it is not a whole archive."""
    try:
        with ZipFile(archive) as file:
            return {name: file.read(name) for name in file.namelist()}
    except (OSError, BadZipFile, ZlibError) as error:
        raise InputError(f"{archive} is not a whole archive: {error}.", "Copy it again.") from error
