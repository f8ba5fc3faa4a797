from __future__ import annotations

import pytest

from support.toys import ToyWorld, toy_instruments
from visard.audit import AuditSettings, Instruments


@pytest.fixture
def world() -> ToyWorld:
    return ToyWorld()


@pytest.fixture
def instruments() -> Instruments:
    return toy_instruments()


@pytest.fixture
def settings() -> AuditSettings:
    return AuditSettings(draws=200, null_draws=60)
