"""Attack pictures as an adversary would who adapts to the defence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from visard.api.auditing import write_report
from visard.attacks import AttackSettings, AttackTier, folders
from visard.attacks.report import audited as audited_with_tiers
from visard.attacks.result import up_to
from visard.audit import AuditResult
from visard.benchmark.attack import lenses, prepare
from visard.benchmark.attack_report import audit_campaign
from visard.benchmark.protocol import PROTOCOL_FILE
from visard.errors import BusyError, InputError
from visard.kits import Kit, open_kit
from visard.progress import Progress, silent
from visard.targets import require_writable


def attack(
    target: str | Path,
    *,
    tier: str = "T4",
    arm: str = "0.1",
    dev: int = 10,
    train: int = 20,
    leaked: int = 8,
    workers: int = 2,
    attacker: str | Path | None = None,
    gallery: str | Path | None = None,
    data: str | Path | None = None,
    identities: str | Path | None = None,
    kit: str | Path = "world",
    seed: int = 0,
    report: str | Path | None = None,
    progress: Progress = silent,
    tell: Callable[[list[AttackTier]], None] = lambda found: None,
) -> list[AttackTier]:
    """Attack the folder `target` as an adversary would who adapts to the defence, a result for each tier.

    tier: the highest of T0 to T5. target: a folder of people (NAME/photos, NAME/pictures) whom those in
    `attacker` (dev/NAME/..., train/NAME/...) attack in a gallery of strangers, by default the kit's; or a
    benchmark, whose `arm` is attacked with so many other people to choose on (dev) and learn from (train),
    `leaked` pictures of each prompt at T5, `workers` models trained at a time. data, identities: the folder
    and the identity file that a benchmark of a folder was made with, whose other people are the attacker's.
    report: an HTML file, the same people audited; `tell` hears the tiers before that is begun.
    Raises InputError, ModelError, StorageError, TrainingError, and BusyError where another command is at
    the attacker's models.
    """
    tiers = up_to(tier)
    require_writable(report)
    target, settings = Path(target), AttackSettings(seed=seed)
    models = open_kit(kit)
    audited: Callable[[], AuditResult]
    if (target / PROTOCOL_FILE).is_file():
        campaign, camera, _ = prepare(
            target,
            arm,
            tier,
            {"dev": dev, "train": train, "leaked": leaked, "workers": workers},
            data=_path(data),
            identities=_path(identities),
            kit=str(kit),
            seed=seed,
            progress=progress,
        )
        if len(campaign.arms) > 1:
            raise InputError("One arm is attacked at a time.", "visard bench attackers takes several.")
        campaign.run(camera=camera, progress=progress)
        if not (found_by_arm := campaign.found()):
            raise BusyError(
                f"{len(campaign.left())} of {campaign.size} units are left: another command is at "
                "models of the attacker's people.",
                "Wait for it, then give the same command again: what is done is kept.",
            )
        (found,) = found_by_arm.values()
        audited = partial(audit_campaign, campaign, progress)
    else:
        strangers = gallery or models.gallery
        if attacker is None or strangers is None:
            raise InputError(
                f"{target} is no benchmark, and an attack on people needs --attacker and --gallery.",
                "Give the attacker's own people (dev/NAME/photos, dev/NAME/pictures) and strangers.",
            )
        attackers, others = Path(attacker), Path(strangers)
        found = folders.attack_people(
            target, attackers, others, lenses(models), tiers=tiers, settings=settings, progress=progress
        )
        audited = partial(_audited, target, others, found, models, settings, progress)
    tell(found)
    if report is not None:
        write_report(report, audited(), models, title="Linkability audit with attack tiers")
    return found


def _audited(
    people: Path,
    strangers: Path,
    found: Sequence[AttackTier],
    kit: Kit,
    settings: AttackSettings,
    progress: Progress,
) -> AuditResult:
    """The audit of a folder of people, with the tiers found."""
    return audited_with_tiers(
        folders.as_audited(people),
        folders.strangers(strangers),
        found,
        kit.instruments(),
        settings=settings,
        progress=progress,
    )


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
