"""A generation as lines on standard error, for pipes, logs and terminals that cannot redraw."""

from __future__ import annotations

import sys
import threading

from doctor.sizes import gib
from doctor.verdicts.verdict import Verdict
from tui.render_monitor import verdict_lines
from tui.watching import Watch
from tuner.events import Event, Loaded, PhaseEnded, Stepped
from tuner.generation import Generation
from tuner.probe import TraceFold
from tuner.stepping import LadderStep


def run_plain(
    generation: Generation, notes: tuple[str, ...], *, quiet: bool
) -> tuple[TraceFold, tuple[Verdict, ...]]:
    """Run to the end; gives back the last attempt, and what the work waited for.

    Ctrl-C stops after the current step, a second one at once.
    """
    say = _Say(quiet)
    for note in notes:
        say.line(note)
    attempts = [TraceFold()]

    watch = Watch(generation.pid, generation.device)

    def follow() -> None:
        for event in generation.events():
            if isinstance(event, LadderStep):
                attempts.append(TraceFold())
                say.line(f"{event.reason.capitalize()}; trying again with {event.settings_text}.")
                continue
            attempts[-1].add(event)
            watch.event(event)
            say.event(event)

    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            follow()
        except BaseException as error:  # noqa: BLE001  (carried over to the main thread and raised there)
            failure.append(error)

    # In a thread of its own, so that Ctrl-C reaches this one at any time and the stream is read to its end.
    thread = threading.Thread(target=guarded, name="generation")
    with watch:
        thread.start()
        while thread.is_alive():
            try:
                thread.join(0.2)
            except KeyboardInterrupt:
                say.line("Stopping after this step ...")
                generation.interrupt()
    if failure:
        raise failure[0]
    verdicts = watch.verdicts()
    for line in verdict_lines(verdicts[:1]) if verdicts else ():
        say.line(line)
    return attempts[-1], verdicts


class _Say:
    """Turns events into lines."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def line(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)  # noqa: T201  (standard error is the talk)

    def event(self, event: Event) -> None:
        if isinstance(event, Loaded):
            self.line(f"{event.pipeline} loaded in {event.seconds:.1f} s, weights {gib(event.weights_bytes)}")
            for remark in event.remarks:
                self.line(f"Note: {remark}.")
        elif isinstance(event, Stepped):
            self.line(f"step {event.index}/{event.total}  {event.seconds:.3f} s")
        elif isinstance(event, PhaseEnded):
            peak = f", peak {gib(event.peak_allocated)}" if event.peak_allocated is not None else ""
            self.line(f"{event.phase.value}: {event.seconds:.2f} s{peak}")
