"""Every picture counts once: linked, not linked, or without a usable face."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Accounting:
    """Three counts that sum to all pictures."""

    linked: int
    not_linked: int
    no_face: int

    @property
    def pictures(self) -> int:
        return self.linked + self.not_linked + self.no_face

    @property
    def faces(self) -> int:
        return self.linked + self.not_linked


def account(linked: Tensor, has_face: Tensor) -> Accounting:
    """Count (P,) bool linked and (P,) bool has_face.

    A linked picture without a face is a programming error.
    """
    if bool((linked & ~has_face).any()):
        raise ValueError("a picture without a usable face cannot be linked")
    faces, hits = int(has_face.sum()), int(linked.sum())
    return Accounting(linked=hits, not_linked=faces - hits, no_face=has_face.numel() - faces)
