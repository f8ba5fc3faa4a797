"""`visard world sample`: photographs of people who do not exist, with the truth about each."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visard.errors import InputError
from visard.progress import Progress, silent
from visard.storage import atomic_write, require_space
from visard.world.captions import caption
from visard.world.dataset import photograph
from visard.world.people import SPLITS, Person, person, split_people
from visard.world.renderer import LANDMARKS, MATERIALS, render
from visard.world.scene import Scene, scene

_BYTES_A_PICTURE = 40_000


def sample(
    out: str | Path,
    people: int = 3,
    per_person: int = 8,
    *,
    split: str = "test",
    first: int = 0,
    masks: bool = False,
    truth: bool = True,
    progress: Progress = silent,
) -> list[Path]:
    """Writes `per_person` JPEGs and a truth.json for each of `people` people; returns their folders.

    The people are numbers `first`... of the split, the same for everyone. truth.json holds landmarks (x, y in
    pixels, centres at integers), face box, pose in degrees, gaze, expression, attributes and caption of each
    picture; `truth=False` leaves it out, `masks` adds PNGs of the materials. Raises InputError for impossible
    counts or splits.
    """
    if split not in SPLITS:
        raise InputError(f"The world has no people called '{split}'.", f"Choose one of: {', '.join(SPLITS)}.")
    if people < 1 or per_person < 1:
        raise InputError("There must be at least one person and one picture.", "Give positive counts.")
    try:
        numbers = split_people(split, first + people)[first:]
    except ValueError as error:
        raise InputError(f"Too many people: {error}.", "Ask for fewer.") from error
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    require_space(out, people * per_person * _BYTES_A_PICTURE)
    folders = []
    for done, number in enumerate(numbers):
        folders.append(_write_person(out, person(number), per_person, masks, truth))
        progress("rendering people", done + 1, people)
    return folders


def pictures(who: Person, count: int, *, first: int = 0, **asked: bool) -> list[Image.Image]:
    """`count` photographs of a person, from `first` on; `asked` goes to `scene` (glasses, hat, frontal)."""
    scenes = [scene(who, first + k, **asked) for k in range(count)]
    return [image for image, _ in _photographs(who, scenes)]


def _photographs(who: Person, scenes: list[Scene]) -> list[tuple[Image.Image, dict[str, Any]]]:
    drawn = render([who] * len(scenes), scenes, compile=False)
    made = []
    for i, circumstances in enumerate(scenes):
        rng = np.random.default_rng((0xF070, who.number, circumstances.seed))
        image = Image.fromarray(photograph(drawn.pixels[i], circumstances, "photo", rng, jpeg=False))
        words = {k: v for k, v in circumstances.words.items() if k not in ("noise", "blur", "jpeg")}
        made.append(
            (
                image,
                {
                    "caption": caption(who, circumstances, "photo", rng),
                    "landmarks": dict(zip(LANDMARKS, drawn.landmarks[i].round(2).tolist(), strict=True)),
                    "box": drawn.boxes[i].round(2).tolist(),
                    **{k: round(v, 3) if isinstance(v, float) else v for k, v in words.items()},
                    "materials": drawn.materials[i],
                },
            )
        )
    return made


def _write_person(out: Path, who: Person, count: int, masks: bool, with_truth: bool) -> Path:
    folder = out / f"person-{who.number}"
    folder.mkdir(exist_ok=True)
    truths = {}
    for k, (image, truth) in enumerate(_photographs(who, [scene(who, k) for k in range(count)])):
        name = f"{k:03d}.jpg"
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=93)
        atomic_write(folder / name, buffer.getvalue())
        materials = truth.pop("materials")
        if masks:
            buffer = io.BytesIO()
            Image.fromarray(materials).save(buffer, "PNG")
            atomic_write(folder / f"{k:03d}.mask.png", buffer.getvalue())
        truths[name] = truth
    if not with_truth:
        return folder
    traits = {k: round(v, 3) if isinstance(v, float) else v for k, v in who.traits.items()}
    content = {
        "person": who.number,
        "traits": traits,
        "materials": ["background", *MATERIALS],
        "pictures": truths,
    }
    atomic_write(folder / "truth.json", (json.dumps(content, indent=1) + "\n").encode())
    return folder
