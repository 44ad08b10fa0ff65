"""The data set: pictures and prompts in any number, the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from tiny_model.phrasing import HELD_OUT_PATTERNS, PATTERNS, phrase
from tiny_model.render import render
from tiny_model.scene import (
    Scene,
    held_out,
    is_held_out,
    lay_out,
    one_shape_scene,
    random_scene,
    training_scene,
)

TRAINING_SEED = 20_000
EVALUATION_SEED = 77


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt of the evaluation and what its picture must show."""

    prompt: str
    scene: Scene
    seed: int


def training_scenes(count: int, seed: int = TRAINING_SEED) -> list[Scene]:
    """Random scenes without any combination that is kept back."""
    rng = random.Random(seed)
    return [training_scene(rng) for _ in range(count)]


def picture(scene: Scene, seed: int, side: int = 128) -> np.ndarray:
    """The scene laid out by ``seed`` and rendered: bytes, side x side x 3."""
    return render(lay_out(scene, random.Random(seed)), scene.background, side)


def questions(count: int = 200, seed: int = EVALUATION_SEED) -> list[Question]:
    """Prompts never trained on: 70 % one shape, the rest several.

    Every scene holds a combination that is kept back; half of the prompts, taken in turn, are also said with a
    sentence pattern that is kept back.
    """
    rng = random.Random(seed)
    asked: list[Question] = []
    while len(asked) < count:
        wanted_single = len(asked) % 10 < 7
        scene = one_shape_scene(rng) if wanted_single else random_scene(rng)
        if scene.one_shape is not wanted_single or not is_held_out(scene):
            continue
        patterns = HELD_OUT_PATTERNS if len(asked) % 2 == 0 else PATTERNS
        asked.append(Question(phrase(scene, rng, patterns), scene, seed=1000 + len(asked)))
    return asked


__all__ = ["Question", "held_out", "picture", "questions", "training_scenes"]
