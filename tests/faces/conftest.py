"""Checks on real photos and published weights: they run where VISARD_REAL_DATA names a folder of them.

It holds photos/lfw10x10/<person>/*.jpg and, in models/, mobilefacenet-y1-128d.safetensors,
scrfd_500m_kps.onnx and openvino/face-reidentification-retail-0095.xml. Elsewhere these checks are deselected,
and pytest says how many.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "VISARD_REAL_DATA"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"real: needs real photos and weights; {VARIABLE} names their folder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if VARIABLE in os.environ:
        return
    real = [item for item in items if item.get_closest_marker("real")]
    if real:
        config.hook.pytest_deselected(items=real)
        items[:] = [item for item in items if item not in real]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder VISARD_REAL_DATA names; an error, not a skip, when it is not there."""
    folder = Path(os.environ[VARIABLE])
    assert (folder / "photos" / "lfw10x10").is_dir(), f"{VARIABLE}={folder} holds no photos/lfw10x10"
    return folder
