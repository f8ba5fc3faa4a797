"""Everything a protection can be told; what single methods can be told is in their own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from visard.personalization.settings import (
    FineTuningSettings,
    OutputSettings,
    PriorSettings,
    PromptSettings,
)
from visard.settings import at_least, from_table, merged

Fidelity = Literal["paper", "released"]


@dataclass(frozen=True)
class ProtectionSettings:
    """One protection. Raises InputError, naming the setting, for values that cannot work."""

    method: str = "aspl"
    """A name in METHODS."""
    fidelity: Fidelity = "paper"
    """The method as published, or as its public code behaves, faults included."""
    radius: float | None = None
    """Of the ball around each photo, in units of pictures, range [-1, 1]; None: the method's own."""
    step: float | None = None
    """Of one projected-gradient step, in the same units; None: the method's own."""
    seed: int = 0
    micro_batch: int = 1
    """Photos whose gradient is held in memory at a time; the result does not depend on it."""
    save_memory: bool = False
    """Recompute UNet and VAE in the backward pass: slower, far less memory, the same result."""
    prompts: PromptSettings = field(default_factory=PromptSettings)
    surrogate: FineTuningSettings = field(default_factory=lambda: FineTuningSettings(batch=1, class_batch=1))
    """How a surrogate trains; how long is the method's to say, and its batch for fsmg and anti-diffusion."""
    prior: PriorSettings = field(default_factory=PriorSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings of single methods, by name."""

    def __post_init__(self) -> None:
        for name in ("radius", "step"):
            if getattr(self, name) is not None:
                at_least(name, getattr(self, name), 0)
        at_least("micro_batch", self.micro_batch, 1)

    def with_preset(self, table: Mapping[str, Any]) -> ProtectionSettings:
        """The same protection with values from a nested table, such as a kit gives. Raises InputError."""
        return from_table(ProtectionSettings, merged(asdict(self), table))
