"""Phrasings: a scene said in words, in many ways; some sentence patterns are kept back for the evaluation."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tiny_model.scene import Group, Scene, default_background

SAME_SHAPE = {
    "circle": ("circle", "circle", "circle", "disc", "dot", "ball"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "ring": ("ring", "ring", "ring", "donut"),
    "cross": ("cross", "cross", "plus"),
    "diamond": ("diamond", "diamond", "rhombus"),
    "heart": ("heart",),
}
SAME_COLOUR = {
    "gray": ("gray", "grey"),
    "purple": ("purple", "purple", "violet"),
    "cyan": ("cyan", "cyan", "turquoise"),
}
SAME_SIZE = {
    "small": ("small", "small", "little", "tiny"),
    "large": ("large", "large", "big", "huge"),
    "medium": ("", "", "", "medium"),
}
PLURAL = {"cross": "crosses", "box": "boxes", "plus": "pluses", "rhombus": "rhombuses"}
NUMBER = {2: ("two", "two", "2"), 3: ("three", "three", "3")}
PLACE_WORDS = {
    "center": ("in the center", "in the middle", "in the centre", "centered"),
    "top": ("at the top", "near the top"),
    "bottom": ("at the bottom", "near the bottom"),
    "left": ("on the left", "at the left", "on the left side"),
    "right": ("on the right", "at the right", "on the right side"),
    "top left": ("in the top left corner", "at the top left", "in the upper left corner"),
    "top right": ("in the top right corner", "at the top right", "in the upper right corner"),
    "bottom left": ("in the bottom left corner", "at the bottom left", "in the lower left corner"),
    "bottom right": ("in the bottom right corner", "at the bottom right", "in the lower right corner"),
}
RELATION_WORDS = {
    "above": ("above", "above", "over", "on top of"),
    "below": ("below", "below", "under", "beneath"),
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
}
_ARTICLE = re.compile(r"\ba (?=[aeiou])")
OPENINGS = (
    "a picture of ",
    "a drawing of ",
    "an image of ",
    "a photo of ",
    "an illustration of ",
    "draw ",
    "",
)
# Words that need no picture of their own but that people write.
EXTRA_WORDS = (
    "color", "colored", "colour", "simple", "flat", "plain", "shape", "shapes", "thing",
    "and", "the", "with", "one", "that", "is", "show", "me", "please",
    "nothing", "empty", "only", "just", "very", "bright", "dark", "light", "beautiful",
    "nice", "cat", "dog", "house", "tree", "sky",
)  # fmt: skip


Pattern = Callable[[str, str], str]
PATTERNS: tuple[Pattern, ...] = (
    lambda thing, back: f"{thing} on a {back} background",
    lambda thing, back: f"{thing} on a {back} background",
    lambda thing, back: f"{thing}, {back} background",
    lambda thing, back: f"{thing} on {back}",
    lambda thing, back: f"{thing} against a {back} background",
    lambda thing, back: f"{thing} with a {back} background",
    lambda thing, back: f"{back} background, {thing}",
    lambda thing, back: f"{thing} in front of a {back} background",
    lambda thing, back: f"{thing}. the background is {back}",
    lambda thing, back: f"on a {back} background there is {thing}",
    lambda thing, back: f"there is {thing} on {back}",
    lambda thing, back: f"{thing}; {back} background",
    lambda thing, back: f"{back} background with {thing}",
    lambda thing, back: f"the background is {back}, {thing}",
    lambda thing, back: f"the background is {back} with {thing} on it",
    lambda thing, back: f"{thing} and the background is {back}",
    lambda thing, back: f"a {back} background, {thing}",
    lambda thing, back: f"{thing}. {back} background",
    lambda thing, back: f"{thing} that is on a {back} background",
    lambda thing, back: f"show me {thing} on a simple {back} background",
)
HELD_OUT_PATTERNS: tuple[Pattern, ...] = (
    lambda thing, back: f"on a {back} background, {thing}",
    lambda thing, back: f"{thing}, the background is {back}",
    lambda thing, back: f"a {back} background with {thing}",
    lambda thing, back: f"{thing} against {back}",
    lambda thing, back: f"{thing} on a plain {back} background",
)


def phrase(scene: Scene, rng: random.Random, patterns: tuple[Pattern, ...] = PATTERNS) -> str:
    """One way of saying the scene. A default background is often left unsaid."""
    if not scene.groups:
        return _empty(scene.background, rng)
    bare = rng.random() < 0.25
    thing = _things(scene, rng, bare)
    if scene.background == default_background(scene.groups) and rng.random() < 0.7 and patterns is PATTERNS:
        said = thing
    else:
        said = rng.choice(patterns)(thing, colour_word(scene.background, rng))
    if not bare and rng.random() < 0.25 and said.startswith(thing):
        said = rng.choice(OPENINGS) + said
    return _ARTICLE.sub("an ", said) + ("." if rng.random() < 0.05 else "")


def colour_word(colour: str, rng: random.Random) -> str:
    """The colour or another word for it."""
    return rng.choice(SAME_COLOUR.get(colour, (colour,)))


def words() -> list[str]:
    """Every word that the phrasings can produce, sorted."""
    found = {
        "a",
        "an",
        "on",
        "in",
        "of",
        "to",
        "at",
        "background",
        "against",
        "front",
        "there",
        "is",
        *EXTRA_WORDS,
    }
    for table in (SAME_SHAPE, SAME_COLOUR, SAME_SIZE, NUMBER, PLACE_WORDS, RELATION_WORDS):
        for ways in table.values():
            found.update(word for way in ways for word in way.split())
    found.update(plural(word) for ways in SAME_SHAPE.values() for word in ways)
    found.update(word for opening in OPENINGS for word in opening.split())
    found.update(
        [
            "red",
            "orange",
            "yellow",
            "green",
            "cyan",
            "blue",
            "purple",
            "pink",
            "brown",
            "black",
            "white",
            "gray",
        ]
    )
    return sorted(word for word in found if word.isalpha())


def plural(word: str) -> str:
    """The word for several of it."""
    return PLURAL.get(word, word + "s")


def _things(scene: Scene, rng: random.Random, bare: bool) -> str:
    if len(scene.groups) == 2:
        ahead, behind = (_group(group, rng, bare) for group in scene.groups)
        return f"{ahead} {rng.choice(RELATION_WORDS[scene.relation or ''])} {behind}"
    said = _group(scene.groups[0], rng, bare)
    return f"{said} {rng.choice(PLACE_WORDS[scene.place])}" if scene.place else said


def _group(group: Group, rng: random.Random, bare: bool) -> str:
    shape = rng.choice(SAME_SHAPE[group.shape])
    colour = colour_word(group.colour, rng)
    size = rng.choice(SAME_SIZE[group.size])
    if group.count > 1:
        return " ".join(filter(None, (rng.choice(NUMBER[group.count]), size, colour, plural(shape))))
    article = "" if bare else rng.choice(("a", "a", "a", "a", "one", "the"))
    return " ".join(filter(None, (article, size, colour, shape)))


def _empty(background: str, rng: random.Random) -> str:
    colour = colour_word(background, rng)
    ways = (f"a plain {colour} background", f"{colour} background", f"nothing on a {colour} background")
    return _ARTICLE.sub("an ", rng.choice(ways))
