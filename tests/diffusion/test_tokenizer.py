from __future__ import annotations

import pytest
from transformers import CLIPTokenizer

from visard.diffusion.folders import write_tokenizer
from visard.diffusion.tokenizer import build_tokenizer

# Words inside words, shared beginnings and ends, repeats: what a careless merge table gets wrong.
WORDS = [
    "to",
    "hot",
    "photo",
    "photos",
    "a",
    "of",
    "toto",
    "aaa",
    "aaaa",
    "middle-aged",
    "sks",
    "woman",
    "man",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, build_tokenizer(WORDS, max_length=12))
    return CLIPTokenizer.from_pretrained(folder / "tokenizer")


@pytest.mark.parametrize("word", [word for word in WORDS if "-" not in word])
def test_every_word_is_one_token(tokenizer, word):
    assert tokenizer.tokenize(word) == [f"{word}</w>"]
    assert tokenizer.tokenize(word.upper()) == [f"{word}</w>"]


def test_compounds_split_as_clip_splits(tokenizer):
    assert tokenizer.tokenize("middle-aged") == ["middle</w>", "-</w>", "aged</w>"]


@pytest.mark.parametrize("text", ["a photo of zoë", "phot", "hotphoto", "17 naïve ☃ 猫", "a"])
def test_any_text_round_trips_without_unknown_tokens(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids).replace(" ", "") == text.replace(" ", "")


def test_special_tokens_frame_the_prompt_and_take_the_highest_ids(tokenizer):
    ids = tokenizer("a photo").input_ids
    assert (ids[0], ids[-1]) == (len(tokenizer) - 2, len(tokenizer) - 1)
    assert tokenizer.model_max_length == 12


def test_old_vocabulary_files_alone_give_the_same_tokens(tokenizer, tmp_path):
    write_tokenizer(tmp_path, build_tokenizer(WORDS, max_length=12))
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    old = CLIPTokenizer.from_pretrained(tmp_path / "tokenizer")
    text = "a photo of zoë, middle-aged"
    assert old(text).input_ids == tokenizer(text).input_ids
