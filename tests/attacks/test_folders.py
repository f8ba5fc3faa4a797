from __future__ import annotations

from pathlib import Path

import pytest
import torch

from visard.attacks import Embeddings
from visard.attacks.folders import attack_people
from visard.errors import InputError
from visard.images import save_image


def person(folder: Path, shade: float) -> None:
    for index, inside in enumerate(("photos", "pictures")):
        (folder / inside).mkdir(parents=True)
        save_image(torch.full((3, 8, 8), shade + index / 255), folder / inside / "a.png")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("people/ann/photos", "gallery/001"),
        ("attacker/dev/eve/photos", "gallery/001"),
        ("people/ann/photos", "attacker/dev/eve/photos"),
        ("attacker/train/joe/photos", "people/ann/photos"),
    ],
)
def test_nobody_is_in_two_places_under_whatever_name(one: str, other: str, tmp_path: Path) -> None:
    """A person among the gallery's strangers outranks themselves: linked never, and too well protected."""
    for index, name in enumerate(("people/ann", "attacker/dev/eve", "attacker/train/joe")):
        person(tmp_path / name, -0.9 + index / 10)
    (tmp_path / "gallery" / "001").mkdir(parents=True)
    save_image(torch.zeros(3, 8, 8), tmp_path / "gallery" / "001" / "b.png")
    (tmp_path / other / "copy.png").write_bytes((tmp_path / one / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"A photo in .* also stands in"):
        attack_people(
            tmp_path / "people", tmp_path / "attacker", tmp_path / "gallery", Embeddings(), tiers=("T0",)
        )
