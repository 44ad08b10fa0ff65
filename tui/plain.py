"""A generation as lines on standard error, for pipes, logs and terminals that cannot redraw."""

from __future__ import annotations

import io
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from doctor.sizes import gib
from doctor.verdicts import judge, recent
from doctor.verdicts.verdict import Verdict
from tui.feed import JUDGE_SECONDS
from tui.render_monitor import verdict_lines
from tui.watching import Watch
from tuner.events import (
    CompileEnded,
    CompileStarted,
    Event,
    Failed,
    Finished,
    Loaded,
    PhaseEnded,
    Preview,
    Ready,
    Stepped,
)
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
            if isinstance(event, Preview) and generation.outputs:
                previews.write(event, Path(generation.outputs[0]))

    failure: list[BaseException] = []
    previews = _Previews()

    def guarded() -> None:
        try:
            follow()
        except BaseException as error:  # noqa: BLE001  (carried over to the main thread and raised there)
            failure.append(error)

    # In a thread of its own, so that Ctrl-C reaches this one at any time and the stream is read to its end.
    thread = threading.Thread(target=guarded, name="generation")
    with watch, previews:
        thread.start()
        while thread.is_alive():
            try:
                thread.join(0.2)
                say.verdicts(watch)
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
        self._judged_at = time.monotonic()
        self._verdict = ""

    def line(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)  # noqa: T201  (standard error is the talk)

    def event(self, event: Event) -> None:
        if isinstance(event, Ready):
            versions = ", ".join(f"{name} {version}" for name, version in event.versions.items())
            self.line(f"worker ready: {versions}")
        elif isinstance(event, Loaded):
            self.line(f"{event.pipeline} loaded in {event.seconds:.1f} s, weights {gib(event.weights_bytes)}")
            for remark in event.remarks:
                self.line(f"Note: {remark}.")
        elif isinstance(event, Finished):
            for remark in event.remarks:
                self.line(f"Note: {remark}.")
        elif isinstance(event, CompileStarted) and not event.from_disk:
            self.line(
                f"compiling {event.what} for this size, which the next pictures of this size need not wait for"
            )
        elif isinstance(event, CompileEnded):
            from_disk = "read the program of" if event.from_disk else "compiled"
            self.line(f"{from_disk} {event.what} in {event.seconds:.1f} s")
        elif isinstance(event, Stepped):
            self.line(f"step {event.index}/{event.total}  {event.seconds:.3f} s")
        elif isinstance(event, PhaseEnded):
            peak = f", peak {gib(event.peak_allocated)}" if event.peak_allocated is not None else ""
            self.line(f"{event.phase.value}: {event.seconds:.2f} s{peak}")
        elif isinstance(event, Failed):
            where = f" in {event.phase.value}" if event.phase else ""
            self.line(f"{event.outcome.value.replace('_', ' ')}{where}: {event.message}")

    def verdicts(self, watch: Watch) -> None:
        """What the work waits for just now, when that changes."""
        if self._quiet or time.monotonic() - self._judged_at < JUDGE_SECONDS:
            return
        self._judged_at = time.monotonic()
        found = judge(recent(watch.samples))
        title = found[0].title if found else ""
        if title and title != self._verdict:
            self.line(f"now: {title}")
        self._verdict = title


class _Previews:
    """The picture as it forms, as a file beside the one to come; gone again when that is there."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def __enter__(self) -> _Previews:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def write(self, preview: Preview, picture: Path) -> None:
        """Replace the file by the newest preview. Raises OSError."""
        from PIL import Image

        from doctor.paths import write_atomically

        buffer = io.BytesIO()
        Image.frombytes("RGB", (preview.width, preview.height), preview.rgb).save(buffer, format="PNG")
        self._path = picture.with_suffix(".preview.png")
        write_atomically(self._path, buffer.getvalue())
