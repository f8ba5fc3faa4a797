"""A benchmark's people audited, with what attacks on its arms found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visard.attacks.report import audited
from visard.audit import AuditResult, Person
from visard.benchmark.attack import Campaign
from visard.benchmark.people import CLEAN, TRAINING, load_photos
from visard.benchmark.protocol import NONE
from visard.benchmark.unit import UnitJob
from visard.errors import InputError
from visard.kits import open_kit
from visard.progress import Progress, silent


def audit_campaign(campaign: Campaign, progress: Progress = silent) -> AuditResult:
    """The people under attack, arm by arm and prompt by prompt, with the tiers of the arms attacked so far.

    The undefended arm comes with them where it is finished for everybody, and its tiers where it has been
    attacked in the same way. Raises InputError where nobody has all the arms.
    """
    wide = replace(campaign, arms=list(dict.fromkeys([NONE, *campaign.arms])))
    numbers = {arm: {unit.person for unit in units} for arm, units in wide.subjects.items()}
    people = set.intersection(*(numbers[arm] for arm in campaign.arms))
    if not people:
        raise InputError(
            f"Nobody in {campaign.out} has all of the arms {', '.join(campaign.arms)}.",
            "Finish them with visard bench main first.",
        )
    if not people <= numbers[NONE]:
        wide = campaign
    kit = open_kit(campaign.kit)
    side = kit.backbone().resolution
    found = wide.found()
    return audited(
        [_person(wide, person, side) for person in sorted(people)],
        wide.strangers(side),
        [tier for arm in wide.arms for tier in found.get(arm, [])],
        kit.instruments(),
        surrogates=kit.surrogate_ids(),
        settings=campaign.settings,
        progress=progress,
    )


def _person(campaign: Campaign, number: int, side: int) -> Person:
    photos = campaign.out / "people" / str(number)
    units: Sequence[UnitJob] = [
        UnitJob(unit, campaign.protocol, campaign.out)
        for units in campaign.subjects.values()
        for unit in units
        if unit.person == number
    ]
    return Person(
        load_photos(photos / CLEAN, side),
        {f"{work.unit.arm}/{prompt}": each for work in units for prompt, each in work.pictures().items()},
        load_photos(photos / TRAINING, side),
    )
