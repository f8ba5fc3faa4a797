"""CLIP-I, DINO and their like: how alike are whole pictures to an encoder that knows nothing of faces?

Mean pairwise cosine of generated pictures and real photos (Ruiz et al. 2023, DreamBooth, section 4.1). The
encoder is named in every report: figures of different encoders do not compare. With the faces painted over
the same figure says how much of the resemblance is hair, clothes and background.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

WIDTH, UP, DOWN = 1.45, 1.5, 2.0
"""Half axes of the painted ellipse: across in eye distances, above and below in eye-to-mouth distances."""


def picture_similarity(generated: Tensor, photos: Tensor) -> float:
    """Mean cosine over all pairs, in [-1, 1]: features (P, D) and (R, D); NaN if either is empty."""
    return float((normalize(generated.double(), dim=1) @ normalize(photos.double(), dim=1).T).mean())


def photo_similarity(photos: Tensor) -> float:
    """The same among a person's photos, each pair of different ones: (R, D); NaN for a single photo."""
    unit = normalize(photos.double(), dim=1)
    count = unit.shape[0]
    total = (unit @ unit.T).sum() - count
    return float(total) / (count * (count - 1)) if count > 1 else float("nan")


def without_faces(pictures: Tensor, landmarks: Tensor) -> Tensor:
    """The face of each picture painted over with the mean colour of the rest, or of all where it is all.

    pictures (B, 3, H, W) in [-1, 1], landmarks (B, 5, 2) in px: eyes, nose, corners of the mouth -> a copy.
    The ellipse turns with the face and reaches from the forehead to the chin; hair and ears stay, which count
    as resemblance here. (An attacker's context is masked by the whole box: `visard.attacks.eyes`.)
    """
    eyes, mouth = landmarks[:, :2].mean(1), landmarks[:, 3:].mean(1)
    across = landmarks[:, 1] - landmarks[:, 0]
    down = mouth - eyes
    eye_distance = across.norm(dim=1).clamp(min=1e-6)
    length = down.norm(dim=1).clamp(min=1e-6)
    height, width = pictures.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=pictures.device),
        torch.arange(width, device=pictures.device),
        indexing="ij",
    )
    offset = torch.stack([x, y], -1)[None] - eyes[:, None, None]  # (B, H, W, 2), from between the eyes
    axis = (down / length[:, None])[:, None, None]
    along = (offset * axis).sum(-1)
    aside = offset[..., 0] * axis[..., 1] - offset[..., 1] * axis[..., 0]
    reach = torch.where(along < 0, UP * length[:, None, None], DOWN * length[:, None, None])
    covered = (along / reach) ** 2 + (aside / (WIDTH * eye_distance)[:, None, None]) ** 2 <= 1
    rest = (~covered | covered.all(2, keepdim=True).all(1, keepdim=True))[:, None].to(pictures)
    colour = (pictures * rest).sum((2, 3), keepdim=True) / rest.sum((2, 3), keepdim=True)
    return torch.where(covered[:, None], colour, pictures)
