"""What a transformers model folder says of its network's input, done in torch on whole batches.

Resized, cut from the middle, rescaled, normalised: the file preprocessor_config.json of CLIP, DINO and
DINOv2. Values are not rounded to 8 bits on the way, which transformers' own processors do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from visard.errors import ModelError

FILE, LATER = "preprocessor_config.json", "processor_config.json"
MODES = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of the ways to resize."""
Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become a network's input.

    size: px of the shorter side, or both sides; crop: how much of the middle, None for all of it; factor:
    what values of 0 to 255 are multiplied by; mean, std: of each channel afterwards.
    """

    size: int | Size
    crop: Size | None
    mode: str
    factor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        sides = (self.size, self.size) if isinstance(self.size, int) else self.size
        if min(*sides, *(self.crop or sides)) < 1:
            raise ValueError("a size below 1 px")
        if self.crop and (self.crop[0] > sides[0] or self.crop[1] > sides[1]):
            raise ValueError(f"a crop of {self.crop} from pictures of {sides}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0 or self.factor <= 0:
            raise ValueError("mean and deviation are three numbers each, deviations and factor above 0")

    def prepare(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] -> (B, 3, h, w) as the network takes them; differentiable."""
        values = self._cut(self._resized(pictures))
        mean, std = (values.new_tensor(each).view(3, 1, 1) for each in (self.mean, self.std))
        return ((values * 127.5 + 127.5) * self.factor - mean) / std

    @property
    def sides(self) -> Size:
        """Of what the network gets, for square pictures."""
        return self.crop or ((self.size, self.size) if isinstance(self.size, int) else self.size)

    def _resized(self, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        if isinstance(self.size, int):
            short = min(height, width)
            size = (self.size * height // short, self.size * width // short)
        else:
            size = self.size
        if size == (height, width):
            return pictures
        return F.interpolate(pictures, size, mode=self.mode, antialias=True).clamp(-1, 1)

    def _cut(self, pictures: Tensor) -> Tensor:
        if self.crop is None:
            return pictures
        height, width = self.crop
        top, left = (pictures.shape[-2] - height) // 2, (pictures.shape[-1] - width) // 2
        return pictures[..., top : top + height, left : left + width]


def read_preprocessing(folder: Path, *, square: bool) -> Preprocessing:
    """What a model folder's own file says. Raises ModelError.

    square: whether one number for a size, as older files have it, means both sides (ViT) or the shorter one.
    """
    from visard.diffusion.folders import read_json

    if (folder / FILE).is_file():
        content = read_json(folder / FILE)
    elif (folder / LATER).is_file():  # as transformers 5 saves a whole processor
        content = read_json(folder / LATER).get("image_processor", {})
    else:
        raise ModelError(f"{folder} lacks {FILE}.", "Copy or download the whole model again.")
    try:
        return _parsed(content, square)
    except (KeyError, TypeError, ValueError) as error:
        what = f"has no {error.args[0]}" if isinstance(error, KeyError) else f"asks for {error}"
        raise ModelError(
            f"The {FILE} of {folder} {what}.", "Use the file that was published with the model."
        ) from error


def _parsed(content: Mapping[str, Any], square: bool) -> Preprocessing:
    if not content.get("do_resize", True):
        raise ValueError("pictures as large as they are")
    mode = MODES.get(content["resample"])
    if mode is None:
        raise ValueError(f"resample = {content['resample']}, and only 2 and 3 are known here")
    size: int | Size
    given = content["size"]
    if isinstance(given, Mapping) and "shortest_edge" in given:
        size = int(given["shortest_edge"])
    else:
        size = int(given) if isinstance(given, int) and not square else _both(given)
    normalise = content.get("do_normalize", True)
    return Preprocessing(
        size=size,
        crop=_both(content["crop_size"]) if content.get("do_center_crop", False) else None,
        mode=mode,
        factor=float(content.get("rescale_factor", 1 / 255)) if content.get("do_rescale", True) else 1.0,
        mean=tuple(map(float, content["image_mean"])) if normalise else (0.0, 0.0, 0.0),
        std=tuple(map(float, content["image_std"])) if normalise else (1.0, 1.0, 1.0),
    )


def _both(given: Any) -> Size:
    if isinstance(given, Mapping):
        return int(given["height"]), int(given["width"])
    return int(given), int(given)
