from __future__ import annotations

import torch

from visard.photos.people import by_presence, rivals, sort_by_person


def test_faces_are_sorted_by_person_and_two_of_one_photo_are_two_people() -> None:
    alike = torch.tensor(
        [
            [1.0, 0.9, 0.8, 0.1],
            [0.9, 1.0, 0.7, 0.2],
            [0.8, 0.7, 1.0, 0.1],
            [0.1, 0.2, 0.1, 1.0],
        ]
    )
    assert sort_by_person(alike, [0, 1, 2, 3]) == [[0, 1, 2], [3]]
    assert sorted(sort_by_person(alike, [0, 0, 2, 3])) == [[0, 2], [1], [3]]


def test_a_face_joins_by_its_mean_similarity_to_all_of_a_person() -> None:
    alike = torch.tensor([[1.0, 0.9, 0.5], [0.9, 1.0, 0.1], [0.5, 0.1, 1.0]])
    assert sort_by_person(alike, [0, 1, 2]) == [[0, 1], [2]]


def test_the_person_of_most_photos_comes_first_then_the_larger() -> None:
    assert by_presence([[0], [1, 2], [3, 4]], [9.0, 1, 1, 2, 2]) == [[3, 4], [1, 2], [0]]


def test_a_rival_is_large_and_in_nearly_as_many_photos() -> None:
    photo = [0, 1, 2, 3, 0, 1, 2, 3]
    groups = [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert rivals(groups, photo, [10.0] * 8, 0.25) == [1]
    assert rivals(groups, photo, [10.0] * 4 + [2.0] * 4, 0.25) == []
    assert rivals([[0, 1, 2, 3], [4, 5, 6]], photo, [10.0] * 8, 0.25) == []
    assert rivals([], [], [], 0.25) == []
