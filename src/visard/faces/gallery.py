"""A gallery of known people, and at which rank probes find theirs in it (identification)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class Gallery:
    """Embeddings with the names of their people; a person may have several, and counts with the closest.

    labels: N names. embeddings: (N, D), normalised here.
    """

    def __init__(self, labels: Sequence[str], embeddings: Tensor) -> None:
        if embeddings.dim() != 2 or len(labels) != len(embeddings) or not labels:
            raise ValueError("a gallery needs one label for each of at least one embedding (N, D)")
        self.labels = list(labels)
        self.embeddings = F.normalize(embeddings.detach(), dim=1)
        self.people = sorted(set(labels))
        self._person = {name: index for index, name in enumerate(self.people)}
        self._owner = torch.tensor([self._person[name] for name in labels])

    def scores(self, probes: Tensor) -> Tensor:
        """Cosine of each probe (P, D) to the closest embedding of each of `people`: (P, people)."""
        similarities = F.normalize(probes.detach(), dim=1).to(self.embeddings) @ self.embeddings.T
        owner = self._owner.to(similarities.device).expand_as(similarities)
        floor = similarities.new_full((len(probes), len(self.people)), -torch.inf)
        return floor.scatter_reduce(1, owner, similarities, "amax")

    def ranks(self, probes: Tensor, true_labels: Sequence[str]) -> Tensor:
        """Rank of each probe's own person, 1 the best: (P,). Raises ValueError for one not in the gallery.

        Others at the same score rank behind: the cautious reading where being found is the harm.
        """
        strangers = sorted(set(true_labels) - set(self._person))
        if strangers:
            raise ValueError(f"not in the gallery: {', '.join(strangers)}")
        if len(true_labels) != len(probes):
            raise ValueError(f"{len(probes)} probes need as many labels, not {len(true_labels)}")
        scores = self.scores(probes)
        own = torch.tensor([self._person[name] for name in true_labels], device=scores.device)
        return (scores > scores.gather(1, own[:, None])).sum(1) + 1
