"""axis: the line along which the edge is sought - squares, pictures of one shape, or pictures per run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from doctor.errors import UsageError

SHAPES = ("1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16", "21:9")
"""The usual shapes of pictures: those of SDXL's training buckets that people ask for by name (arXiv:2307.01952,
appendix I), as width:height."""
_MOST_LOPSIDED = 8


@dataclass(frozen=True, slots=True)
class Extent:
    """What one run makes. Pixels."""

    width: int
    height: int
    batch: int

    @property
    def pixels(self) -> int:
        """Of all pictures together: what memory grows with."""
        return self.width * self.height * self.batch


class Axis(Protocol):
    """Positions on it are multiples of ``step`` up to ``top``; what they mean grows with them."""

    @property
    def name(self) -> str:
        """As the user calls it: "1:1", "16:9", "batch"."""

    @property
    def step(self) -> int:
        """Distance of two positions that are told apart."""

    @property
    def top(self) -> int:
        """The last position."""

    def at(self, position: int) -> Extent:
        """What is made at a position."""

    def position(self, extent: Extent) -> int | None:
        """The position at which just that is made; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeAxis:
    """Pictures of one shape. A position is the side of the square with about as many pixels."""

    step: int
    longest: int
    """Longest side that is tried, in pixels."""
    batch: int = 1
    across: int = 1
    down: int = 1

    @property
    def name(self) -> str:
        """The shape as width:height, as people call it: 21:9 and not 7:3."""
        return _CALLED.get((self.across, self.down), f"{self.across}:{self.down}")

    @property
    def top(self) -> int:
        """The last position whose longer side is within the bound."""
        position = self.longest // self.step * self.step
        while position > self.step and self._longer(position) > self.longest:
            position -= self.step
        return position

    def _longer(self, position: int) -> int:
        extent = self.at(position)
        return max(extent.width, extent.height)

    def at(self, position: int) -> Extent:
        """Both sides are multiples of the step, as near to the shape as that allows."""
        stretch = math.sqrt(self.across / self.down)
        width, height = (
            max(1, round(side / self.step)) * self.step for side in (position * stretch, position / stretch)
        )
        return Extent(width, height, self.batch)

    def position(self, extent: Extent) -> int | None:
        """Found from the area, since a position is the side of the square of about that area."""
        if extent.batch != self.batch:
            return None
        near = round(math.sqrt(extent.width * extent.height) / self.step)
        for count in range(max(1, near - 2), near + 3):
            if self.at(count * self.step) == extent:
                return count * self.step
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAxis:
    """Pictures per run at one size. A position is their number."""

    width: int
    height: int
    top: int
    step: int = 1
    name: str = "batch"

    def at(self, position: int) -> Extent:
        """That many pictures."""
        return Extent(self.width, self.height, position)

    def position(self, extent: Extent) -> int | None:
        """The number of pictures, at this size."""
        return extent.batch if (extent.width, extent.height) == (self.width, self.height) else None


def parse_shape(text: str) -> tuple[int, int]:
    """Read "16:9" (or "16x9", "16/9"). Raises UsageError with one sentence."""
    for separator in ("x", "/"):
        text = text.lower().replace(separator, ":")
    across, colon, down = text.strip().partition(":")
    if not colon or not across.isdecimal() or not down.isdecimal() or not int(across) or not int(down):
        raise UsageError(f"'{text}' is not a shape; write width:height, for example 16:9.")
    shape = (int(across), int(down))
    if max(shape) > _MOST_LOPSIDED * min(shape):
        raise UsageError(
            f"'{text}' is too lopsided; the longer side may be {_MOST_LOPSIDED} times the other."
        )
    divisor = math.gcd(*shape)
    return shape[0] // divisor, shape[1] // divisor


_CALLED = {parse_shape(text): text for text in SHAPES}


def shape_axis(shape: tuple[int, int], step: int, longest: int, batch: int) -> SizeAxis:
    """The axis of that shape."""
    return SizeAxis(step=step, longest=longest, batch=batch, across=shape[0], down=shape[1])
