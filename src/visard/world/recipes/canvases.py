"""Training pictures of the detector: two renders placed on a texture, their faces kept or erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.faces.alignment import warp
from visard.world.dataset import Pictures
from visard.world.recipes.augmentation import uniform
from visard.world.recipes.crops import pictures_at

SIDE = 128
PLAIN = 0.5
"""Share of canvases that are one picture as it is, which is where landmarks are judged."""
SCALES = (0.4, 1.3)
MOST_FACES = 2
FACELESS = 0.15
"""Share of canvases without any face: what is hair, shoulders and background only."""
CLEARLY_SEEN = 0.85
"""A face counts where so much of its box is on the canvas and not covered; the others are erased."""


@dataclass(frozen=True)
class Canvases:
    """Pictures (B, 3, 128, 128), boxes (B, 2, 4), landmarks (B, 2, 5, 2) and which of them exist (B, 2)."""

    pictures: Tensor
    boxes: Tensor
    landmarks: Tensor
    present: Tensor


def compose(front: Tensor, back: Tensor, pictures: Pictures, generator: torch.Generator) -> Canvases:
    """Pictures numbered `front` (B,): some as they are, others over those numbered `back` (B,) on textures.

    The pictures are 128 px wide. Works on the CPU.
    """
    plain = round(PLAIN * len(front))
    texture = textures(len(front), generator)
    layers = [_Layer.of(front[:plain], pictures).mirrored(generator)]
    parts = [_draw(layers, layers[0].picture, texture[:plain], generator)]
    layers = [
        _Layer.of(rows[plain:], pictures).moved(generator).mirrored(generator) for rows in (back, front)
    ]
    parts.append(_draw(layers, texture[plain:], texture[plain:], generator))
    return Canvases(
        torch.cat([part.pictures for part in parts]),
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.landmarks for part in parts]),
        torch.cat([part.present for part in parts]),
    )


def _draw(layers: Sequence[_Layer], canvas: Tensor, texture: Tensor, generator: torch.Generator) -> Canvases:
    """Layers drawn on `canvas`, back to front; faces that must not count are painted over with `texture`."""
    faceless = torch.rand(len(canvas), generator=generator) < FACELESS
    present = []
    for layer, cover in zip(layers, [*(above.area for above in layers[1:]), None], strict=True):
        canvas = torch.where(inside(layer.area)[:, None], layer.picture, canvas)
        keep = (visible(layer.box, cover) >= CLEARLY_SEEN) & ~faceless
        texture = texture.roll(1, 0)  # another canvas's: an erased face is not just the background showing
        canvas = torch.where((ellipse(layer.box) & ~keep.view(-1, 1, 1))[:, None], texture, canvas)
        present.append(keep)
    nobody = torch.zeros(len(canvas), dtype=torch.bool)
    while len(present) < MOST_FACES:
        layers, present = [*layers, layers[0]], [*present, nobody]
    return Canvases(
        canvas,
        torch.stack([layer.box for layer in layers], 1),
        torch.stack([layer.landmarks for layer in layers], 1),
        torch.stack(present, 1),
    )


@dataclass(frozen=True)
class _Layer:
    """Pictures on canvases: what they cover (B, 4), their faces' boxes (B, 4) and landmarks (B, 5, 2)."""

    picture: Tensor
    area: Tensor
    box: Tensor
    landmarks: Tensor

    @classmethod
    def of(cls, indices: Tensor, pictures: Pictures) -> _Layer:
        """As they are."""
        area = torch.tensor([-0.5, -0.5, SIDE - 0.5, SIDE - 0.5]).expand(len(indices), 4)
        box = torch.from_numpy(pictures.boxes)[indices].float()
        landmarks = torch.from_numpy(pictures.landmarks)[indices].float()
        return cls(pictures_at(pictures, indices), area, box, landmarks)

    def moved(self, generator: torch.Generator) -> _Layer:
        """Scaled, and shifted so that the middle of the face is well on the canvas."""
        count, like = len(self.box), self.box
        low, high = SCALES
        scale = (low * (high / low) ** uniform((count,), 0.0, 1.0, generator, like)).view(-1, 1, 1)
        middle = (self.box[:, :2] + self.box[:, 2:]) / 2
        aim = uniform((count, 2), 0.25 * SIDE, 0.75 * SIDE, generator, like)
        shift = aim[:, None] - scale * middle[:, None]
        turn = scale * torch.eye(2).expand(count, 2, 2)
        return _Layer(
            warp(self.picture, torch.cat([turn, shift.mT], 2), SIDE),
            (self.area.view(-1, 2, 2) * scale + shift).flatten(1),
            (self.box.view(-1, 2, 2) * scale + shift).flatten(1),
            self.landmarks * scale + shift,
        )

    def mirrored(self, generator: torch.Generator) -> _Layer:
        """Half of them left to right."""
        which = torch.rand(len(self.box), generator=generator) < 0.5
        return _Layer(
            torch.where(which.view(-1, 1, 1, 1), self.picture.flip(-1), self.picture),
            torch.where(which[:, None], mirrored_box(self.area), self.area),
            torch.where(which[:, None], mirrored_box(self.box), self.box),
            torch.where(which.view(-1, 1, 1), mirrored_landmarks(self.landmarks), self.landmarks),
        )


