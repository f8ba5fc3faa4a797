from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from torch import Tensor

from visard.benchmark.datasets import MAPPING, Audition, FolderCamera, People, people_of, read_people
from visard.benchmark.people import CLEAN_FIRST, Studio
from visard.benchmark.protocol import Lineup, Protocol
from visard.errors import InputError
from visard.faces.detector import Detector

LINEUP = Lineup(training=8, clean=8)


def shade(file: Path, value: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 36), (value, value, value)).save(file)


@pytest.fixture
def vggface(tmp_path: Path) -> Path:
    """Five people of seventeen photos, one of three; a person's shade is their number and the photo's."""
    for person in range(5):
        for photo in range(17):
            shade(tmp_path / "vgg" / f"n{person:06d}" / f"{photo:04d}_01.jpg", 40 * person + 2 * photo)
    for photo in range(3):
        shade(tmp_path / "vgg" / "n000009" / f"{photo:04d}_01.jpg", 7)
    return tmp_path / "vgg"


def test_a_folder_a_person_and_enough_photos_of_each(vggface: Path) -> None:
    people = read_people(vggface, LINEUP)
    assert len(people.photos) == 5
    assert all(len({file.parent for file in photos}) == 1 for photos in people.photos)
    assert read_people(vggface, LINEUP) == people
    shade(vggface / "n000000" / "0099_01.jpg", 1)
    assert read_people(vggface, LINEUP).digest != people.digest


def test_the_attackers_photos_are_never_trained_on(vggface: Path) -> None:
    people = read_people(vggface, LINEUP)
    camera = FolderCamera(people.photos, clean=8, side=32)
    training = [photo.getpixel((0, 0)) for photo in camera(0, 50, 0)]
    clean = [photo.getpixel((0, 0)) for photo in camera(0, 8, CLEAN_FIRST)]
    assert (len(training), len(clean)) == (9, 8)
    assert not set(training) & set(clean)
    assert camera(0, 2, 7)[1].getpixel((0, 0)) == training[8]
    assert camera(0, 1, 0)[0].size == (32, 32)


def test_nobody_is_in_two_splits_whatever_is_asked_for() -> None:
    people = People(((),) * 195, "")
    test, strangers = people.choose("test", 51, 111)
    dev, few = people.choose("attacker_dev", 11, 2)
    own, learned = people.attackers(11, 22)
    assert sorted([*test, *strangers, *dev, *learned]) == list(range(195))
    assert own == dev
    assert few == strangers[:2]
    assert people.attackers(2, 3) == (dev[:2], learned[:3])
    assert people.choose("test", 2, 2)[0] == test[:2]


def test_people_whose_photos_cannot_be_used_are_left_out(vggface: Path, tmp_path: Path) -> None:
    """One has a damaged photo, one two faces in most: the next of their split take their places."""
    everybody = read_people(vggface, LINEUP)
    damaged, crowded = everybody.photos[0][3], everybody.photos[2]
    damaged.write_bytes(damaged.read_bytes()[:90])
    folk = replace(read_people(vggface, LINEUP), photos=everybody.photos * 8)
    faces = {file.parent: 2 if file in crowded else 1 for photos in everybody.photos for file in photos}

    class Eyes:
        name, setting = "eyes", "count"

        def detect(self, images: Tensor) -> list[list[None]]:
            shade = round((float(images[0].mean()) + 1) * 127.5)
            (home,) = (each for each in faces if 0 <= shade - 40 * int(each.name[1:]) < 40)
            return [[None] * faces[home]]

    camera = FolderCamera(folk.photos, clean=8, side=32)
    studio = Studio(tmp_path / "bench", LINEUP, cast(Detector, Eyes()), camera)
    audition = Audition(folk, studio, wanted=9)
    test, strangers = folk.choose("test", 5, 4, audition)
    assert test == [1, 3, 4, 6, 8]
    assert strangers == [17, 18, 19, 20]  # the first photos can be read; a stranger may have company
    assert len(audition.left_out) == 4
    assert damaged.name in audition.left_out[0]
    assert re.search(r"n00000\d/0000_01.jpg: 0 of 9 photos of person 2 show one face", audition.left_out[1])
    assert not (tmp_path / "bench").exists()
    with pytest.raises(InputError, match="photos of 6 of its 10 can be used") as caught:
        folk.choose("test", 7, 4, audition)
    assert "at most 6 with --people" in caught.value.advice


