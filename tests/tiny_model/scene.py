"""Scenes: what may be in a picture, drawn at random, and the combinations kept back for the evaluation."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 30, 40),
    "orange": (255, 140, 0),
    "yellow": (255, 222, 40),
    "green": (30, 155, 60),
    "cyan": (60, 210, 215),
    "blue": (30, 75, 215),
    "purple": (130, 45, 170),
    "pink": (255, 150, 190),
    "brown": (125, 78, 40),
    "black": (15, 15, 18),
    "white": (250, 250, 250),
    "gray": (130, 130, 132),
}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "heart")
RADII = {"small": 0.15, "medium": 0.22, "large": 0.33}
"""Radius of a shape, as a fraction of the picture's side."""
PLACES: dict[str, tuple[float, float]] = {
    "center": (0.5, 0.5),
    "top": (0.5, 0.26),
    "bottom": (0.5, 0.74),
    "left": (0.26, 0.5),
    "right": (0.74, 0.5),
    "top left": (0.26, 0.26),
    "top right": (0.74, 0.26),
    "bottom left": (0.26, 0.74),
    "bottom right": (0.74, 0.74),
}
RELATIONS = ("above", "below", "left of", "right of")
_HELD_OUT_SHARE = 10
"""One of so many (shape, colour, background) combinations is never trained on."""


@dataclass(frozen=True, slots=True)
class Group:
    """``count`` equal shapes in a row."""

    shape: str
    colour: str
    size: str = "medium"
    count: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture shows: nothing, one group, or two groups in a relation."""

    groups: tuple[Group, ...]
    background: str
    place: str | None = None
    """Where the only group is; None: near the middle."""
    relation: str | None = None
    """How the first group stands to the second."""

    @property
    def one_shape(self) -> bool:
        """Whether there is exactly one shape in the picture."""
        return len(self.groups) == 1 and self.groups[0].count == 1


@dataclass(frozen=True, slots=True)
class Placed:
    """One shape in the picture; position and radius are fractions of the picture's side."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


def default_background(groups: tuple[Group, ...]) -> str:
    """The background where a prompt names none: the first of white, black, gray that no shape has."""
    used = {group.colour for group in groups}
    return next(colour for colour in ("white", "black", "gray") if colour not in used)


def held_out(shape: str, colour: str, background: str) -> bool:
    """Whether this combination is kept back for the evaluation (by a hash: stable on every machine)."""
    digest = hashlib.sha256(f"{shape}/{colour}/{background}".encode()).digest()
    return digest[0] % _HELD_OUT_SHARE == 0 and background not in ("white", "black")


def is_held_out(scene: Scene) -> bool:
    """Whether any shape of the scene is a combination that is kept back."""
    return any(held_out(group.shape, group.colour, scene.background) for group in scene.groups)


def training_scene(rng: random.Random) -> Scene:
    """A random scene without any combination that is kept back."""
    while True:
        scene = random_scene(rng)
        if not is_held_out(scene):
            return scene


def random_scene(rng: random.Random) -> Scene:
    """Any scene: 62 % one shape, 14 % several equal ones, 22 % two groups, 2 % an empty background."""
    kind = rng.random()
    if kind < 0.02:
        return Scene((), rng.choice(list(COLOURS)))
    if kind < 0.64:
        return one_shape_scene(rng)
    if kind < 0.78:
        group = _group(rng, rng.choice((2, 3)), ("small", "medium"))
        return Scene((group,), _background(rng, (group,)))
    return relation_scene(rng)


def one_shape_scene(rng: random.Random) -> Scene:
    """One shape, in a named place now and then."""
    group = _group(rng, 1, ("small", "medium", "medium", "large"))
    place = rng.choice(list(PLACES)) if rng.random() < 0.3 and group.size != "large" else None
    return Scene((group,), _background(rng, (group,)), place=place)


def relation_scene(rng: random.Random) -> Scene:
    """Two groups, one above, below, left or right of the other."""
    counts = rng.choice(((1, 1), (1, 1), (1, 1), (2, 1), (1, 2), (3, 1), (1, 3), (2, 2)))
    first = _group(rng, counts[0], ("small", "medium"))
    while (second := _group(rng, counts[1], ("small", "medium"))).colour == first.colour:
        pass
    return Scene((first, second), _background(rng, (first, second)), relation=rng.choice(RELATIONS))


def _group(rng: random.Random, count: int, sizes: tuple[str, ...]) -> Group:
    return Group(rng.choice(SHAPES), rng.choice(list(COLOURS)), rng.choice(sizes), count)


def _background(rng: random.Random, groups: tuple[Group, ...]) -> str:
    if rng.random() < 0.25:
        return default_background(groups)
    used = {group.colour for group in groups}
    return rng.choice([colour for colour in COLOURS if colour not in used])


def lay_out(scene: Scene, rng: random.Random) -> list[Placed]:
    """Where everything goes, with a little chance in it. Shapes of a scene do not touch."""
    if len(scene.groups) == 1:
        centre = PLACES[scene.place] if scene.place else (0.5, 0.5)
        spread = 0.03 if scene.place else 0.06
        return _row(scene.groups[0], centre, rng, spread, limit=0.4)
    if not scene.groups:
        return []
    first, second = scene.groups
    ahead, behind = 0.26, 0.74
    if scene.relation in ("below", "right of"):
        ahead, behind = behind, ahead
    upright = scene.relation in ("left of", "right of")
    centres = [(ahead, 0.5), (behind, 0.5)] if upright else [(0.5, ahead), (0.5, behind)]
    placed = []
    for group, centre in zip((first, second), centres, strict=True):
        placed += _row(group, centre, rng, 0.025, limit=0.2, upright=upright)
    return placed


def _row(
    group: Group,
    centre: tuple[float, float],
    rng: random.Random,
    spread: float,
    limit: float,
    upright: bool = False,
) -> list[Placed]:
    """The shapes of one group side by side (or in a column), small enough not to touch."""
    radius = min(RADII[group.size], limit, 0.46 / group.count) * rng.uniform(0.92, 1.08)
    if group.count > 1:
        radius = min(radius, 0.42 / group.count)
    x, y = (value + rng.uniform(-spread, spread) for value in centre)
    step = 2.25 * radius
    placed = []
    for index in range(group.count):
        offset = (index - (group.count - 1) / 2) * step
        placed.append(
            Placed(
                group.shape,
                group.colour,
                x + (0 if upright else offset),
                y + (offset if upright else 0),
                radius,
            )
        )
    return placed
