"""`visard attack`: how far adversaries get who adapt to the defence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, Seed
from visard.errors import InputError


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
    as_json: AsJson = False,
) -> None:
    """Attack drawn pictures as an adversary would who adapts to the defence, tier upon tier.

    T0 one picture; T1 several matchers; T2 preprocessing; T3 several pictures; T4 learned from other people's
    models; T5 the model file. Every choice is made on the attacker's own people, who are in no other place.

    \b
    visard attack bench/ --arm 0.1 --tier T3
    visard attack people/ --attacker others/ --gallery strangers/ --to attack.json
    """
    from visard.attacks import TIERS, AttackSettings
    from visard.attacks.folders import attack_people
    from visard.attacks.result import as_tree, write_results
    from visard.benchmark.attack import Attackers, attack_benchmark, lenses
    from visard.benchmark.protocol import PROTOCOL_FILE, parse_arms
    from visard.kits import open_kit
    from visard.world.people import split_people

    if tier not in TIERS:
        raise InputError(f"There is no attack tier {tier}.", f"Choose one of {', '.join(TIERS)}.")
    tiers = TIERS[: TIERS.index(tier) + 1]
    settings = AttackSettings(seed=seed)
    with progress() as show:
        if (target / PROTOCOL_FILE).is_file():
            found = attack_benchmark(
                target,
                parse_arms(arm)[0],
                Attackers(
                    split_people("attacker_dev", dev), split_people("attacker_train", train), leaked, workers
                ),
                tiers=tiers,
                kit=kit,
                seed=seed,
                settings=settings,
                progress=show,
            )
        else:
            models = open_kit(kit)
            strangers = gallery or models.gallery
            if attacker is None or strangers is None:
                raise InputError(
                    f"{target} is no benchmark, and an attack on people needs --attacker and --gallery.",
                    "Give the attacker's own people (dev/NAME/photos, dev/NAME/pictures) and strangers.",
                )
            found = attack_people(
                target, attacker, strangers, lenses(models), tiers=tiers, settings=settings, progress=show
            )
    if to is not None:
        write_results(to, found)
    lines = [each.claim for each in found]
    lines += [f"Caution: {caution}" for each in found for caution in each.cautions]
    result(as_tree(found), as_json, "\n".join(lines))
