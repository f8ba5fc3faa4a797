"""Everything a run can be told, with the paper's values as defaults (arXiv 2604.00903, Section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from visard.budget import PixelRange
from visard.errors import InputError
from visard.settings import at_least, from_table, merged, positive, require

PRIVACY: dict[str, float] = {"low": 0.5, "medium": 0.3, "high": 0.1}
"""The privacy dial: the share rho of Stage-I steps the paper reports for each setting (Table 1)."""

Anchor = Literal["original", "round"]
StageSplit = Literal["carry", "floor"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]


@dataclass(frozen=True)
class PromptSettings:
    """The words the person is taught under, and the words of the class the person belongs to."""

    instance: str = "a photo of sks person"
    prior: str = "a photo of person"

    def __post_init__(self) -> None:
        require(bool(self.instance.strip()), "prompts.instance is empty", 'Say "a photo of sks person".')
        require(
            self.instance != self.prior,
            "prompts.instance and prompts.prior are the same",
            'The instance prompt needs a rare word that names the person, e.g. "a photo of sks person".',
        )

    def untaught(self, captions: Sequence[str | None]) -> str:
        """The words that name the person, where every photo has a caption and none says them; else ""."""
        rare = [word for word in self.instance.split() if word not in self.prior.split()]
        said = {word for caption in captions for word in (caption or self.instance).split()}
        return "" if said & set(rare) else " ".join(rare)


@dataclass(frozen=True)
class FineTuningSettings:
    """FT of eqs. 5 and 7: one AdamW over the whole run; `steps` are split evenly over its 2K calls."""

    steps: int = 1000
    batch: int = 2
    class_batch: int = 2
    learning_rate: float = 5e-7
    prior_weight: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    """Largest gradient norm; 0 leaves gradients as they are."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 runs the networks in autocast; weights that train stay float32, frozen ones halve."""
    optimizer: Optimizer = "adamw"
    """AdamW; its moments in 8 bits (a quarter of their memory; needs bitsandbytes), or also paged out."""
    micro_batch: int = 0
    """Pictures whose activations are held in memory at a time, 0: all; the same gradient up to rounding."""
    alternate: bool = True
    """X_c and X' take turns, a call each (Algorithm 1); False: all photos together, as DreamBooth trains."""

    def __post_init__(self) -> None:
        at_least("fine_tuning.steps", self.steps, 1)
        at_least("fine_tuning.micro_batch", self.micro_batch, 0)
        at_least("fine_tuning.batch", self.batch, 1)
        at_least("fine_tuning.class_batch", self.class_batch, 1)
        positive("fine_tuning.learning_rate", self.learning_rate)
        positive("fine_tuning.epsilon", self.epsilon)
        for name in ("prior_weight", "weight_decay", "clip_norm"):
            at_least(f"fine_tuning.{name}", getattr(self, name), 0)
        for name in ("beta1", "beta2"):
            require(
                0 <= getattr(self, name) < 1,
                f"fine_tuning.{name} is {getattr(self, name)}",
                "It must be at least 0 and below 1.",
            )


@dataclass(frozen=True)
class LoraSettings:
    """LoRA on the attention projections, alpha = rank; used when `method` is "lora"."""

    rank: int = 16
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        at_least("lora.rank", self.rank, 1)
        positive("lora.learning_rate", self.learning_rate)


@dataclass(frozen=True)
class PriorSettings:
    """Class pictures for prior preservation (eq. 4), made once by the base model for all identities."""

    count: int = 200
    sampler_steps: int = 25
    guidance: float = 7.5
    batch: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("prior.count", self.count, 1)
        at_least("prior.sampler_steps", self.sampler_steps, 1)
        at_least("prior.guidance", self.guidance, 0)
        at_least("prior.batch", self.batch, 1)


@dataclass(frozen=True)
class DecouplingSettings:
    """Algorithm 1 and eqs. 8-14: rounds, projected-gradient steps and their budget, the identity loss."""

    rounds: int = 10
    """K."""
    pgd_steps: int = 8
    """T, a round."""
    step: float = 0.008
    """alpha, in units of `pixel_range`."""
    radius: float = 0.08
    """eta, in units of `pixel_range`; 0 is exactly a run without a defence."""
    pixel_range: PixelRange = "[-1,1]"
    anchor: Anchor = "original"
    """Centre of the ball: the original photos, or the photos as the round found them."""
    rho: float = PRIVACY["high"]
    """Share of Stage-I steps: smaller is more private."""
    stage_split: StageSplit = "carry"
    """"carry" carries the fraction of rho * T over rounds; "floor" drops it as Algorithm 1 is printed."""
    schedule: Literal["staged", "joint"] = "staged"
    """"joint" descends L_rec + L_id in all T steps (Table 9)."""
    tau: float = 0.03
    t_max: int = 400
    """L_id draws t below this: later one-step predictions hold little of the face (visard bench tmax)."""
    detach_weights: bool = False
    """Keep the gradient out of the weights w_m of eq. 12."""
    floor: Literal["none", "impostor"] = "none"
    """"impostor" stops lowering a similarity at the level of strangers; "none" goes on to -1 (eq. 13)."""
    draws: int = 1
    """Draws of (t, noise) averaged in one step."""
    micro_batch: int = 1
    """Photos whose gradient is held in memory at a time; the result does not depend on it."""
    decoder: str = "vae"
    """"vae", or a folder or hub id of a distilled decoder (TAESD) that stands in for it in the gradient."""

    def __post_init__(self) -> None:
        for name in ("rounds", "pgd_steps", "t_max", "draws", "micro_batch"):
            at_least(f"decoupling.{name}", getattr(self, name), 1)
        positive("decoupling.step", self.step)
        positive("decoupling.tau", self.tau)
        at_least("decoupling.radius", self.radius, 0)
        require(
            0 <= self.rho <= 1,
            f"decoupling.rho is {self.rho}",
            "It is the share of fidelity steps: 0 (most private) to 1 (no decoupling).",
        )
        require(bool(self.decoder), "decoupling.decoder is empty", 'Say "vae" or the folder of a TAESD.')

    @property
    def uses_identity(self) -> bool:
        """Whether any step evaluates L_id."""
        return self.schedule == "joint" or self.rho < 1


