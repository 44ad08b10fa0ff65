"""Generation: one picture (or batch) made by a worker of its own, as a stream of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from doctor.trace import Outcome
from tuner.architecture import architecture_differences
from tuner.events import Apply, Event, Failed, Finished, Generate, Load, Loaded
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings
from tuner.stepping import LadderStep, Step
from tuner.warm import Kept, Warm

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


@dataclass(frozen=True, slots=True)
class Setback:
    """An attempt that ran out of memory, and what was tried next."""

    settings: Settings
    failed: Failed
    step: Step | None
    """None if there was nothing left to try."""
    request: Request | None = None
    """None if the model did not even load."""


class Outputs(Protocol):
    """Names the files to write once the request is known."""

    def __call__(self, request: Request) -> tuple[str, ...]:
        """One path per picture."""


class Generation:
    """Starts a worker, loads the model, makes the picture, ends the worker; one rung lower if memory runs out."""

    def __init__(
        self,
        load: Load,
        wish: Wish,
        outputs: Outputs,
        *,
        most_steps: int,
        ladder: Sequence[Step] = (),
        architecture: Mapping[str, str] | None = None,
        on_setback: Callable[[Setback], None] = lambda _setback: None,
        start_worker: Callable[[], Worker] = Worker,
        warm: Warm | None = None,
        preview_seconds: float | None = None,
    ) -> None:
        """``ladder``: what to try after running out of memory, in this order. ``architecture``: the profile's.

        ``warm``: where the worker comes from and goes to, if it shall outlive this generation. ``preview_seconds``:
        least time between two looks at the picture as it forms; None for none.
        """
        self._load = load
        self._wish = wish
        self._outputs = outputs
        self._most_steps = most_steps
        self._ladder = list(ladder)
        self._architecture = architecture
        self._on_setback = on_setback
        self._start_worker = start_worker
        self._warm = warm
        self._preview_seconds = preview_seconds
        self._worker: Worker | None = None
        self._interrupts = 0
        self._generating = False
        self.request: Request | None = None
        self.outputs: tuple[str, ...] = ()
        """Where the pictures will be; known with the request."""
        self.settings: Settings = load.settings
        """What the picture is made with; changes with each step down."""
        self.setbacks: list[Setback] = []
        """The attempts that ran out of memory."""

    def events(self) -> Iterator[Event | LadderStep]:
        """Everything that happens, up to and including Finished or Failed. The worker is gone or kept afterwards.

        An attempt that ran out of memory ends with Failed too; a LadderStep follows, and the next attempt.
        """
        if self._interrupts:
            yield Failed(outcome=Outcome.INTERRUPTED, message="Stopped on request.")
            return
        while True:
            failed: Failed | None = None
            for event in self._attempt():
                failed = event if isinstance(event, Failed) else None
                yield event
            if failed is None or failed.outcome is not Outcome.OUT_OF_MEMORY or self._interrupts:
                return
            step = self._ladder.pop(0) if self._ladder else None
            setback = Setback(self.settings, failed, step, self.request)
            self.setbacks.append(setback)
            self._on_setback(setback)
            if step is None:
                return
            self.settings = step.settings
            yield LadderStep(settings_text=step.text(), reason=_reason(failed))
            if self._interrupts:
                yield Failed(outcome=Outcome.INTERRUPTED, message="Stopped on request.")
                return

    def _attempt(self) -> Iterator[Event]:
        self._generating = False
        load = msgspec.structs.replace(self._load, settings=self.settings)
        kept = self._warm.take(load) if self._warm is not None else None
        self._worker = worker = kept.worker if kept is not None else self._start_worker()
        loaded: Loaded | None = None
        ended = False
        try:
            for event in self._all(worker, load, kept):
                loaded = event if isinstance(event, Loaded) else loaded
                ended = isinstance(event, Finished | Failed)
                if self._interrupts and isinstance(event, Failed) and event.outcome is Outcome.CRASHED:
                    yield Failed(
                        outcome=Outcome.INTERRUPTED, message="Stopped on request.", phase=event.phase
                    )
                else:
                    yield event
        finally:
            # Nobody may have heard the stream to its end; such a worker still generates.
            if self._warm is not None and loaded is not None and ended:
                self._warm.keep(worker, load, loaded)
            else:
                worker.close()

    def _all(self, worker: Worker, load: Load, kept: Kept | None) -> Iterator[Event]:
        loaded: Event | None = None
        for loaded in worker.run(load, _PATIENT) if kept is None else _again(kept, load):
            yield self._with_doubt(loaded) if isinstance(loaded, Loaded) else loaded
        if isinstance(loaded, Loaded):
            self.request = self._wish.request(loaded, self._most_steps)
            self.outputs = self._outputs(self.request)
            command = Generate(
                request=self.request,
                outputs=self.outputs,
                preview_seconds=self._preview_seconds,
            )
            self._generating = True
            yield from worker.run(command, _PATIENT)

    def _with_doubt(self, loaded: Loaded) -> Loaded:
        """Says so if the profile was made for a model of another architecture, which stood here before."""
        if not self._architecture or not loaded.architecture:
            return loaded
        unlike = architecture_differences(loaded.architecture, self._architecture)
        if not unlike:
            return loaded
        doubt = f"The profile was made for another architecture ({'; '.join(unlike)}), so tune again"
        return msgspec.structs.replace(loaded, remarks=(*loaded.remarks, doubt))

    def interrupt(self) -> None:
        """Stop after the current step; at once while loading, or when asked again. Any thread may call it."""
        self._interrupts += 1
        if self._worker is None:
            return
        if not self._generating or self._interrupts > 1:
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


def _again(kept: Kept, load: Load) -> Iterator[Event]:
    """What a worker that stands loaded has to say before it generates: nothing was loaded, so no seconds went by."""
    if kept.worker.ready is not None:
        yield kept.worker.ready
    if kept.load.settings == load.settings:
        yield msgspec.structs.replace(kept.loaded, seconds=0.0)
        return
    for event in kept.worker.run(Apply(settings=load.settings), _PATIENT):
        yield msgspec.structs.replace(event, seconds=0.0) if isinstance(event, Loaded) else event


def _reason(failed: Failed) -> str:
    return f"out of memory in {failed.phase.value}" if failed.phase else "out of memory"
