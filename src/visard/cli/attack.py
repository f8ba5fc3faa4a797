"""`visard attack`: how far adversaries get who adapt to the defence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, Seed
from visard.errors import InputError

if TYPE_CHECKING:
    from visard.attacks import AttackSettings, AttackTier
    from visard.audit import AuditResult
    from visard.kits import Kit
    from visard.progress import Progress


def attack(
    target: Annotated[
        Path, typer.Argument(help="A benchmark's folder, or a folder of people: NAME/photos, NAME/pictures.")
    ],
    tier: Annotated[str, typer.Option(help="The highest tier, T0 to T5; lower ones are run too.")] = "T4",
    arm: Annotated[str, typer.Option(help="Benchmark: which arm to attack.")] = "0.1",
    dev: Annotated[
        int, typer.Option(min=2, max=5000, help="Benchmark: people the attacker makes choices on.")
    ] = 10,
    train: Annotated[
        int, typer.Option(min=3, max=5000, help="Benchmark: people the attacker learns from (T4).")
    ] = 20,
    leaked: Annotated[
        int, typer.Option(min=1, help="Benchmark: pictures of each prompt from a leaked model (T5).")
    ] = 8,
    attacker: Annotated[
        Path | None, typer.Option(help="People: the attacker's own, as dev/NAME/... and train/NAME/...")
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(help="People: photos of strangers, a folder each.", show_default="people of the kit"),
    ] = None,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=1, help="Models to train at a time.")] = 2,
    kit: KitOption = "world",
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write figures and choices as JSON.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also audit these people, as visard audit does one, and write both as one HTML file.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attack drawn pictures as an adversary would who adapts to the defence, tier upon tier.

    T0 one picture; T1 several matchers; T2 preprocessing; T3 several pictures; T4 learned from other people's
    models; T5 the model file. Every choice is made on the attacker's own people, who are in no other place.

    A report says judge by judge what one picture gives away and tier upon tier what an adversary makes of it;
    it holds figures and no pictures. Of a benchmark it shows the undefended arm beside the one under attack,
    with its tiers if that arm has been attacked in the same way before.

    \b
    visard attack people/ --attacker others/ --gallery strangers/ --report report.html
    visard attack bench/ --arm none --tier T3
    visard attack bench/ --arm 0.1 --tier T3 --report report.html
    """
    from visard.api import write_report
    from visard.attacks import TIERS, AttackSettings
    from visard.attacks.folders import attack_people
    from visard.attacks.result import as_tree, write_results
    from visard.benchmark.attack import Attackers, Campaign, lenses
    from visard.benchmark.attack_report import audit_campaign
    from visard.benchmark.people import world_people
    from visard.benchmark.protocol import PROTOCOL_FILE, parse_arms
    from visard.kits import open_kit

    if tier not in TIERS:
        raise InputError(f"There is no attack tier {tier}.", f"Choose one of {', '.join(TIERS)}.")
    tiers = TIERS[: TIERS.index(tier) + 1]
    settings = AttackSettings(seed=seed)
    models = open_kit(kit)
    with progress() as show:
        if (target / PROTOCOL_FILE).is_file():
            chosen = parse_arms(arm)[0]
            own = Attackers(
                world_people("attacker_dev", dev), world_people("attacker_train", train), leaked, workers
            )
            campaign = Campaign(
                out=target, arms=[chosen], attackers=own, tiers=tiers, kit=kit, seed=seed, settings=settings
            )
            campaign.run(progress=show)
            found = campaign.found()[chosen]
            audited = audit_campaign(campaign, show) if report is not None else None
        else:
            strangers = gallery or models.gallery
            if attacker is None or strangers is None:
                raise InputError(
                    f"{target} is no benchmark, and an attack on people needs --attacker and --gallery.",
                    "Give the attacker's own people (dev/NAME/photos, dev/NAME/pictures) and strangers.",
                )
            found = attack_people(
                target, attacker, strangers, lenses(models), tiers=tiers, settings=settings, progress=show
            )
            audited = (
                _audited(target, strangers, found, models, settings, show) if report is not None else None
            )
    if to is not None:
        write_results(to, found)
    lines = [each.claim for each in found]
    lines += [f"Caution: {each.tier}: {caution}" for each in found for caution in each.cautions]
    if report is not None and audited is not None:
        write_report(report, audited, models, title="Linkability audit with attack tiers")
        lines.append(f"The report is in {report}")
    result(as_tree(found), as_json, "\n".join(lines))


def _audited(
    people: Path,
    strangers: Path,
    found: Sequence[AttackTier],
    models: Kit,
    settings: AttackSettings,
    show: Progress,
) -> AuditResult:
    """The audit of a folder of people, with the tiers found."""
    from visard.attacks import folders
    from visard.attacks.report import audited

    return audited(
        folders.as_audited(people),
        folders.strangers(strangers),
        found,
        models.instruments(),
        surrogates=models.surrogate_ids(),
        settings=settings,
        progress=show,
    )
