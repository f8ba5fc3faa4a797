"""Whose face it is: the faces of many photos sorted by person, and the person that is common to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

SAME = 0.35
"""Mean similarity to a person's other faces from which on a face is theirs.

Of a person's own faces 0.2 % fall below it and of strangers' 1.5 % lie above, with the world's recognisers;
none and none with a MobileFaceNet on ten people of LFW.
"""
RIVAL = 0.75
"""Share of the chosen person's photos from which on another's presence makes the choice a guess."""


def similarities(embeddings: Sequence[Tensor]) -> Tensor:
    """Cosines (N, N) between faces, a mean over recognisers of unit embeddings (N, D) each."""
    return torch.stack([each @ each.T for each in embeddings]).mean(0)


def sort_by_person(alike: Tensor, photo: Sequence[int]) -> list[list[int]]:
    """Groups of faces, each one person, from similarities (N, N) and the photo each face is in.

    Average linkage down to SAME; two faces of one photo are two people.
    """
    groups = [[index] for index in range(len(photo))]
    between = alike.double().clone()
    owners = torch.tensor(photo)
    between[owners[:, None] == owners[None, :]] = -torch.inf
    while len(groups) > 1 and float(between.max()) >= SAME:
        first, second = sorted(divmod(int(between.argmax()), len(groups)))
        sizes = len(groups[first]), len(groups[second])
        joined = (sizes[0] * between[first] + sizes[1] * between[second]) / sum(sizes)
        joined[first] = -torch.inf
        between[first], between[:, first] = joined, joined
        rest = [index for index in range(len(groups)) if index != second]
        between = between[rest][:, rest]
        groups[first] = groups[first] + groups[second]
        del groups[second]
    return [sorted(group) for group in groups]


def by_presence(groups: Sequence[list[int]], sizes: Sequence[float]) -> list[list[int]]:
    """Groups, those in most photos first; among equals the one whose faces are larger."""
    return sorted(groups, key=lambda group: (-len(group), -sum(sizes[index] for index in group), group))


def rivals(
    groups: Sequence[list[int]], photo: Sequence[int], sizes: Sequence[float], share: float
) -> list[int]:
    """Places in `groups` of people who stand beside the first, large, in nearly as many photos.

    share: of the first person's face, in area, below which a face is background.
    """
    if not groups:
        return []
    own = {photo[index]: sizes[index] for index in groups[0]}
    present: dict[int, int] = defaultdict(int)
    for place, group in enumerate(groups[1:], start=1):
        for index in group:
            present[place] += sizes[index] >= share * own.get(photo[index], sizes[index])
    return [place for place, count in present.items() if count > RIVAL * len(groups[0])]
