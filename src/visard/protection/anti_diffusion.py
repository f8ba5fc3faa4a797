"""Anti-Diffusion: photo by photo, against tuned words and disturbed attention (Zheng et al., 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from visard.budget import Budget
from visard.diffusion.conditioning import Conditioning
from visard.errors import InputError
from visard.personalization.decoupling import Noise
from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import FineTuning
from visard.protection.ascent import Objective
from visard.protection.attention import Watch, cross_attention
from visard.protection.method import Method, check_counts
from visard.protection.state import pack, unpack
from visard.protection.surrogate import Surrogate
from visard.protection.task import Task
from visard.settings import positive

RELEASED_SCALE = 100.0
"""Of the attention map in the public code; where it passes 1 nothing is disturbed."""


@dataclass(frozen=True)
class AntiDiffusionOptions:
    """The paper's numbers."""

    epochs: int = 5
    """Of UNet tuning, protecting and prompt tuning, after the first prompt tuning and protecting."""
    prompt_steps: int = 30
    prompt_learning_rate: float = 1e-3
    unet_steps: int = 20
    pgd_steps: int = 10
    map_side: int = 16
    """Side of the attention maps that are disturbed: 16 for pictures of 512 px."""

    def __post_init__(self) -> None:
        check_counts(self)
        positive("prompt_learning_rate", self.prompt_learning_rate)


class WordedTuning(FineTuning):
    """Fine-tuning on one photo at a time whose words are an embedding, not a prompt."""

    words: Conditioning

    def _embed(self, prompts: Sequence[str]) -> Conditioning:
        return self.words


class AntiDiffusion(Method):
    """A photo's first round tunes the words and protects; the others tune the UNet before, the words after.

    Every photo begins with the model as it came and the words of the empty prompt.
    """

    title = "Anti-Diffusion"
    paper = "Zheng et al., Anti-Diffusion, AAAI 2025, arXiv 2503.05595"
    budget = Budget(radius=0.05, step=0.002)
    options_type = AntiDiffusionOptions
    released = (
        "the ball is centred anew on the photo as every protecting finds it: each adds a radius of drift",
        "half of the attention heads are left out",
        "a hundred times the mean attention map, cut off at 1, is disturbed",
        "gradients of the UNet's tuning are never clipped",
    )

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.options = options = task.options(self.options_type)
        self.each = 1 + options.epochs
        self.rounds = len(task.originals) * self.each
        prompts = max(1, options.epochs)  # nothing follows the last words of a photo: they are not tuned
        a_photo = prompts * options.prompt_steps + self.each * options.pgd_steps
        self.steps = len(task.originals) * (a_photo + options.epochs * options.unet_steps)
        settings = replace(task.settings.surrogate, batch=1)
        self.surrogate = Surrogate(task, settings, train_text_encoder=False, clips=not task.released)
        self.words = task.embed([""])

    def round(self, k: int, images: Tensor) -> Tensor:
        photo, epoch = divmod(k, self.each)
        image = images[photo : photo + 1]
        original = self.task.originals[photo : photo + 1]
        if epoch == 0:
            self.surrogate.load(self.surrogate.pristine)
            self.words = self.tuned_words(image, self.task.embed([""]))
        else:
            self.tune_unet(image)
        centre = image if self.task.released else original
        with cross_attention(self.task.backbone.unet) as watch:
            image = self.task.ascent(image, centre, self.disturbance(watch), self.options.pgd_steps)
        if 0 < epoch < self.options.epochs:
            self.words = self.tuned_words(image, self.words)
        return torch.cat([images[:photo], image, images[photo + 1 :]])

    def tuned_words(self, image: Tensor, words: Conditioning) -> Conditioning:
        """Prompt tuning: the embedding that describes the photo best, by AdamW on the denoising loss."""
        task, posterior = self.task, encoded(self.task.backbone, image)
        text = words.text.detach().clone().requires_grad_(True)
        optimizer = torch.optim.AdamW([text], lr=self.options.prompt_learning_rate)
        for _ in range(self.options.prompt_steps):
            tuned = replace(words, text=text)
            loss = task.denoise_latents(posterior, tuned, task.draw(1, "words")).error.mean()
            (text.grad,) = torch.autograd.grad(loss, [text])
            optimizer.step()
            task.tick(words=loss.item())
        return replace(words, text=text.detach())

    def tune_unet(self, image: Tensor) -> None:
        """UNet tuning: steps of the denoising loss on the photo under its tuned words."""
        tuning = self.surrogate.tuning(WordedTuning)
        tuning.words = self.words
        photos = self.surrogate.photos("photo", image, [""])
        for _ in range(self.options.unet_steps):
            self.task.tick(training=tuning.step(photos).instance)

    def disturbance(self, watch: Watch) -> Objective:
        """The denoising loss (1,) less the mean square of the mean attention map."""

        def objective(images: Tensor, noise: Noise, rows: slice) -> Tensor:
            with watch.maps() as maps:
                error = self.task.denoise(images, self.words, noise).error
            return error - self.semantic(self.mean_map(maps))

        return objective

    def semantic(self, attention: Tensor) -> Tensor:
        """The mean square (1,) of the mean attention map (1, N, L), which is to vanish."""
        if self.task.released:
            attention = (RELEASED_SCALE * attention).clamp(max=1)
        return attention.square().flatten(1).mean(1)

    def mean_map(self, maps: Sequence[Tensor]) -> Tensor:
        """The mean (1, N, L) over the heads of all layers whose maps have the wanted side."""
        side = self.options.map_side
        chosen = [each for each in maps if each.shape[2] == side**2]
        if not chosen:
            sides = sorted({round(each.shape[2] ** 0.5) for each in maps})
            raise InputError(
                f"This model has no attention maps of {side} x {side}.",
                f"Set methods.anti-diffusion.map_side to one of {', '.join(map(str, sides))}.",
            )
        if self.task.released:
            chosen = [each[:, each.shape[1] // 2 :] for each in chosen]
        return torch.cat(chosen, dim=1).mean(1)

    def state(self) -> dict[str, Tensor]:
        return pack(weights=self.surrogate.parameters, words={"text": self.words.text})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.surrogate.load(unpack("weights", state))
        self.words = replace(self.words, text=unpack("words", state)["text"].to(self.words.text))

    def close(self) -> None:
        self.surrogate.close()
