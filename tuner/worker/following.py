"""Turns a pipeline's own callbacks and entry points into phases and steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from doctor.trace import Phase
from tuner.replacing import replace_attribute
from tuner.worker.compiling import drawing_clock


class Report(Protocol):
    """Whom to tell."""

    phase: Phase | None

    def begin(self, phase: Phase) -> None:
        """A phase begins."""

    def end(self) -> None:
        """The running phase ends."""

    def stepped(self, index: int, total: int, seconds: float) -> None:
        """A step is done; raises to stop here."""

    def synchronise(self) -> None:
        """Wait until the device has done what it was told."""


class Following:
    """Follows one call of a pipeline."""

    def __init__(self, report: Report, *, look_for_nan: bool = False) -> None:
        self._report = report
        self._look_for_nan = look_for_nan
        self.not_finite: Phase | None = None
        """The first phase whose result held values that are no numbers."""
        self.afterwards: Callable[[int], None] | None = None
        """Called with its number after each step that was reported."""
        self._done = 0
        self._last = 0.0

    @contextmanager
    def call_of(self, pipe: Any) -> Iterator[None]:
        """Wrap ``encode_prompt`` and ``vae.decode`` while the pipeline runs; phases follow their calls."""
        vae = getattr(pipe, "vae", None)
        undo = [
            _wrap(pipe, "encode_prompt", after=lambda _result: self._encoded()),
            _wrap(vae, "decode", before=self._decoding, after=self._decoded),
        ]
        self._report.begin(Phase.ENCODE)
        if undo[0] is None:
            self._encoded()
        try:
            yield
            self._report.end()
        finally:
            for restore in undo:
                if restore is not None:
                    restore()

    def _encoded(self) -> None:
        if self._report.phase is Phase.ENCODE:
            self._report.end()
            self._report.begin(Phase.DENOISE)
            self._last = drawing_clock()

    def _decoding(self) -> None:
        if self._report.phase is Phase.DENOISE:
            self._report.end()
            self._report.begin(Phase.DECODE)

    def _decoded(self, result: Any) -> None:
        self._look(Phase.DECODE, getattr(result, "sample", None) if hasattr(result, "sample") else result[0])

    def _look(self, phase: Phase, tensor: Any) -> None:
        if self._look_for_nan and self.not_finite is None and hasattr(tensor, "isfinite"):
            self.not_finite = None if bool(tensor.isfinite().all()) else phase

    def step_ended(self, pipe: Any, _index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        """diffusers' ``callback_on_step_end``."""
        self._report.synchronise()
        now = drawing_clock()
        self._done += 1
        # Some schedulers take a step more than they were asked for (PNDM); theirs is the true count.
        self._report.stepped(self._done, len(pipe.scheduler.timesteps), now - self._last)
        if self._done == len(pipe.scheduler.timesteps):
            self._look(Phase.DENOISE, values.get("latents"))
        self._last = now
        if self.afterwards is not None:
            self.afterwards(self._done)
        return values


def _wrap(
    owner: Any,
    name: str,
    before: Callable[[], None] | None = None,
    after: Callable[[Any], None] | None = None,
) -> Callable[[], None] | None:
    """Let ``before`` and ``after`` be called around ``owner.name``; returns what undoes it, None if it is not there."""
    original = getattr(owner, name, None)
    if original is None:
        return None

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if before:
            before()
        result = original(*args, **kwargs)
        if after:
            after(result)
        return result

    return replace_attribute(owner, name, wrapper)
