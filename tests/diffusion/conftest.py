"""The tiny model, written once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tiny import tiny_pipeline
from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import write_blueprint


@pytest.fixture(scope="session")
def epsilon_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("models") / "epsilon")


@pytest.fixture(scope="session")
def v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("models") / "v", "v_prediction")


@pytest.fixture(scope="session")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blueprint("tiny-sdxl", tmp_path_factory.mktemp("models") / "xl")


@pytest.fixture(params=["epsilon_folder", "v_folder", "xl_folder"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """A fresh, frozen tiny model of either prediction type, and of SDXL."""
    return frozen(request.getfixturevalue(request.param))


@pytest.fixture
def xl(xl_folder: Path) -> Backbone:
    """A fresh, frozen tiny SDXL."""
    return frozen(xl_folder)


@pytest.fixture
def tiny(v_folder: Path) -> Backbone:
    """A fresh, frozen tiny model."""
    return frozen(v_folder)


def frozen(folder: Path) -> Backbone:
    backbone = Backbone.load(folder)
    backbone.freeze()
    return backbone
