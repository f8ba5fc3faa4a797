"""What every test gets: no network, a way to make a folder of photos, and real data where there is some.

Checks marked `real` run where VISARD_REAL_DATA names a folder that holds photos/lfw10x10/<person>/*.jpg,
photos/person-512/set_<A|B|C>/* and, in models/, mobilefacenet-y1-128d.safetensors, scrfd_500m_kps.onnx and
openvino/face-reidentification-retail-0095.xml. Those marked `bitsandbytes` run where it is installed.
Elsewhere they are deselected, and pytest says how many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.pictures import picture

VARIABLE = "VISARD_REAL_DATA"
EIGHT_BIT = "bitsandbytes"

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums to the last bit depend on it, and more is slower here
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"real: needs real photos and weights; {VARIABLE} names their folder")
    config.addinivalue_line("markers", f"{EIGHT_BIT}: needs the extra `memory`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lacking = [] if VARIABLE in os.environ else ["real"]
    if find_spec(EIGHT_BIT) is None:
        lacking.append(EIGHT_BIT)
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in lacking)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder VISARD_REAL_DATA names; an error, not a skip, when it is not there."""
    folder = Path(os.environ[VARIABLE])
    assert (folder / "photos" / "lfw10x10").is_dir(), f"{VARIABLE}={folder} holds no photos/lfw10x10"
    return folder


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """`photo_folder(count, size)`: a new folder of that many PNG photos; `first`: of which on."""

    def make(count: int, size: int = 64, name: str = "photos", first: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for index in range(count):
            picture(first + index, size, size).save(folder / f"{index:02d}.png")
        return folder

    return make
