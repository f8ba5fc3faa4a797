"""SimAC: ASPL at the timesteps that matter and against the features that matter (Wang et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from visard.budget import Budget
from visard.diffusion.conditioning import Conditioning
from visard.personalization.decoupling import Noise
from visard.protection.ascent import Objective
from visard.protection.aspl import Aspl, AsplOptions
from visard.protection.state import pack, unpack
from visard.protection.task import Task
from visard.settings import at_least

STAGE = "choosing timesteps"


@dataclass(frozen=True)
class SimacOptions(AsplOptions):
    """The paper's numbers."""

    probes: int = 5
    """Timesteps compared at a time."""
    window: int = 20
    """Timesteps dropped on either side of the weakest."""
    keep: int = 100
    """Timesteps at which the search ends."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("probes", "window", "keep"):
            at_least(name, getattr(self, name), 1)


class Simac(Aspl):
    """A search for every photo's timesteps on the model as it came, a round each; then ASPL's rounds."""

    title = "SimAC"
    paper = "Wang et al., SimAC, CVPR 2024, arXiv 2312.07865"
    budget = Budget(radius=16 / 255, step=0.005)
    options_type = SimacOptions
    options: SimacOptions
    released = (*Aspl.released, "the feature term is a constant: it carries no gradient")

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.searches = len(task.originals)
        self.rounds = self.searches + self.options.rounds
        self.kept = torch.ones(self.searches, len(task.backbone.schedule), dtype=torch.bool)
        """Which timesteps (B, T) each photo's steps draw from."""

    def round(self, k: int, images: Tensor) -> Tensor:
        if k >= self.searches:
            return super().round(k - self.searches, images)
        self.kept[k] = self.search(k)
        self.task.progress(STAGE, k + 1, self.searches)
        return images

    def search(self, photo: int) -> Tensor:
        """The adaptive greedy search: timesteps (T,) that remain once the weakest windows are dropped."""
        task, options = self.task, self.options
        original = scratch = task.originals[photo : photo + 1]
        words = task.embed(task.prompts[photo : photo + 1])
        timesteps = len(task.backbone.schedule)
        kept = torch.ones(timesteps, dtype=torch.bool)
        generator = task.streams["timesteps"]
        while kept.sum() > options.keep:
            left = kept.nonzero().flatten()
            probes = left[torch.randint(len(left), (options.probes,), generator=generator)]
            gradients = [task.ascent.gradient(scratch, self.at(t, words))[0] for t in probes]
            scores = torch.stack([each.abs().sum() for each in gradients])
            weakest, strongest = probes[scores.argmin()], probes[scores.argmax()]
            middle = int(weakest.clamp(options.window, timesteps - options.window))
            fewer = kept.clone()
            fewer[max(0, middle - options.window) : middle + options.window] = False
            if not fewer.any():  # a window wider than what is left
                break
            kept = fewer
            gradient, _ = task.ascent.gradient(scratch, self.at(strongest, words))
            scratch = task.budget.ascend(scratch, gradient, original)
        return kept

    def at(self, t: Tensor, words: Conditioning) -> Objective:
        """The denoising loss at one timestep."""
        return lambda images, noise, rows: (
            self.task.denoise(images, words, noise, t.expand(len(images))).error
        )

    def ascended(self, images: Tensor, words: Conditioning, noise: Noise, rows: slice) -> Tensor:
        """L_cond (b,) at a photo's own timesteps, plus how far the photo moves the last features."""
        t = self.timesteps(noise, rows)
        with last_features(self.task.backbone.unet) as clean, torch.no_grad():
            self.task.denoise(self.task.originals[rows], words, noise, t)
        with last_features(self.task.backbone.unet) as perturbed:
            error = self.task.denoise(images, words, noise, t).error
        return error + self.interference(perturbed, clean)

    def interference(self, perturbed: list[Tensor], clean: list[Tensor]) -> Tensor:
        """Mean square (b,) between the features of two inputs, over all layers alike."""
        pairs = zip(perturbed, clean, strict=True)
        moved = torch.stack([(one - other).square().flatten(1).mean(1) for one, other in pairs]).mean(0)
        return moved.detach() if self.task.released else moved

    def timesteps(self, noise: Noise, rows: slice) -> Tensor:
        """A timestep (b,) for each photo, uniform among those it kept."""
        choices = [kept.nonzero().flatten() for kept in self.kept[rows]]
        places = (float(u) * len(left) for u, left in zip(noise.uniform, choices, strict=True))
        chosen = [left[min(int(place), len(left) - 1)] for place, left in zip(places, choices, strict=True)]
        return torch.stack(chosen).to(noise.uniform.device)

    def state(self) -> dict[str, Tensor]:
        return super().state() | pack(search={"kept": self.kept.byte()})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        self.kept = unpack("search", state)["kept"].bool().cpu()


@contextmanager
def last_features(unet: Any) -> Iterator[list[Tensor]]:
    """What the ResNets of the last decoder block give while the context lasts, in their order."""
    seen: list[Tensor] = []

    def see(layer: Any, given: Any, output: Tensor) -> None:
        seen.append(output.to(torch.promote_types(output.dtype, torch.float32)))

    hooks = [layer.register_forward_hook(see) for layer in unet.up_blocks[-1].resnets]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
