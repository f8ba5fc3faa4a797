"""Train one model of the embedded world, in one sitting or several."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from visard.errors import INTERRUPTED, VisardError
from visard.world.recipes import RECIPES, Job, build


def log(stage: str, done: int, total: int, **figures: float) -> None:
    """One plain line a call: recipes run for minutes in logs and terminals alike."""
    line = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
    print(f"{stage}  {done}/{total}  {line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m visard.world.recipes", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of rendered splits")
    parser.add_argument("--out", type=Path, required=True, help="folder of models to write into")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="folder of models whose weights to begin with")
    options = parser.parse_args()
    job = Job(**{name: value for name, value in vars(options).items() if name != "name"}, progress=log)
    try:
        scores = build(options.name, job)
    except VisardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from the last saved state.", file=sys.stderr)
        return INTERRUPTED
    for name, value in scores.items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
