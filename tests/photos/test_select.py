"""From a folder of photos to the pictures of one person, each decision with its reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from photos.painted import SIZE, ColourDetector, photo
from visard.errors import InputError
from visard.images import center_crop, read_image, to_tensor
from visard.photos.prepare import prepare
from visard.photos.select import Selector
from visard.photos.selection import Selection

USED = ["1-alone.png", "2-beside.png", "3-three.png", "4-aside.png"]


def used(selection: Selection) -> list[str]:
    return [shot.file.name for shot in selection.used]


def why(selection: Selection, name: str) -> str:
    (shot,) = (shot for shot in selection.shots if shot.file.name == name)
    return f"{shot.verdict}: {' '.join(shot.reasons)}"


def test_the_common_face_is_found_and_every_other_photo_has_a_reason(
    selector: Selector, holiday: Path
) -> None:
    selection = selector.select(holiday)
    assert (selection.chosen, selection.doubt) == (1, "")
    assert selection.people[0].photos == (1, 2, 3, 4, 6, 8, 9)
    assert used(selection)[:4] == USED
    assert why(selection, "5-friend.png") == "left out: The person was not recognised in it."
    assert "No face was found" in why(selection, "7-sea.png")
    assert "same picture as photo 1" in why(selection, "6-sent.jpg")
    assert "blurred" in why(selection, "8-shaky.png")
    assert "enlarged" in why(selection, "9-far.png")
    assert "Person 1 is in 7 of 9 photos" in selection.summary
    selection.require()


def test_the_squares_show_the_person_alone(selector: Selector, holiday: Path) -> None:
    selection = selector.select(holiday)
    assert selection.pictures.shape == (len(selection.used), 3, SIZE, SIZE)
    for faces in ColourDetector().detect(selection.pictures):
        assert max(faces, key=lambda face: float((face.box[2:] - face.box[:2]).prod())) is faces[0]
        assert float((faces[0].box[3] - faces[0].box[1]) / SIZE) > 0.3


def test_what_is_fine_as_it_is_stays_as_it_is(selector: Selector, holiday: Path) -> None:
    expected = to_tensor(center_crop(read_image(holiday / "1-alone.png"), SIZE))
    assert torch.equal(selector.select(holiday).pictures[0], expected)


def test_two_people_in_all_photos_are_asked_about_and_told_apart_by_number(
    selector: Selector, tmp_path: Path
) -> None:
    for seed in range(4):
        both = photo(("red", 20, 30, 44), ("green", 120, 30, 42), width=200, height=120, seed=seed)
        both.save(tmp_path / f"{seed}.png")
    asked = selector.select(tmp_path)
    assert asked.chosen is None
    assert asked.used == []
    with pytest.raises(InputError, match=r"person 1 in 4, person 2 in 4") as caught:
        asked.require()
    assert "--person" in caught.value.advice
    second = selector.select(tmp_path, person=2)
    second.require()
    green = second.pictures.mean((0, 2, 3))
    assert int(green.argmax()) == 1
    with pytest.raises(InputError, match="no person 3"):
        selector.select(tmp_path, person=3)


def test_strangers_have_nobody_in_common(selector: Selector, tmp_path: Path) -> None:
    for seed, colour in enumerate(("red", "green", "blue")):
        photo((colour, 28, 18, 40), seed=seed).save(tmp_path / f"{seed}.png")
    with pytest.raises(InputError, match="No two photos show the same face"):
        selector.select(tmp_path).require()


def test_faces_that_touch_cannot_be_parted(selector: Selector, holiday: Path) -> None:
    photo(("green", 20, 30, 40), ("red", 60, 30, 40), ("blue", 100, 30, 40), width=160, height=110).save(
        holiday / "kiss.png"
    )
    assert "too close" in why(selector.select(holiday), "kiss.png")


def test_too_few_are_refused_with_the_reasons(selector: Selector, holiday: Path) -> None:
    for name in USED[1:]:
        (holiday / name).unlink()
    with pytest.raises(InputError, match="at least 4 are needed") as caught:
        selector.select(holiday).require()
    assert "6-sent.jpg: The same picture as photo 1." in caught.value.message


def test_what_cannot_be_read_is_named_and_stops(selector: Selector, holiday: Path) -> None:
    (holiday / "cut.jpg").write_bytes((holiday / "6-sent.jpg").read_bytes()[:900])
    selection = selector.select(holiday)
    assert why(selection, "cut.jpg").startswith("unreadable")
    with pytest.raises(InputError, match=r"1 of the pictures .*cannot be used"):
        selection.require()


def test_what_helps_is_said_beside_what_is_wrong(selector: Selector, holiday: Path) -> None:
    (holiday / "1-alone.txt").write_bytes(b"\xff\xfe\xff")
    (holiday / "scan.tiff").touch()
    selection = selector.select(holiday)
    with pytest.raises(InputError, match="2 of the pictures") as caught:
        selection.require()
    for advice in ("Save the caption as UTF-8", "Save it as JPEG"):
        assert advice in caught.value.advice
    assert selection.shots[0].said[0] == "Its caption is not UTF-8 text."
    assert str(holiday) not in json.dumps(selection.to_json())


def test_no_folder_and_no_pictures(selector: Selector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        selector.select(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        selector.select(tmp_path / "nowhere")


def test_without_a_recogniser_the_largest_face_is_the_person(holiday: Path) -> None:
    selection = Selector(ColourDetector(), [], size=SIZE).select(holiday)
    assert selection.chosen == 1
    assert {"1-alone.png", "4-aside.png", "5-friend.png"} <= set(used(selection))


def test_decisions_do_not_depend_on_chance(selector: Selector, holiday: Path) -> None:
    first, second = selector.select(holiday), selector.select(holiday)
    assert first.to_json() == second.to_json()
    assert torch.equal(first.pictures, second.pictures)


def test_prepared_pictures_are_all_used_again_to_the_last_bit(
    selector: Selector, holiday: Path, tmp_path: Path
) -> None:
    selection = selector.select(holiday)
    files = prepare(selection, tmp_path / "squares")
    assert len(files) == len(selection.used)
    assert (tmp_path / "squares" / "001.txt").read_text() == "sks person beside a friend\n"
    for file in files:
        with Image.open(file) as image:
            assert (image.size, dict(image.getexif()), image.info) == ((SIZE, SIZE), {}, {})
    again = torch.stack([to_tensor(read_image(file)) for file in files])
    assert torch.equal(again, selection.pictures)
    kept = selector.select(tmp_path / "squares")
    steady = [shot for shot in kept.used if torch.equal(shot.picture, again[shot.number - 1])]
    assert len(steady) == len(kept.used) == len(files)


def test_a_folder_that_holds_something_is_never_replaced(
    selector: Selector, holiday: Path, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        prepare(selector.select(holiday), full)
    assert [file.name for file in full.iterdir()] == ["diary.txt"]
    shutil.rmtree(full)
    prepare(selector.select(holiday), full)


def test_json_holds_neither_pictures_nor_the_folder(selector: Selector, holiday: Path) -> None:
    (holiday / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    told = selector.select(holiday).to_json()
    assert str(holiday) not in str(told)
    assert {shot["file"] for shot in told["shots"]} == {file.name for file in holiday.glob("*.[pj]*")}
    assert all(np.isfinite(value) for shot in told["shots"] for value in shot["measures"].values() if value)
