"""The tiny model, written once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tiny import tiny_pipeline
from visard.diffusion.backbone import Backbone


@pytest.fixture(scope="session")
def epsilon_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("models") / "epsilon")


@pytest.fixture(scope="session")
def v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("models") / "v", "v_prediction")


@pytest.fixture(params=["epsilon", "v_prediction"])
def backbone(request: pytest.FixtureRequest, epsilon_folder: Path, v_folder: Path) -> Backbone:
    """A fresh, frozen tiny model of either prediction type."""
    return frozen(epsilon_folder if request.param == "epsilon" else v_folder)


@pytest.fixture
def tiny(v_folder: Path) -> Backbone:
    """A fresh, frozen tiny model."""
    return frozen(v_folder)


def frozen(folder: Path) -> Backbone:
    backbone = Backbone.load(folder)
    backbone.freeze()
    return backbone
