"""What ``sdoctor monitor`` does: samples from this machine or from a recording, with the verdicts on them.

What only some calls need is imported by these: the program may run for days beside a generation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from doctor.errors import NotInOrder, UsageError
from doctor.telemetry.sample import Sample
from doctor.verdicts import judge, recent
from doctor.verdicts.verdict import Verdict
from tui.pacing import FIRST_SECONDS
from tui.render_monitor import line_of, table_of

if TYPE_CHECKING:
    from doctor.telemetry.processes import ProcessRow
    from doctor.telemetry.recording import Recorder, Recording

_ONCE_SAMPLES = 4
"""Readings of ``--once``: the first gives no rates, and a judgement needs three that do."""

Shown = Callable[[Sample, tuple[Verdict, ...]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command."""

    pid: int | None = None
    interval: float = 1.0
    once: bool = False
    as_json: bool = False
    processes: bool = False
    """Every process of the machine too, as the screen lists them."""
    record: Path | None = None
    replay: Path | None = None
    speed: float = 1.0
    """How much faster a recording is played; 0 for without any pause."""
    on_screen: bool = False
    """The screen instead of lines."""


def monitor(asked: Asked) -> None:
    """Show samples until Ctrl-C, the end of the watched process, or the end of the recording."""
    if asked.on_screen:
        _on_screen(asked)
        return
    shown = _shown(asked)
    if asked.replay is not None:
        _replay(asked, asked.replay, shown)
        return
    if asked.pid is not None:
        _must_exist(asked.pid)
    if asked.once:
        samples = tuple(live(asked.pid, lambda _taken: FIRST_SECONDS / (_ONCE_SAMPLES - 1), _ONCE_SAMPLES))
        _print(shown(samples[-1], judge(samples)))
        return
    pause = _pauses(asked.interval)
    samples_now = live(asked.pid, pause)
    if asked.record is None:
        _follow(samples_now, shown, None)
        return
    from doctor.telemetry.recording import Recorder

    with _opened(asked.record) as file:
        recorder = Recorder(file, asked.interval, asked.pid)
        try:
            _follow(samples_now, shown, recorder)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise NotInOrder(f"The recording {asked.record} broke off: {error.strerror}.") from None


def _shown(asked: Asked) -> Shown:
    """How a sample is written."""
    if not asked.processes:
        return as_json if asked.as_json else table_of if asked.once else line_of
    from doctor.telemetry.processes import ProcessTable
    from tui.process_rows import table_lines

    table = ProcessTable(every=0.0)
    table.read()  # the first list has no rates

    def with_processes(sample: Sample, verdicts: tuple[Verdict, ...]) -> str:
        rows = table.read()
        if asked.as_json:
            return as_json(sample, verdicts, processes=rows)
        return "\n".join([table_of(sample, verdicts), "", *table_lines(rows, sample)])

    return with_processes


def _on_screen(asked: Asked) -> None:
    from doctor.telemetry.recording import Recorder
    from tui.monitor_app import run_screen
    from tui.monitor_feed import LiveFeed
    from tui.screens.monitor import MonitorScreen

    if asked.replay is not None:
        run_screen(MonitorScreen(recording=_read(asked.replay), speed=asked.speed))
        return
    if asked.pid is not None:
        _must_exist(asked.pid)
    with ExitStack() as stack:
        recorder = None
        if asked.record is not None:
            recorder = Recorder(stack.enter_context(_opened(asked.record)), asked.interval, asked.pid)
        run_screen(MonitorScreen(LiveFeed(asked.pid, asked.interval, recorder)))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise UsageError(f"The recording {path} cannot be written: {error.strerror}.") from None


def live(pid: int | None, pause: Callable[[int], float], count: int | None = None) -> Iterator[Sample]:
    """Readings of this machine, the first one without rates; ``count`` of them, or until the process ends."""
    from doctor.telemetry.gpu_child import GpuChild
    from doctor.telemetry.sampler import Sampler

    sampler = Sampler(GpuChild())
    try:
        due, taken = time.monotonic(), 0
        while count is None or taken < count:
            sample = sampler.read(pid)
            yield sample
            taken += 1
            if pid is not None and sample.process is None and taken > 1:
                return
            if taken != count:
                due = max(due + pause(taken), time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
    finally:
        sampler.close()


def as_json(
    sample: Sample, verdicts: tuple[Verdict, ...], processes: tuple[ProcessRow, ...] | None = None
) -> str:
    """One line of ``sdoctor.sample/1``, with the verdicts, and the processes if there are any to be told."""
    import msgspec

    from doctor.telemetry.recording import encode_sample, without_none

    more = {} if processes is None else {"processes": without_none(msgspec.to_builtins(processes))}
    return encode_sample(sample, verdicts=msgspec.to_builtins(verdicts), **more).decode()


def _pauses(interval: float) -> Callable[[int], float]:
    """The first sample with rates comes soon, the others at the interval."""
    return lambda taken: min(interval, FIRST_SECONDS) if taken == 1 else interval


def _follow(samples: Iterator[Sample], shown: Shown, recorder: Recorder | None) -> None:
    kept: tuple[Sample, ...] = ()
    try:
        for sample in samples:
            if recorder is not None:
                recorder.add(sample)
            kept = recent((*kept, sample))
            if sample.interval is not None:
                _print(shown(sample, judge(kept)))
    except KeyboardInterrupt:
        # The usual way to end it.
        return
    finally:
        close = getattr(samples, "close", None)
        if close is not None:
            close()


def _replay(asked: Asked, path: Path, shown: Shown) -> None:
    from doctor.telemetry.recording import intervals

    recording = _read(path)

    def paced() -> Iterator[Sample]:
        for wait, sample in zip(intervals(recording.samples), recording.samples, strict=True):
            if asked.speed > 0:
                time.sleep(wait / asked.speed)
            yield sample

    if asked.once:
        _print(shown(recording.samples[-1], judge(recording.samples)))
        return
    _follow(paced(), shown, None)


def _read(path: Path) -> Recording:
    from doctor.telemetry.recording import read_recording

    recording = read_recording(path)
    if recording.torn:
        print("sdoctor: The last line of the recording is cut off and was left out.", file=sys.stderr)  # noqa: T201
    return recording


def _must_exist(pid: int) -> None:
    import psutil

    if not psutil.pid_exists(pid):
        raise UsageError(f"There is no process with the id {pid}.")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201  (the command's output)
