"""Orders: what the user wants drawn, one after another. Pure: every change gives a new value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from tuner.generation import Wish

KEPT = 100
"""Orders that are over and still listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing to draw: the model, the wish, and the settings that were changed by hand."""

    model: str
    wish: Wish
    settings: str = ""
    """``name=value,...``; these beat the profile."""


class State(StrEnum):
    """How an order stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order in the list."""

    number: int
    order: Order
    state: State = State.WAITING
    images: tuple[str, ...] = ()
    seconds: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Orders:
    """All orders, in the order in which they are or were run: over, running, waiting."""

    placed: tuple[Placed, ...] = ()
    count: int = 0
    """How many there ever were."""

    @property
    def waiting(self) -> tuple[Placed, ...]:
        """Those to come, the next first."""
        return tuple(one for one in self.placed if one.state is State.WAITING)

    @property
    def running(self) -> Placed | None:
        """The one that is being drawn."""
        return next((one for one in self.placed if one.state is State.RUNNING), None)

    def get(self, number: int) -> Placed | None:
        """The order of that number."""
        return next((one for one in self.placed if one.number == number), None)

    def add(self, order: Order) -> Orders:
        """One more at the end."""
        number = self.count + 1
        return Orders((*self.placed, Placed(number=number, order=order)), number)

    def begin(self) -> Orders:
        """The next one runs. Without one nothing changes."""
        waiting = self.waiting
        if not waiting or self.running is not None:
            return self
        return self._with(replace(waiting[0], state=State.RUNNING))

    def end(
        self, state: State, images: tuple[str, ...] = (), seconds: float | None = None, message: str = ""
    ) -> Orders:
        """The running one is over."""
        running = self.running
        if running is None:
            return self
        over = replace(running, state=state, images=images, seconds=seconds, message=message)
        ended = self._with(over)
        done = [one for one in ended.placed if one.state not in (State.WAITING, State.RUNNING)]
        gone = {one.number for one in done[:-KEPT]}
        return replace(ended, placed=tuple(one for one in ended.placed if one.number not in gone))

    def remove(self, number: int) -> Orders:
        """Without that one; the running one stays."""
        return replace(
            self,
            placed=tuple(one for one in self.placed if one.number != number or one.state is State.RUNNING),
        )

    def move(self, number: int, by: int) -> Orders:
        """That one ``by`` places later (or earlier, if negative) among those that wait."""
        waiting = list(self.waiting)
        at = next((place for place, one in enumerate(waiting) if one.number == number), None)
        if at is None or not 0 <= at + by < len(waiting):
            return self
        waiting.insert(at + by, waiting.pop(at))
        return replace(
            self, placed=(*(one for one in self.placed if one.state is not State.WAITING), *waiting)
        )

    def _with(self, changed: Placed) -> Orders:
        return replace(
            self, placed=tuple(changed if one.number == changed.number else one for one in self.placed)
        )
