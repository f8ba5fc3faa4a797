"""Captions stay inside the vocabulary and say nothing false."""

import re

import numpy as np

from visard.world.captions import VOCABULARY, caption
from visard.world.people import person, split_people
from visard.world.scene import scene

PAPER_PROMPTS = (
    "a photo of sks person",
    "a dslr portrait of sks person",
    "a photo of sks person wearing a hat",
    "a photo of sks person with glasses",
    "a photo of sks person with red hair",
    "a photo of sks person with big eyes",
)


def _captions() -> list[tuple[str, object, object]]:
    rng = np.random.default_rng(0)
    made = []
    for n in split_people("base", 200):
        who = person(n)
        circumstances = scene(who, 0)
        made.append((caption(who, circumstances, "photo", rng), who, circumstances))
    return made


def test_every_word_is_in_the_vocabulary() -> None:
    known = set(VOCABULARY)
    texts = [text for text, _, _ in _captions()] + list(PAPER_PROMPTS)
    for text in texts:
        assert set(re.findall(r"[a-z-]+", text)) <= known, text


def test_captions_are_true() -> None:
    for text, who, circumstances in _captions():
        assert ("glasses" in text) <= bool(circumstances.words["glasses"])
        assert ("hat" in text.split()) <= bool(circumstances.words["hat"])
        for color in re.findall(r"(black|brown|blond|red|gray|white) hair", text):
            assert color == circumstances.words["hair_color"]
        for age in re.findall(r"child|young|middle-aged|elderly", text):
            assert age == who.traits["age_word"]


def test_the_identifier_is_never_trained() -> None:
    assert all("sks" not in text for text, _, _ in _captions())
