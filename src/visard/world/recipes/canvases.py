"""Training pictures of the detector: two renders placed on a texture, their faces kept or erased."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.faces.alignment import warp
from visard.world.dataset import Pictures
from visard.world.recipes.augmentation import uniform
from visard.world.recipes.crops import pictures_at

SIDE = 128
SCALES = (0.3, 1.35)
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
    """Pictures numbered `front` (B,) over those numbered `back` (B,) on random textures, on the CPU."""
    count = len(front)
    faceless = torch.rand(count, generator=generator) < FACELESS
    canvas = texture = textures(count, generator)
    layers = [_Layer.place(indices, pictures, generator) for indices in (back, front)]
    covered = layers[1].area
    boxes, landmarks, present = [], [], []
    for layer, cover in zip(layers, (covered, None), strict=True):
        canvas = torch.where(inside(layer.area)[:, None], layer.picture, canvas)
        seen = visible(layer.box, cover) >= CLEARLY_SEEN
        keep = seen & ~faceless
        erased = ellipse(layer.box) & ~keep.view(-1, 1, 1)
        texture = texture.roll(1, 0)  # another picture's: an erased face is not just the background showing
        canvas = torch.where(erased[:, None], texture, canvas)
        boxes.append(layer.box)
        landmarks.append(layer.landmarks)
        present.append(keep)
    return Canvases(canvas, torch.stack(boxes, 1), torch.stack(landmarks, 1), torch.stack(present, 1))


@dataclass(frozen=True)
class _Layer:
    """Pictures on canvases: what they cover (B, 4), their faces' boxes (B, 4) and landmarks (B, 5, 2)."""

    picture: Tensor
    area: Tensor
    box: Tensor
    landmarks: Tensor

    @classmethod
    def place(cls, indices: Tensor, pictures: Pictures, generator: torch.Generator) -> _Layer:
        """Scaled, mirrored at chance, shifted so that the face's middle is on the canvas; a third as is."""
        count, size = len(indices), pictures.pixels.shape[1]
        like = torch.empty(0)
        low, high = (torch.log(torch.tensor(scale * SIDE / size)) for scale in SCALES)
        scale = uniform((count,), float(low), float(high), generator, like).exp()
        box = torch.from_numpy(pictures.boxes)[indices].float()
        landmarks = torch.from_numpy(pictures.landmarks)[indices].float()
        middle = (box[:, :2] + box[:, 2:]) / 2
        aim = uniform((count, 2), 0.25 * SIDE, 0.75 * SIDE, generator, like)
        as_is = torch.rand(count, generator=generator) < 1 / 3
        scale = torch.where(as_is, SIDE / size, scale)
        # A pixel's centre is at an integer, hence the half pixel between the edges of the two rasters.
        shift = torch.where(as_is[:, None], (scale[:, None] - 1) / 2, aim - scale[:, None] * middle)
        matrix = torch.zeros(count, 2, 3)
        matrix[:, 0, 0] = matrix[:, 1, 1] = scale
        matrix[:, :, 2] = shift
        corners = torch.tensor([[-0.5, -0.5], [size - 0.5, size - 0.5]])
        area = (corners * scale.view(-1, 1, 1) + shift[:, None]).flatten(1)
        box = (box.view(-1, 2, 2) * scale.view(-1, 1, 1) + shift[:, None]).flatten(1)
        landmarks = landmarks * scale.view(-1, 1, 1) + shift[:, None]
        mirror = torch.rand(count, generator=generator) < 0.5
        picture = warp(pictures_at(pictures, indices), matrix, SIDE)
        picture = torch.where(mirror.view(-1, 1, 1, 1), picture.flip(-1), picture)
        return cls(
            picture,
            torch.where(mirror[:, None], mirrored_box(area), area),
            torch.where(mirror[:, None], mirrored_box(box), box),
            torch.where(mirror.view(-1, 1, 1), mirrored_landmarks(landmarks), landmarks),
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