@dataclass(frozen=True)
class PreviewSettings:
    """Sample pictures during a run; they change nothing in it."""

    count: int = 0
    every: int = 1
    """Rounds between previews."""
    prompt: str = ""
    """Empty: the instance prompt."""
    sampler_steps: int = 25
    guidance: float = 7.5
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("previews.count", self.count, 0)
        at_least("previews.every", self.every, 1)
        at_least("previews.sampler_steps", self.sampler_steps, 1)
        at_least("previews.guidance", self.guidance, 0)


@dataclass(frozen=True)
class OutputSettings:
    """How often a run can be continued from."""

    checkpoint_every: float = 60.0
    """Seconds between checkpoints; 0 writes one after every step."""

    def __post_init__(self) -> None:
        at_least("output.checkpoint_every", self.checkpoint_every, 0)


@dataclass(frozen=True)
class PersonalizationSettings:
    """One run. Raises InputError, naming the setting, for values that cannot work."""

    defence: Literal["iddm", "none"] = "iddm"
    method: Literal["dreambooth", "lora"] = "dreambooth"
    train_text_encoder: bool = True
    seed: int = 0
    save_memory: bool = False
    """Recompute UNet and VAE in the backward pass: about a third slower, far less memory, the same result."""
    offload: bool = False
    """Networks that the next step does not use wait in the machine's memory: the same result."""
    compile: bool = False
    """Compile the UNet (torch.compile): faster steps after a slow first one, the same up to rounding."""
    prompts: PromptSettings = field(default_factory=PromptSettings)
    fine_tuning: FineTuningSettings = field(default_factory=FineTuningSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)
    prior: PriorSettings = field(default_factory=PriorSettings)
    decoupling: DecouplingSettings = field(default_factory=DecouplingSettings)
    previews: PreviewSettings = field(default_factory=PreviewSettings)
    output: OutputSettings = field(default_factory=OutputSettings)

    def __post_init__(self) -> None:
        calls = 2 * self.decoupling.rounds
        require(
            self.fine_tuning.steps >= calls,
            f"fine_tuning.steps is {self.fine_tuning.steps}, fewer than its {calls} calls",
            "Each round fine-tunes twice: raise the steps or lower decoupling.rounds.",
        )
        require(
            self.fine_tuning.alternate or self.defence == "none",
            "fine_tuning.alternate is off, and the defence optimises X' between turns",
            "Leave it on, or train without a defence.",
        )

    @property
    def learning_rate(self) -> float:
        """The learning rate of the chosen method."""
        return self.lora.learning_rate if self.method == "lora" else self.fine_tuning.learning_rate

    @property
    def needs_identity(self) -> bool:
        """Whether the run evaluates L_id and hence needs recognisers."""
        return self.defence == "iddm" and self.decoupling.uses_identity

    @property
    def needs_class_pictures(self) -> bool:
        """Whether class pictures are needed: for prior preservation, or as the strangers of `floor`."""
        impostors = self.needs_identity and self.decoupling.floor == "impostor"
        return self.fine_tuning.prior_weight > 0 or impostors

    @property
    def has_dial(self) -> bool:
        """Whether rho changes anything."""
        decoupling = self.decoupling
        return self.defence == "iddm" and decoupling.schedule == "staged" and decoupling.radius > 0

    def with_privacy(self, level: str) -> PersonalizationSettings:
        """The same run at a level of the privacy dial: low, medium or high. Raises InputError."""
        if level not in PRIVACY:
            raise InputError(f"There is no privacy level {level!r}.", f"Choose one of {', '.join(PRIVACY)}.")
        return replace(self, decoupling=replace(self.decoupling, rho=PRIVACY[level]))

    def with_preset(self, table: Mapping[str, Any]) -> PersonalizationSettings:
        """The same run with values from a nested table, such as a kit gives. Raises InputError."""
        return from_table(PersonalizationSettings, merged(asdict(self), table))
