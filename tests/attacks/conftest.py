from __future__ import annotations

import pytest

from visard.attacks import AttackSettings


@pytest.fixture
def settings() -> AttackSettings:
    return AttackSettings(draws=200, pictures_out=(1, 4, 8))