def mirrored_box(boxes: Tensor) -> Tensor:
    """Boxes (B, 4) of the mirrored canvas."""
    return torch.stack([SIDE - 1 - boxes[:, 2], boxes[:, 1], SIDE - 1 - boxes[:, 0], boxes[:, 3]], 1)


def mirrored_landmarks(landmarks: Tensor) -> Tensor:
    """Landmarks (B, 5, 2) of the mirrored canvas: what was left to the viewer is right."""
    swapped = landmarks[:, [1, 0, 2, 4, 3]]
    return torch.stack([SIDE - 1 - swapped[..., 0], swapped[..., 1]], -1)


def textures(count: int, generator: torch.Generator) -> Tensor:
    """(B, 3, 128, 128): colours, smooth blotches and grain; nothing a face is made of in its place."""
    colors = torch.rand((count, 3, 1, 1), generator=generator) * 2 - 1
    canvas = colors
    for cells, most in ((3, 0.8), (12, 0.5), (48, 0.25)):
        blotches = torch.randn((count, 3, cells, cells), generator=generator)
        strength = most * torch.rand((count, 1, 1, 1), generator=generator)
        canvas = F.interpolate(canvas, size=cells, mode="bilinear") + strength * blotches
    return F.interpolate(canvas, size=SIDE, mode="bilinear").clamp(-1, 1)


def inside(boxes: Tensor) -> Tensor:
    """Which pixels (B, 128, 128) lie in a box (B, 4)."""
    at = torch.arange(SIDE)
    x = (at >= boxes[:, :1]) & (at <= boxes[:, 2:3])
    y = (at >= boxes[:, 1:2]) & (at <= boxes[:, 3:])
    return y[:, :, None] & x[:, None, :]


def ellipse(boxes: Tensor, wider: float = 1.25) -> Tensor:
    """Which pixels (B, 128, 128) lie in the ellipse around a box (B, 4), `wider` than its sides."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, wider * (boxes[:, 2:] - boxes[:, :2]) / 2
    at = torch.arange(SIDE)
    x = (at - middle[:, :1]) / half[:, :1]
    y = (at - middle[:, 1:]) / half[:, 1:]
    return y[:, :, None] ** 2 + x[:, None, :] ** 2 <= 1


def visible(boxes: Tensor, cover: Tensor | None) -> Tensor:
    """Share (B,) of each box (B, 4) that is on the canvas and not under `cover` (B, 4)."""
    frame = torch.tensor([-0.5, -0.5, SIDE - 0.5, SIDE - 0.5]).expand_as(boxes)
    on_canvas = torch.cat(
        [torch.maximum(boxes[:, :2], frame[:, :2]), torch.minimum(boxes[:, 2:], frame[:, 2:])], 1
    )
    area = area_of(on_canvas)
    if cover is not None:
        under = torch.cat(
            [torch.maximum(on_canvas[:, :2], cover[:, :2]), torch.minimum(on_canvas[:, 2:], cover[:, 2:])], 1
        )
        area = area - area_of(under)
    return area / area_of(boxes).clamp_min(1e-6)


def area_of(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...), 0 for a box whose corners are swapped."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)
