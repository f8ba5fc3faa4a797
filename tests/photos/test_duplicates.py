from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from photos.painted import photo
from visard.images import to_tensor
from visard.photos.duplicates import BURST, SAME, alike, duplicates, same, thumbnails

ORIGINAL = photo(("red", 60, 30, 60), ("blue", 180, 50, 40), width=240, height=160)


def pair(first: Image.Image, second: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    return alike(*(thumbnails(to_tensor(image)[None]) for image in (first, second)))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize(
    "copy",
    [
        ORIGINAL,
        jpeg(ORIGINAL, 40),
        ORIGINAL.resize((120, 80), Image.Resampling.LANCZOS),
        jpeg(ORIGINAL.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 60),
        ORIGINAL.crop((12, 8, 228, 152)),
        jpeg(ORIGINAL.crop((18, 0, 240, 150)), 70),
    ],
    ids=["exact", "recompressed", "resized", "mirrored", "cropped", "cropped on two sides"],
)
def test_a_copy_is_known(copy: Image.Image) -> None:
    assert bool(same(*pair(ORIGINAL, copy)))
    assert bool(same(*pair(copy, ORIGINAL)))


def test_the_next_shot_of_a_burst_is_near_and_not_the_same() -> None:
    moved = Image.new("RGB", ORIGINAL.size)
    moved.paste(ORIGINAL)
    moved.paste(ORIGINAL.crop((60, 30, 120, 105)), (66, 34))
    plain, cropped = pair(ORIGINAL, moved)
    assert BURST <= float(cropped) < SAME
    assert not bool(same(plain, cropped))


def test_other_photos_are_neither() -> None:
    first = torch.stack([to_tensor(photo(seed=seed)) for seed in range(8)])
    second = torch.stack([to_tensor(photo(seed=seed)) for seed in range(8, 16)])
    _, cropped = alike(thumbnails(first), thumbnails(second))
    assert float(cropped.max()) < BURST
    assert duplicates(first, second) == 0
    assert duplicates(first, torch.cat([second, first[3:5]])) == 2
    assert duplicates(first[:0], second) == 0


def test_pictures_of_one_colour_are_copies_of_nothing() -> None:
    assert duplicates(torch.zeros(2, 3, 48, 48), torch.zeros(2, 3, 48, 48)) == 0
