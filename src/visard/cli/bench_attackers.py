"""`visard bench attackers`: several arms of a benchmark under the same attack."""

from __future__ import annotations

from typing import Annotated

import typer

from visard.cli.bench_options import (
    TABLES,
    ClusterAddress,
    Gpus,
    MostMinutes,
    MostUnits,
    Out,
    ReportOnly,
    Workers,
    executor,
    note_busy,
    note_left,
    note_left_out,
)
from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, SameData, SameIdentities, Seed


def attackers(
    out: Out,
    arms: Annotated[str, typer.Option(help="Which of the finished arms to attack.")] = "none,0.1",
    tier: Annotated[str, typer.Option(help="The highest tier, T0 to T5; lower ones are run too.")] = "T4",
    dev: Annotated[int, typer.Option(min=2, help="People the attacker makes choices on.")] = 10,
    train: Annotated[int, typer.Option(min=3, help="People the attacker learns from (T4).")] = 20,
    leaked: Annotated[int, typer.Option(min=1, help="Pictures of each prompt from a model (T5).")] = 8,
    seed: Seed = 0,
    data: SameData = None,
    identities: SameIdentities = None,
    kit: KitOption = "world",
    workers: Workers = 2,
    cluster: ClusterAddress = None,
    gpus: Gpus = 0.0,
    units: MostUnits = None,
    minutes: MostMinutes = None,
    report_only: ReportOnly = False,
    as_json: AsJson = False,
) -> None:
    """Attack several arms of a benchmark, as visard attack does one: a column a tier.

    Units are the models of the attacker's own people, what a leaked model draws (T5), and the attack on an
    arm. Stopped at any time, or after a slice of them, the same command goes on. T5 needs the models of the
    people under attack: a benchmark made with --keep-models. An arm made of words alone has no model file.

    Of a benchmark made with --data, the attacker's people are others of the same folder: name it again.

    \b
    visard bench attackers bench/ --arms none,0.1,attributes,strangers --tier T5
    visard bench attackers bench/ --workers 4 --minutes 60
    visard bench attackers bench-vgg/ --data vggface2/ --dev 5 --train 10
    """
    from visard.attacks.result import as_tree
    from visard.benchmark import attackers as table
    from visard.benchmark import catalogue
    from visard.benchmark.attack import prepare
    from visard.benchmark.job import Slice

    with progress() as report:
        campaign, camera, left_out = prepare(
            out,
            arms,
            tier,
            {"dev": dev, "train": train, "leaked": leaked, "workers": workers},
            data=data,
            identities=identities,
            kit=kit,
            seed=seed,
            progress=report,
        )
        busy = []
        if not report_only:
            busy = campaign.run(
                camera=camera, execute=executor(cluster, gpus), part=Slice(units, minutes), progress=report
            )
    note_left_out(left_out)
    found, left = campaign.found(), campaign.left()
    hours = catalogue.cost(left.models, campaign.training, campaign.protocol, campaign.own)
    values = {
        "table": table.NAME,
        "files": [str(file) for file in table.write(found, out / TABLES)] if found else [],
        "units": campaign.size,
        "left": len(left),
        "core_hours": hours,
        "arms": {arm: as_tree(each) for arm, each in found.items()},
    }
    result(values, as_json, table.markdown(found))
    note_busy(busy)
    note_left(len(left), campaign.size, hours)
