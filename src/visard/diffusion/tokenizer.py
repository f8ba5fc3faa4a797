"""A CLIP tokenizer from a word list: each of its words is one token, other text falls back to pieces.

Byte-pair encoding applies the pair of lowest rank first. A pair appended to the table can therefore never
disturb a word that earlier pairs already join into one token, so words are added one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
OPEN_CLIP_PAD = "!"
"""Token 0, which fills up prompts for OpenCLIP (Stable Diffusion 2.x, the second of SDXL); CLIP has END."""
END_OF_WORD = "</w>"
CLIP_LENGTH = 77

Pair = tuple[str, str]


def build_tokenizer(words: Iterable[str], max_length: int = CLIP_LENGTH, pad: str = END) -> CLIPTokenizer:
    """A tokenizer in which every word is one token; `pad` fills up to `max_length`.

    Text is lower-cased and split as CLIP does (letters, single digits, runs of other signs) before encoding.
    The start and end tokens take the two highest ids, as in CLIP. Source: Sennrich et al. 2016 and GPT-2's
    byte alphabet.
    """
    splitter = CLIPTokenizer().backend_tokenizer
    pieces: dict[str, None] = {}  # an ordered set
    for word in words:
        for piece, _ in splitter.pre_tokenizer.pre_tokenize_str(splitter.normalizer.normalize_str(word)):
            pieces[piece] = None
    ranks: dict[Pair, int] = {}
    for piece in pieces:
        while len(symbols := _encode(piece, ranks)) > 1:
            ranks[symbols[0], symbols[1]] = len(ranks)
    alphabet = _byte_alphabet()
    tokens = [
        *alphabet,
        *(sign + END_OF_WORD for sign in alphabet),
        *("".join(pair) for pair in ranks),
        START,
        END,
    ]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    merges: Any = list(ranks)  # annotated list[str] by transformers, and it means pairs
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_length, pad_token=pad)


def _encode(piece: str, ranks: dict[Pair, int]) -> list[str]:
    """Byte-pair encoding of one piece with the pairs known so far."""
    symbols = [*piece[:-1], piece[-1] + END_OF_WORD]
    while True:
        pairs = [pair for pair in pairwise(symbols) if pair in ranks]
        if not pairs:
            return symbols
        best = min(pairs, key=ranks.__getitem__)
        merged: list[str] = []
        position = 0
        while position < len(symbols):
            if tuple(symbols[position : position + 2]) == best:
                merged.append("".join(best))
                position += 2
            else:
                merged.append(symbols[position])
                position += 1
        symbols = merged


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
