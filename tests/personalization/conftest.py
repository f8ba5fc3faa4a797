"""A random base model for the whole session, and a fresh copy of it for each test."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from support.tiny import tiny_pipeline
from visard.diffusion.backbone import Backbone


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return Backbone.load(tiny_pipeline(tmp_path_factory.mktemp("base") / "model"))


@pytest.fixture
def fresh(base: Backbone) -> Callable[[], Backbone]:
    return lambda: copy.deepcopy(base)


@pytest.fixture
def backbone(fresh: Callable[[], Backbone]) -> Backbone:
    return fresh()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class pictures, made once for all tests."""
    return tmp_path_factory.mktemp("cache")
