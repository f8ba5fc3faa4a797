"""`visard bench pack` and `unpack`: what tables are made of, without pictures, models and photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visard.cli.bench_options import Out
from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption

PANEL = "Results elsewhere"
Archives = Annotated[Path, typer.Argument(metavar="FOLDER", help="Archives that visard bench pack wrote.")]
Arms = Annotated[str | None, typer.Option(help="Arms by commas.", show_default="all that are there")]


def add_packing(app: typer.Typer) -> None:
    """Give `app` both commands."""
    app.command("pack", rich_help_panel=PANEL)(pack)
    app.command("unpack", rich_help_panel=PANEL)(unpack)


def pack(
    out: Out,
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="Where the archives go.", show_default=False)
    ],
    arms: Arms = None,
    kit: KitOption = "world",
    as_json: AsJson = False,
) -> None:
    """Write what tables are made of to an archive an arm: figures of finished units, no picture and no model.

    An archive that is there keeps the units that OUT does not have, so that several machines may pack into
    one folder. Only people of the embedded world are packed: what is known of real ones stays where it is.

    \b
    visard bench pack bench/ --to results/
    """
    from visard.benchmark import packing, protocol
    from visard.kits import open_kit

    chosen = [] if arms is None else protocol.parse_arms(arms)
    with progress() as report:
        written = packing.pack(out, to, open_kit(kit), chosen, report)
    text = "\n".join(map(str, written)) or f"{to} has it all."
    result({"archives": [file.name for file in written]}, as_json, text)


def unpack(
    archives: Archives,
    to: Annotated[
        Path, typer.Option("--to", metavar="OUT", help="The benchmark, there or new.", show_default=False)
    ],
    arms: Arms = None,
    as_json: AsJson = False,
) -> None:
    """Put packed units into a benchmark: tables are written anew from them, and commands do what is left.

    What is finished there stays. Whatever takes pictures or models (attacks, sheets of pictures, arms that
    draw again) needs units that were made there.

    \b
    visard bench unpack docs/results --to bench/
    visard bench table7 bench/ --people 20 --report-only
    """
    from visard.benchmark import packing, protocol

    found = packing.unpack(archives, to, [] if arms is None else protocol.parse_arms(arms))
    text = f"{found.new} units are in {to}; {found.known} were there."
    result({"new": found.new, "known": found.known}, as_json, text)
