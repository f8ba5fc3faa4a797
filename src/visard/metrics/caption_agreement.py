"""CLIP-T: does the picture show what the prompt says?

Cosine of a picture's and the prompt's features in a joint encoder of both (Hessel et al. 2021; Ruiz et al.
2023 for personalised models). The encoder is named in every report.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def caption_agreement(pictures: Tensor, prompt: Tensor) -> float:
    """Mean cosine, in [-1, 1]: picture features (P, D), those of their prompt (D,); NaN without pictures."""
    return float((normalize(pictures.double(), dim=1) @ normalize(prompt.double(), dim=0)).mean())
