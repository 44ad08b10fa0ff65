"""Workshop: turns orders into generations, one after another, with a worker that stays loaded between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from doctor.errors import SdoctorError
from doctor.trace import Outcome
from doctor.verdicts.verdict import Verdict
from tui.decision import Asked, Decision, decide
from tui.feed import GenerateJob
from tui.generating import Prepared as Made
from tui.generating import Result, prepare
from tui.lessons import Lesson, heeding, lesson_of
from tui.orders import Order
from tui.run_messages import News, Prepared
from tui.situation import Situation, survey
from tuner.events import Failed
from tuner.probe import TraceFold
from tuner.settings import Request
from tuner.stepping import LadderStep
from tuner.warm import Warm

PREVIEW_SECONDS = 0.5
"""Least time between two looks at the picture as it forms: the eye wants no more, a slow step gives fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What holds for every order: the device, its limit, where pictures go, what is insisted on."""

    device: str = "auto"
    memory: str | None = None
    allow_pickle: bool = False
    output: str | None = None
    low_memory: bool = False
    use_profile: bool = True
    force: bool = False
    preview: bool = True

    def asked(self, order: Order) -> Asked:
        """The options that bear on the settings of ``order``."""
        return Asked(
            precision=None,
            low_memory=self.low_memory,
            settings=order.settings or None,
            use_profile=self.use_profile,
            force=self.force,
        )


class Maker(Protocol):
    """Who makes pictures out of orders, as the screen knows it."""

    def job(self, order: Order, verdicts: Callable[[], tuple[Verdict, ...]]) -> GenerateJob:
        """What a feed runs for ``order``."""

    def look(self, order: Order) -> tuple[Situation, Decision]:
        """The machine and the settings as they are for ``order``. Raises SdoctorError."""

    def release(self) -> None:
        """Give back the memory of a model that is loaded and not in use."""

    def close(self) -> None:
        """No order will come any more."""


class Workshop:
    """Of one screen. One order is worked on at a time; ``look`` may be called meanwhile, in any thread."""

    def __init__(self, bench: Bench | None = None, surveyed: tuple[str, Situation] | None = None) -> None:
        """``surveyed``: a model as it was named, and the situation that was just looked at for it."""
        self.bench = bench or Bench()
        self.warm = Warm()
        self.results: list[Result | SdoctorError] = []
        """What came of each order that was begun, in their sequence."""
        self._lessons: tuple[Lesson, ...] = ()
        self._known = surveyed
        self._is_fresh = surveyed is not None

    def job(self, order: Order, verdicts: Callable[[], tuple[Verdict, ...]]) -> GenerateJob:
        """What a feed runs for ``order``. ``verdicts`` is asked at its end."""
        work = _Work(self, order, verdicts)
        wish = order.wish
        return GenerateJob(
            model=order.model,
            prompt=wish.prompt,
            settings_text="",
            width=wish.width,
            height=wish.height,
            steps=wish.steps,
            seed=wish.seed,
            batch=wish.batch,
            start=work.start,
            interrupt=work.interrupt,
            pid=work.pid,
        )

    def look(self, order: Order) -> tuple[Situation, Decision]:
        """The machine and the settings as they are for ``order``; takes part of a second. Raises SdoctorError."""
        known = self._known
        situation = known[1] if known is not None and known[0] == order.model else self._survey(order)
        return situation, self._decide(situation, order)

    def begin(self, order: Order) -> Made:
        """Look, decide, prepare. Raises SdoctorError."""
        situation = self._situation(order)
        return prepare(
            situation,
            self._decide(situation, order),
            order.wish,
            self._output(),
            allow_pickle=self.bench.allow_pickle,
            warm=self.warm,
            preview_seconds=PREVIEW_SECONDS if self.bench.preview else None,
        )

    def end(self, order: Order, made: Made, fold: TraceFold, verdicts: tuple[Verdict, ...]) -> None:
        """Keep what came of it, and what the next order can learn from it."""
        result = made.result(fold, verdicts)
        self.results.append(result)
        lesson = lesson_of(made, order.wish) if result.finished else None
        if lesson is not None:
            self._lessons = (*self._lessons, lesson)

    def release(self) -> None:
        """End the worker that waits, if one does; the next order loads the model again."""
        self.warm.release()

    def close(self) -> None:
        """End the worker that waits, and keep none from now on."""
        self.warm.close()

    def _decide(self, situation: Situation, order: Order) -> Decision:
        decision = decide(situation, self.bench.asked(order), order.wish)
        return heeding(decision, situation, order.wish, self._lessons)

    def _situation(self, order: Order) -> Situation:
        """What is known still holds while the worker that it was asked for is loaded; else the machine is asked."""
        known, fresh, self._is_fresh = self._known, self._is_fresh, False
        if known is not None and known[0] == order.model and (fresh or self.warm.holds == known[1].address):
            return known[1]
        # What waits is in the way, and what is free must be asked without it.
        self.warm.release()
        situation = self._survey(order)
        self._known = order.model, situation
        return situation

    def _survey(self, order: Order) -> Situation:
        return survey(order.model, self.bench.device, self.bench.memory, allow_pickle=self.bench.allow_pickle)

    def _output(self) -> str | None:
        """Where the pictures go: a file that was named is for the first order, its folder for the others."""
        output = self.bench.output
        if output is None or not self.results or not output.lower().endswith(".png"):
            return output
        return str(Path(output).parent)


class _Work:
    """One order, as a feed drives it: events in one thread, the wish to stop from another."""

    def __init__(self, workshop: Workshop, order: Order, verdicts: Callable[[], tuple[Verdict, ...]]) -> None:
        self._workshop = workshop
        self._order = order
        self._verdicts = verdicts
        self._made: Made | None = None
        self._stopped = False

    def start(self) -> Iterator[News]:
        """Everything that happens."""
        try:
            made = self._made = self._workshop.begin(self._order)
        except SdoctorError as error:
            self._workshop.results.append(error)
            yield Failed(outcome=Outcome.REFUSED, message=str(error))
            return
        if self._stopped:
            made.generation.interrupt()
        yield Prepared(
            settings_text=made.decision.settings.text(),
            note=" ".join(made.decision.notes),
            budget_bytes=made.situation.budget,
            device=made.situation.target.device,
        )
        yield from self._events(made)

    def _events(self, made: Made) -> Iterator[News]:
        attempts = [TraceFold()]
        request: Request | None = None
        try:
            for event in made.generation.events():
                if isinstance(event, LadderStep):
                    attempts.append(TraceFold())
                else:
                    attempts[-1].add(event)
                yield event
                if request is None and made.generation.request is not None:
                    request = made.generation.request
                    yield request
        finally:
            self._workshop.end(self._order, made, attempts[-1], self._verdicts())

    def interrupt(self) -> None:
        """Stop after the current step; before there is a worker, as soon as there would be one."""
        self._stopped = True
        if self._made is not None:
            self._made.generation.interrupt()

    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return None if self._made is None else self._made.generation.pid()
