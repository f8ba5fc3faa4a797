"""The grammar of the embedded world's captions and its vocabulary."""

from __future__ import annotations

import numpy as np

from visard.world.people import Person
from visard.world.scene import Scene

STYLES = ("photo", "pencil", "watercolor")
PREFIXES: dict[str, tuple[str, ...]] = {
    "photo": ("a photo of", "a dslr portrait of", "a close-up photo of", "a portrait of"),
    "pencil": ("a pencil drawing of",),
    "watercolor": ("a watercolor of",),
}
_PLACES = {
    "plain": "in front of a plain wall",
    "gradient": "in a studio",
    "room": "in a room",
    "park": "in a park",
    "night": "at night",
}
_HAIRDO = {
    "bald": "",
    "short": "short",
    "bob": "bob",
    "long": "long",
    "curly": "curly",
    "bun": "tied",
    "afro": "afro",
}
_WORDS = [
    "a",
    "an",
    "the",
    "of",
    "with",
    "and",
    "in",
    "at",
    "front",
    "wearing",
    "without",
    "is",
    "smiling",
    "happy",
    "serious",
    "open",
    "mouth",
    "closed",
    "big",
    "small",
    "eyes",
    "photo",
    "dslr",
    "portrait",
    "close-up",
    "pencil",
    "drawing",
    "watercolor",
    "painting",
    "sketch",
    "picture",
    "image",
    "style",
    "oil",
    "cartoon",
    "sks",
    "person",
    "man",
    "woman",
    "boy",
    "girl",
    "child",
    "young",
    "middle-aged",
    "elderly",
    "old",
    "people",
    "face",
    "light",
    "tan",
    "dark",
    "skin",
    "black",
    "brown",
    "blond",
    "red",
    "gray",
    "white",
    "green",
    "blue",
    "hazel",
    "hair",
    "bald",
    "short",
    "bob",
    "long",
    "curly",
    "tied",
    "afro",
    "beard",
    "mustache",
    "stubble",
    "shaved",
    "freckles",
    "glasses",
    "hat",
    "plain",
    "wall",
    "studio",
    "room",
    "park",
    "night",
    "city",
    "beach",
    "sunset",
    "light",
    "looking",
    "left",
    "right",
    "camera",
    "up",
    "down",
    "colorful",
    "yellow",
    "purple",
    "pink",
    "orange",
    "background",
    "blurry",
    "low",
    "quality",
    ",",
    ".",
    "'",
    "s",
    "zwx",
    "ohwx",
    "xyz",
    "one",
    "two",
    "three",
]
VOCABULARY: tuple[str, ...] = tuple(dict.fromkeys(_WORDS))


def _with(rng: np.random.Generator, phrase: str, chance: float) -> list[str]:
    return [phrase] if rng.random() < chance else []


def caption(person: Person, scene: Scene, style: str, rng: np.random.Generator) -> str:
    """A caption that is true of the picture and says a random part of what there is to say."""
    traits, words = person.traits, scene.words
    prefix = str(rng.choice(PREFIXES[style]))
    if rng.random() < 0.22:
        noun = "person"
    else:
        noun = str(traits["gender_word"])
        described = _with(rng, str(traits["age_word"]), 0.7)
        if rng.random() < 0.3:
            described = [f"{traits['skin_word']} skin", *described]
        noun = " ".join([*described, noun])
    parts: list[str] = []
    hairdo = _HAIRDO[str(traits["hair_style"])]
    if traits["hair_style"] == "bald":
        parts += _with(rng, "bald", 0.7)
    elif rng.random() < 0.75:
        parts.append(" ".join(["with", *_with(rng, hairdo, 0.6), str(words["hair_color"]), "hair"]))
    if traits["beard"] != "none":
        parts += _with(rng, f"with a {traits['beard']}", 0.7)
    if words["glasses"]:
        parts += _with(rng, str(rng.choice(["with glasses", "wearing glasses"])), 0.9)
    if words["hat"]:
        parts += _with(rng, "wearing a hat", 0.9)
    if person.shape["eye_size"] > 1.10:
        parts += _with(rng, "with big eyes", 0.5)
    else:
        parts += _with(rng, f"with {traits['eye_color']} eyes", 0.15)
    if traits["freckles"]:
        parts += _with(rng, "with freckles", 0.5)
    smiling = float(words["smile"]) > 0.5
    parts += _with(rng, "smiling" if smiling else "serious", 0.5 if smiling else 0.1)
    parts += _with(rng, _PLACES[str(words["background"])], 0.45)
    order = rng.permutation(len(parts)) if len(parts) > 1 else range(len(parts))
    article = "an" if noun[0] in "aeiou" else "a"
    sentence = f"{prefix} {article} {noun}" if rng.random() < 0.9 else f"{prefix} {noun}"
    return ", ".join([sentence, *(parts[i] for i in order)])
