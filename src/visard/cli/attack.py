"""`visard attack`: how far adversaries get who adapt to the defence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, SameData, SameIdentities, Seed

if TYPE_CHECKING:
    from visard.attacks import AttackTier


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
    data: SameData = None,
    identities: SameIdentities = None,
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
    with its tiers if that arm has been attacked in the same way before. In a benchmark's folder what was
    done with the attacker's people is kept: stopped there, the same command goes on.

    Of a benchmark made with --data, the attacker's people are others of the same folder: name it again.

    \b
    visard attack people/ --attacker others/ --gallery strangers/ --report report.html
    visard attack bench/ --arm none --tier T3
    visard attack bench/ --arm 0.1 --tier T3 --report report.html
    visard attack bench-vgg/ --data vggface2/ --dev 5 --train 10
    """
    from visard import api  # not at the top: it takes seconds, and --help should not
    from visard.attacks.result import as_tree, write_results
    from visard.audit.flags import tier_flags
    from visard.targets import require_writable

    require_writable(to)
    seen: list[list[AttackTier]] = []
    try:
        with progress() as show:
            api.attack(
                target,
                tier=tier,
                arm=arm,
                dev=dev,
                train=train,
                leaked=leaked,
                workers=workers,
                attacker=attacker,
                gallery=gallery,
                data=data,
                identities=identities,
                kit=kit,
                seed=seed,
                report=report,
                progress=show,
                tell=seen.append,
            )
    finally:  # also where the report could not be made or written
        for found in seen:
            lines = [each.claim for each in found]
            lines += [f"Caution: {flag.message}" for flag in tier_flags(found)]
            result(as_tree(found), as_json, "\n".join(lines))
            if to is not None:
                write_results(to, found)
    if report is not None and not as_json:
        result({}, False, f"The report is in {report}")
