"""Galleries: ranks by hand."""

from __future__ import annotations

import pytest
import torch

from visard.faces.gallery import Gallery

AXES = torch.eye(4)


def test_ranks_by_hand() -> None:
    gallery = Gallery(["a", "b", "c"], AXES[:3])
    probes = torch.tensor([[3.0, 2, 1, 0], [3, 2, 1, 0], [3, 2, 1, 0]])
    assert gallery.ranks(probes, ["a", "b", "c"]).tolist() == [1, 2, 3]


def test_a_person_counts_once_with_the_closest_photo() -> None:
    gallery = Gallery(["a", "a", "b", "a"], AXES)
    probe = torch.tensor([[0.0, 0.9, 1.0, 0.8]])
    assert gallery.people == ["a", "b"]
    torch.testing.assert_close(gallery.scores(probe), torch.tensor([[0.9, 1.0]]) / probe.norm())
    assert gallery.ranks(probe, ["a"]).tolist() == [2]


def test_length_does_not_matter() -> None:
    gallery = Gallery(["a", "b"], torch.tensor([[1.0, 0], [30.0, 30]]))
    assert gallery.ranks(torch.tensor([[9.0, 1]]), ["a"]).tolist() == [1]


def test_ties_count_as_found() -> None:
    gallery = Gallery(["a", "b"], torch.tensor([[1.0, 0], [1.0, 0]]))
    assert gallery.ranks(torch.tensor([[1.0, 0], [1.0, 0]]), ["a", "b"]).tolist() == [1, 1]


def test_strangers_have_no_rank() -> None:
    with pytest.raises(ValueError, match="not in the gallery: z"):
        Gallery(["a"], AXES[:1]).ranks(AXES[:1], ["z"])


def test_labels_and_embeddings_go_together() -> None:
    with pytest.raises(ValueError, match="one label"):
        Gallery(["a"], AXES)
    with pytest.raises(ValueError, match="as many labels"):
        Gallery(["a"], AXES[:1]).ranks(AXES, ["a"])
