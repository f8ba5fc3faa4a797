"""How well a recogniser tells unseen people apart: 1:1 at a false match rate, 1:N in a gallery of 112."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from visard.faces.recognizer import Recognizer, prototype
from visard.metrics.retrieval import ranks, retrieval_rate
from visard.metrics.verification import match_rate, threshold_at
from visard.world.dataset import Pictures
from visard.world.recipes.crops import FaceCrops

GALLERY = 112
FMR = 1e-3


@torch.no_grad()
def embed(
    recognizer: Recognizer,
    pictures: Pictures,
    indices: Tensor,
    change: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Unit embeddings (N, D) of faces aligned by true landmarks; `change` befalls the pictures first."""
    crops = FaceCrops(pictures, recognizer.spec.size, change=change)
    return torch.cat([recognizer.embed(crops(batch)) for batch in torch.split(indices, 128)])


def held_out(pictures: Pictures, people: int = GALLERY) -> Tensor:
    """Indices of the pictures of the first `people` people of a split."""
    chosen = np.unique(pictures.person)[:people]
    return torch.from_numpy(np.flatnonzero(np.isin(pictures.person, chosen)))


def scores(embeddings: Tensor, person: Tensor) -> dict[str, float]:
    """TMR at FMR 1e-3 over all pairs; rank-1 rates with one photo enrolled, each in turn, and with half.

    embeddings (N, D), person (N,): who each picture shows, everyone on at least two.
    """
    similarities = embeddings @ embeddings.T
    upper = torch.ones_like(similarities, dtype=torch.bool).triu(1)
    same = person[:, None] == person[None, :]
    mated, non_mated = similarities[same & upper], similarities[~same & upper]
    threshold = threshold_at(non_mated, FMR)
    people, own = torch.unique(person, return_inverse=True)
    photos = [torch.nonzero(own == index).squeeze(1) for index in range(len(people))]

    found = []
    for turn in range(min(len(mine) for mine in photos)):
        enrolled = torch.stack([mine[turn] for mine in photos])
        probes = torch.ones(len(person), dtype=torch.bool).index_fill(0, enrolled, False)
        found.append(ranks(similarities[probes][:, enrolled], own[probes]))
    templates = torch.stack([prototype(embeddings[mine[: len(mine) // 2]]) for mine in photos])
    probes = torch.cat([mine[len(mine) // 2 :] for mine in photos])
    return {
        f"TMR @ FMR {FMR:g}": match_rate(mated, threshold),
        "rank-1, one photo enrolled": retrieval_rate(torch.cat(found), 1),
        "rank-1, half of the photos enrolled": retrieval_rate(
            ranks(embeddings[probes] @ templates.T, own[probes]), 1
        ),
        f"threshold at FMR {FMR:g}": threshold,
        "mean mated similarity": float(mated.mean()),
        "people": len(people),
        "pictures": len(person),
    }


def measure(
    recognizer: Recognizer, pictures: Pictures, change: Callable[[Tensor], Tensor] | None = None
) -> dict[str, float]:
    """`scores` of a recogniser among the first 112 people of a split."""
    indices = held_out(pictures)
    return scores(embed(recognizer, pictures, indices, change), torch.from_numpy(pictures.person)[indices])
