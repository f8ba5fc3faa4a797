"""The tiny base model of the personalisation tests."""

from __future__ import annotations

from personalization.conftest import backbone, base, cache, fresh

__all__ = ["backbone", "base", "cache", "fresh"]
