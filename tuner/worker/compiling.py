"""compiling: the time that compilers take inside a picture, told apart from the time of drawing.

A module that is compiled is compiled when it first meets a shape, in the middle of a run. That time belongs to the size
and not to the picture: the next picture of that size does not pay it. One clock per process; whoever compiles says so
with ``compiling``, whoever measures drawing reads ``drawing_clock``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


def _deaf(_what: str, _from_disk: bool) -> None:
    return None


def _deaf_end(_what: str, _seconds: float, _from_disk: bool) -> None:
    return None


@dataclass(slots=True)
class _Clock:
    ended: float = 0.0
    """Seconds of the compilations that ended."""
    running: list[tuple[str, float, bool]] = field(default_factory=list)
    """(what, since, from disk) of those that run, the outermost first: only that one counts."""
    on_begin: Callable[[str, bool], None] = _deaf
    on_end: Callable[[str, float, bool], None] = _deaf_end
    follows_dynamo: bool = False

    def begin(self, what: str, *, from_disk: bool) -> None:
        self.running.append((what, time.perf_counter(), from_disk))
        if len(self.running) == 1:
            self.on_begin(what, from_disk)

    def end(self) -> None:
        if not self.running:
            return
        what, since, from_disk = self.running.pop()
        if not self.running:
            seconds = time.perf_counter() - since
            self.ended += seconds
            self.on_end(what, seconds, from_disk)


_clock = _Clock()


def listen(on_begin: Callable[[str, bool], None], on_end: Callable[[str, float, bool], None]) -> None:
    """Who is told of each compilation: ``(what, from disk)`` and ``(what, seconds, from disk)``."""
    _clock.on_begin, _clock.on_end = on_begin, on_end


@contextmanager
def compiling(what: str, *, from_disk: bool = False) -> Iterator[None]:
    """While this runs, ``what`` ("the denoiser") is compiled, or its program is read from disk."""
    _clock.begin(what, from_disk=from_disk)
    try:
        yield
    finally:
        _clock.end()


def compiled_seconds() -> float:
    """Seconds that this process has spent compiling so far."""
    running = time.perf_counter() - _clock.running[0][1] if _clock.running else 0.0
    return _clock.ended + running


def drawing_clock() -> float:
    """As ``time.perf_counter``, but it stands still while something is compiled."""
    return time.perf_counter() - compiled_seconds()


def follow_dynamo() -> None:
    """Hear of what torch.compile does (torch._dynamo.callback, torch 2.3 and later). Once per process."""
    if _clock.follows_dynamo:
        return
    from torch._dynamo.callback import callback_handler

    def begin(*_args: Any) -> None:
        _clock.begin("the denoiser", from_disk=False)

    def end(*_args: Any) -> None:
        _clock.end()

    callback_handler.register_start_callback(begin)
    callback_handler.register_end_callback(end)
    _clock.follows_dynamo = True
