"""Pictures and their truth agree."""

import numpy as np
import pytest

from visard.world.people import Person, person, split_people
from visard.world.renderer import MATERIALS, SIZE, Rendering, render
from visard.world.scene import rotation, scene


@pytest.fixture(scope="module")
def drawn() -> tuple[list[Person], Rendering]:
    people = [person(n) for n in split_people("test", 6)]
    scenes = [scene(p, 0, frontal=True, glasses=False, hat=False) for p in people]
    return people, render(people, scenes, compile=False)


def test_shapes_and_types(drawn: tuple[list[Person], Rendering]) -> None:
    people, picture = drawn
    assert picture.pixels.shape == (len(people), SIZE, SIZE, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.landmarks.shape == (len(people), 5, 2)
    assert picture.boxes.shape == (len(people), 4)


def test_eye_landmarks_lie_on_eyes_or_their_lids(drawn: tuple[list[Person], Rendering]) -> None:
    _, picture = drawn
    hits = []
    for masks, points in zip(picture.materials, picture.landmarks, strict=True):
        for x, y in points[:2].round().astype(int):
            patch = masks[y - 2 : y + 3, x - 2 : x + 3]
            hits.append(bool((patch == 1 + MATERIALS.index("eye")).any()))
    assert np.mean(hits) > 0.9


def test_landmarks_lie_inside_the_face_box(drawn: tuple[list[Person], Rendering]) -> None:
    _, picture = drawn
    low, high = picture.boxes[:, None, :2], picture.boxes[:, None, 2:]
    assert ((picture.landmarks >= low) & (picture.landmarks <= high)).all()


def test_left_is_left(drawn: tuple[list[Person], Rendering]) -> None:
    _, picture = drawn
    assert (picture.landmarks[:, 0, 0] < picture.landmarks[:, 1, 0]).all()
    assert (picture.landmarks[:, 3, 0] < picture.landmarks[:, 4, 0]).all()


def test_same_scene_same_picture() -> None:
    who = person(80_000)
    first, second = (render([who], [scene(who, 3)], compile=False).pixels for _ in range(2))
    assert np.array_equal(first, second)


def test_positive_yaw_turns_the_nose_to_image_right() -> None:
    assert (rotation(30, 0, 0) @ np.array([0, 0, 1.0]))[0] > 0
    assert (rotation(0, 10, 0) @ np.array([0, 0, 1.0]))[1] > 0


def test_zoom_keeps_the_pixel_density() -> None:
    who = person(80_002)
    circumstances = scene(who, 0)
    whole = render([who], [circumstances], compile=False)
    part = render([who], [circumstances], size=96, zoom=0.75, compile=False)
    shift = whole.landmarks - part.landmarks
    assert np.allclose(shift, (SIZE - 96) / 2, atol=1e-3)


def test_hats_and_glasses_can_be_asked_for() -> None:
    who = person(80_001)
    with_both = render([who], [scene(who, 0, hat=True, glasses=True)], compile=False).materials
    without = render([who], [scene(who, 0, hat=False, glasses=False)], compile=False).materials
    for name in ("hat", "frame"):
        assert (with_both == 1 + MATERIALS.index(name)).sum() > 20
        assert (without == 1 + MATERIALS.index(name)).sum() == 0
