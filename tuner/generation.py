"""Generation: one picture (or batch) made by a worker of its own, as a stream of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from doctor.trace import Outcome
from tuner.events import Event, Failed, Generate, Load, Loaded
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings

_PATIENT = Limits(stall=600.0)
"""A person is watching who can stop it; only a worker that does nothing at all is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for; what was left open (None) is decided by the loaded pipeline."""

    prompt: str
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    batch: int = 1

    def request(self, loaded: Loaded, most_steps: int) -> Request:
        """The complete request: native size, and the pipeline's own steps but at most ``most_steps``."""
        return Request(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            width=self.width or loaded.native_size,
            height=self.height or loaded.native_size,
            steps=self.steps or min(loaded.default_steps, most_steps),
            guidance=self.guidance,
            seed=self.seed,
            batch=self.batch,
        )


class Outputs(Protocol):
    """Names the files to write once the request is known."""

    def __call__(self, request: Request) -> tuple[str, ...]:
        """One path per picture."""


class Generation:
    """Starts a worker, loads the model, makes the picture, ends the worker."""

    def __init__(
        self,
        load: Load,
        wish: Wish,
        outputs: Outputs,
        *,
        most_steps: int,
        start_worker: Callable[[], Worker] = Worker,
    ) -> None:
        self._load = load
        self._wish = wish
        self._outputs = outputs
        self._most_steps = most_steps
        self._start_worker = start_worker
        self._worker: Worker | None = None
        self._interrupts = 0
        self.request: Request | None = None
        self.settings: Settings = load.settings

    def events(self) -> Iterator[Event]:
        """Everything that happens, up to and including Finished or Failed. The worker is gone afterwards."""
        self._worker = self._start_worker()
        try:
            for event in self._all():
                if self._interrupts and isinstance(event, Failed) and event.outcome is Outcome.CRASHED:
                    yield Failed(
                        outcome=Outcome.INTERRUPTED, message="Stopped on request.", phase=event.phase
                    )
                else:
                    yield event
        finally:
            self._worker.close()

    def _all(self) -> Iterator[Event]:
        assert self._worker is not None
        loaded: Event | None = None
        for loaded in self._worker.run(self._load, _PATIENT):
            yield loaded
        if isinstance(loaded, Loaded):
            self.request = self._wish.request(loaded, self._most_steps)
            command = Generate(request=self.request, outputs=self._outputs(self.request))
            yield from self._worker.run(command, _PATIENT)

    def interrupt(self) -> None:
        """Stop after the current step; at once while loading, or when asked again. Any thread may call it."""
        self._interrupts += 1
        if self._worker is None:
            return
        if self.request is None or self._interrupts > 1:
            self._worker.kill()
        else:
            self._worker.interrupt()

    @property
    def device(self) -> str:
        """What it computes on: "cpu" or "cuda:0"."""
        return self._load.device

    def pid(self) -> int | None:
        """Process id of the worker, None before it was started."""
        return None if self._worker is None else self._worker.pid
