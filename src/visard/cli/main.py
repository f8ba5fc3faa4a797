"""`visard`: the commands tied together, and what every one of them does when something goes wrong."""

from __future__ import annotations

import signal
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from visard import __version__
from visard.cli import (
    attack,
    audit,
    bench,
    bench_scale,
    bench_step,
    bench_tmax,
    demo,
    generate,
    inspect,
    models,
    personalize,
    photos,
    protect,
    world,
)
from visard.cli.console import explain, note
from visard.cli.resuming import Resuming, ResumingInBenchmarks
from visard.errors import INTERRUPTED
from visard.storage import known_error


class Commands(TyperGroup):
    """Turns what went wrong into a message and an exit code: a traceback is for bugs, and for --debug."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            note(" ".join(["\nStopped.", *map(str, error.args)]))
            raise typer.Exit(INTERRUPTED) from error
        except Exception as error:
            cause = known_error(error)
            if cause is None:
                raise
            if ctx.params.get("debug"):
                traceback.print_exception(error)
            explain(cause)
            raise typer.Exit(cause.exit_code) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Start with "visard demo": it needs no photos, no network and about five minutes.',
)
app.command("personalize", cls=Resuming)(personalize.personalize)
app.command("generate", cls=Resuming)(generate.generate)
app.command("protect", cls=Resuming)(protect.protect)
app.command("audit")(audit.audit)
app.command("attack", cls=ResumingInBenchmarks)(attack.attack)
app.command("inspect")(inspect.inspect)
app.command("demo", cls=Resuming)(demo.demo)
bench.app.command("step")(bench_step.step)
bench.app.command("blueprint")(bench_step.blueprint)
bench.app.command("tmax")(bench_tmax.tmax)
bench.app.command("scale")(bench_scale.scale)
app.add_typer(bench.app, name="bench")
app.add_typer(models.app, name="models")
app.add_typer(photos.app, name="photos")
app.add_typer(world.app, name="world")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"visard {__version__}")
        raise typer.Exit


@app.callback()
def visard(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Personalise text-to-image models so that people see the person and face recognition finds it harder.

    The usual way: `personalize` your photos, `generate` pictures, `audit` what they give away.
    """


def main() -> None:
    """The `visard` program; told to end (SIGTERM), it stops as by Ctrl-C, and its workers with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
