"""Goal: what a study is asked to find, and within which bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tuner.settings import Settings
from tuner.strategy.axis import Axis, BatchAxis, SizeAxis, shape_axis
from tuner.target import Target

Forecast = Callable[[Settings, int, int, int], int | None]
"""Predicted peak in bytes of a run with (settings, width, height, batch); None where nothing can be said.

Only differences and ratios of its answers are trusted: the level is set by what was measured."""


def no_forecast(_settings: Settings, _width: int, _height: int, _batch: int) -> int | None:
    """Nothing can be said."""
    return None


class Objective(StrEnum):
    """What the best settings are best at."""

    SPEED = "speed"
    """The least time per picture; then the largest picture of each rung."""
    SIZE = "size"
    """The largest picture; settings are compared no further than diffusers' default and the usual advice."""
    MEMORY = "memory"
    """The lowest peak at the goal's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Bounds of one study. Pixels, bytes, seconds."""

    target: Target
    budget: int | None
    width: int
    height: int
    steps: int
    batch: int
    baseline: Settings
    """What diffusers does by default on this device."""
    first_guess: Settings
    """Where the search for speed begins."""
    objective: Objective = Objective.SPEED
    lossy: bool = False
    """Whether settings may win that change the picture beyond rounding."""
    low_memory: bool = False
    """Whether only the settings of little memory are compared: parts of the model off the GPU, the picture in tiles."""
    slow: bool = False
    """Whether settings are tried whose trial takes minutes."""
    step: int = 64
    """Largest resolutions are told apart down to this many pixels."""
    max_size: int = 4096
    shapes: tuple[tuple[int, int], ...] = ((1, 1),)
    """Width to height of the pictures whose largest resolution is sought."""
    most_pictures: int | None = None
    """Also find the largest batch at the goal's size, up to this many; None: not asked."""
    edge_steps: int = 2
    """Denoising steps of a run that proves a resolution: the second one meets what the first left behind."""
    run_limit: float = 120.0
    """Longest time that one run may take."""

    def admits(self, settings: Settings) -> bool:
        """Whether these settings may win: all may, unless little memory was asked for."""
        if not self.low_memory:
            return True
        in_tiles = settings.vae_tiling == "on" and settings.vae_slicing == "on"
        return in_tiles and (self.target.is_cpu or settings.offload != "none")

    def square(self) -> SizeAxis:
        """The axis of square pictures."""
        return SizeAxis(step=self.step, longest=self.max_size, batch=self.batch)

    def axes(self) -> tuple[Axis, ...]:
        """Every line along which an edge is asked for."""
        found: list[Axis] = [shape_axis(shape, self.step, self.max_size, self.batch) for shape in self.shapes]
        if self.most_pictures is not None:
            found.append(BatchAxis(width=self.width, height=self.height, top=self.most_pictures))
        return tuple(found)