def test_a_split_of_too_few_people_is_refused() -> None:
    people = People(((),) * 195, "")
    with pytest.raises(InputError, match="split attacker_dev are asked for and it has 11: 6%"):
        people.choose("attacker_dev", 40, 2)
    with pytest.raises(InputError, match="at most 111 with --strangers"):
        people.choose("test", 1, 112)
    with pytest.raises(InputError, match="no split gallery"):
        people.choose("gallery", 1, 1)
    with pytest.raises(InputError, match="it has 22: 11% of the 195") as caught:
        people.attackers(10, 23)
    assert caught.value.advice.startswith("Ask for at most 22 with --train. Up to --tier T3")
    with pytest.raises(InputError, match="attacker_dev are asked for and it has 11") as caught:
        people.attackers(12, 23)
    assert caught.value.advice.startswith("Ask for at most 11 with --dev.")
    with pytest.raises(InputError, match="it has 1: 5% of the 20") as caught:  # and --dev takes no 1
        People(((),) * 20, "").attackers(2, 0)
    assert caught.value.advice == "A benchmark of a larger folder has more."


def test_a_benchmark_knows_its_folder_again(vggface: Path, protocol: Protocol, tmp_path: Path) -> None:
    out, known = tmp_path / "bench", read_people(vggface, LINEUP)
    replace(protocol, lineup=LINEUP, people=known.digest).claim(out)
    assert people_of(out, vggface) == known
    with pytest.raises(InputError, match="came from a folder") as caught:
        people_of(out, None)
    assert "--data" in caught.value.advice
    shade(vggface / "n000000" / "0099_01.jpg", 1)
    with pytest.raises(InputError, match="names or sizes of its photos"):
        people_of(out, vggface)
    protocol.claim(tmp_path / "world")
    assert people_of(tmp_path / "world", None) is None
    with pytest.raises(InputError, match="embedded world") as caught:
        people_of(tmp_path / "world", vggface)
    assert caught.value.advice == "Leave out --data."


def celeba(folder: Path, names: list[str]) -> Path:
    """A flat folder of pictures; names[i] is the file of picture i."""
    for name in names:
        shade(folder / "pictures" / name, 9)
    return folder / "pictures"


def test_celeba_names_in_the_identity_file(protocol: Protocol, tmp_path: Path) -> None:
    names = [f"{index:06d}.jpg" for index in range(40)]
    identities = tmp_path / "identity_CelebA.txt"
    identities.write_text("".join(f"{name} {index % 2}\n" for index, name in enumerate(names)))
    people = read_people(celeba(tmp_path, names), LINEUP, identities)
    assert [len(photos) for photos in people.photos] == [20, 20]
    replace(protocol, lineup=LINEUP, people=people.digest).claim(tmp_path / "bench")
    assert people_of(tmp_path / "bench", tmp_path / "pictures", identities) == people


def test_celeba_hq_numbers_are_translated(tmp_path: Path) -> None:
    """Picture n of CelebA-HQ is file 000039 - n of CelebA: the mapping, not the number, counts."""
    pictures = celeba(tmp_path, [f"{index}.jpg" for index in range(40)])
    identities = tmp_path / "identity_CelebA.txt"
    identities.write_text("".join(f"{index:06d}.jpg {'ab'[index >= 20]}\n" for index in range(40)))
    rows = "".join(f"{index} {39 - index} {39 - index:06d}.jpg\n" for index in range(40))
    (tmp_path / MAPPING).write_text("idx orig_idx orig_file\n" + rows)
    people = read_people(pictures, LINEUP, identities)
    whole = sorted(sorted(int(file.stem) for file in photos) for photos in people.photos)
    assert whole == [list(range(20)), list(range(20, 40))]


def test_what_is_no_data_set_is_refused(vggface: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        read_people(tmp_path / "nowhere", LINEUP)
    with pytest.raises(InputError, match="Nobody in"):
        read_people(tmp_path, LINEUP)
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("one\n")
    with pytest.raises(InputError, match="fewer than 2 words"):
        read_people(vggface, LINEUP, wrong)
    wrong.write_text("one 1\n")
    with pytest.raises(InputError, match="names no picture"):
        read_people(vggface, LINEUP, wrong)
