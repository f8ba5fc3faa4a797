"""A folder of holiday photos of colour people, and the selector that looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from photos.painted import SIZE, ColourDetector, colour_recognizer, photo
from visard.photos.select import Selector


@pytest.fixture
def selector() -> Selector:
    return Selector(ColourDetector(), [colour_recognizer()], size=SIZE)


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """Red alone, beside others, missing, blurred, far away, and sent twice."""
    folder = tmp_path / "holiday at home"
    folder.mkdir()
    alone = photo(("red", 28, 18, 40), seed=1)
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    pictures = {
        "1-alone.png": alone,
        "2-beside.png": photo(("green", 20, 30, 40), ("red", 120, 24, 44), width=200, height=120, seed=2),
        "3-three.png": photo(
            ("red", 30, 20, 48), ("blue", 130, 20, 48), ("green", 230, 30, 40), width=300, height=110, seed=3
        ),
        "4-aside.png": photo(("red", 10, 30, 44), width=180, height=120, seed=4),
        "5-friend.png": photo(("blue", 28, 18, 40), seed=5),
        "6-sent.jpg": alone.resize((80, 80)),
        "7-sea.png": photo(seed=7),
        "8-shaky.png": photo(("red", 30, 20, 40), seed=8).filter(ImageFilter.GaussianBlur(8)),
        "9-far.png": photo(("red", 60, 40, 16), width=160, height=120, seed=9),
    }
    for name, picture in pictures.items():
        picture.save(folder / name, exif=exif, **({"quality": 92} if name.endswith("jpg") else {}))
    (folder / "2-beside.txt").write_text("sks person beside a friend\n", encoding="utf-8")
    return folder
