from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.blobs import save, stand_in
from visard.world.dataset import Pictures


@pytest.fixture(scope="session")
def blobs() -> Callable[..., Pictures]:
    return stand_in


@pytest.fixture(scope="session")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of splits, each of its own few people."""
    folder = tmp_path_factory.mktemp("renders")
    for number, split in enumerate(("surrogate", "judge", "regressor", "base", "test", "gallery")):
        save(stand_in(12, 4, first=1000 * number), folder / split)
    return folder
