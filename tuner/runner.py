"""Runner: the one owner of the worker process.

It starts the worker, passes commands, hands out its events, and turns every way in which the process can
end into an event. A process that failed is never used again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from doctor.sizes import gib
from doctor.trace import Outcome, Phase
from tuner.cpu_queue import CpuQueue
from tuner.events import (
    Command,
    CompileEnded,
    CompileStarted,
    Event,
    Failed,
    Finished,
    Interrupt,
    Loaded,
    PhaseStarted,
    Pulse,
    Quit,
    Ready,
    decode_event,
    encode,
)
from tuner.failures import is_out_of_memory_text
from tuner.host_memory import FloorGuard
from tuner.lifeline import owned

_START_SECONDS = 180.0
"""Importing torch and diffusers takes 6 s here; a cold disk or a loaded machine may need far longer."""
_QUIT_SECONDS = 5.0
_LAST_SECONDS = 2.0
"""A process that closed its pipe by ending is gone in milliseconds; writing a core file takes longer."""
_TICK_SECONDS = 0.5

_SPINS = "1000"
"""How often an idle thread of libgomp looks before it sleeps (GOMP_SPINCOUNT; GCC's libgomp manual). Its default of
300,000 and more lets threads that wait burn the cores that the others wait for as soon as any other program runs: pictures
that take 0.7 s alone took 3 to 16 s beside one (docs/performance.md). libgomp reads it when torch is loaded."""

_HUGE_PAGES = "glibc.malloc.hugetlb"
"""1: memory of the heap and of large blocks is asked for in huge pages (glibc 2.35, manual, "Memory Allocation Tunables").
Steps of SD 1.5 take a tenth less time (docs/performance.md). Elsewhere, and where the kernel has them off, it changes
nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop waiting for a command, in seconds."""

    total: float | None = None
    """Longest time that it may take, compiling not counted; beyond it the outcome is TOO_SLOW."""
    compiling: float = 900.0
    """Longest time that one compilation may take; beyond it the outcome is TOO_SLOW. Compilers that never end are known
    (one core, many gibibytes); the U-Net of SD 1.5 takes OpenVINO a minute on two cores."""
    message: str = ""
    """What to say then, if not the usual sentence."""
    stall: float = 120.0
    """Longest time without any CPU use of the worker and without a step; beyond it the outcome is HUNG."""


class Worker:
    """One worker process, from start to end."""

    def __init__(
        self,
        program: tuple[str, ...] = ("tuner.worker",),
        guard: Callable[[Callable[[], None]], FloorGuard] = FloorGuard,
    ) -> None:
        """Start ``python -P -m PROGRAM``; tests pass another program that speaks the same events.

        ``guard`` gets what ends the worker, and watches the host's memory until ``stop``.
        """
        # Without a name: it goes with the last process that holds it, however that ends.
        self._log = tempfile.TemporaryFile(prefix="sdoctor-worker-")  # noqa: SIM115  (close ends it)
        environment = owned()
        # The worker loads what it is told to; progress bars and notices of the libraries would only fill its log.
        environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
        if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment.keys():
            environment["GOMP_SPINCOUNT"] = _SPINS
        environment["GLIBC_TUNABLES"] = _with_huge_pages(environment.get("GLIBC_TUNABLES", ""))
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._lock = threading.Lock()
        started: Future[subprocess.Popen[bytes]] = Future()
        # Linux ends the worker when the thread that started it ends (tuner.lifeline), so that thread is the
        # one that reads the worker's events for as long as there are any.
        self._reader = threading.Thread(
            target=self._live, args=(program, environment, started), name="worker-events", daemon=True
        )
        self._reader.start()
        self._process = started.result()
        self._guard = guard(self.abandon)
        self._queue = CpuQueue(self._process.pid)
        self.ready: Ready | None = None
        self.usable = True
        self.cpu_wait: float | None = None
        """Of the command that ended last: see ``Trial.cpu_wait``."""

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is still there. One that is may end at any moment, which a run then reports."""
        return self._process.poll() is None

    def _live(
        self,
        program: tuple[str, ...],
        environment: dict[str, str],
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        """Start the process and read its events to the end."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", *program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment,
                # A neutral folder: no stranger's "tuner" package can be met there.
                cwd=Path(tempfile.gettempdir()),
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        assert process.stdout is not None
        for line in process.stdout:
            # A line cut off by the worker's death is no event; its end is reported all the same.
            if not line.endswith(b"\n"):
                break
            try:
                self._events.put(decode_event(line))
            except msgspec.DecodeError:
                # Something else wrote on the pipe: nothing that comes after it can be trusted.
                break
        self._events.put(None)
        process.wait()

    def send(self, command: Command) -> None:
        """Pass a command; a worker that is gone is noticed by the next wait for an event."""
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(encode(command))
            self._process.stdin.flush()

    def interrupt(self) -> None:
        """Ask for the end of the running generation after the current step."""
        self.send(Interrupt())

    def run(self, command: Command, limits: Limits) -> Iterator[Event]:
        """Send one command and yield its events, up to and including Loaded, Finished or Failed."""
        if not self.usable:
            raise RuntimeError("this worker has failed and must not be used again")
        if self.ready is None:
            first = next(self._until_end(Limits(total=_START_SECONDS, stall=_START_SECONDS)))
            yield first
            if not isinstance(first, Ready):
                self.usable = False
                return
            self.ready = first
        self._queue.mark()
        self.send(command)
        for event in self._until_end(limits):
            if isinstance(event, Failed) and event.outcome not in (Outcome.REFUSED, Outcome.INTERRUPTED):
                self.usable = False
            yield event

    def _until_end(self, limits: Limits) -> Iterator[Event]:
        watch = _Watch(limits, self.pid)
        while True:
            heard = True
            try:
                event = self._events.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                event, heard = Pulse(), False
            if event is None:
                yield self._epitaph(watch.phase)
                return
            failure = watch.see(event)
            if failure is not None or isinstance(event, Finished):
                self.cpu_wait = self._queue.share()
            if failure is not None:
                self.kill()
                yield failure
                return
            if heard:
                yield event
            if isinstance(event, Ready | Loaded | Finished | Failed):
                return

    def _epitaph(self, phase: Phase | None) -> Failed:
        """What to say on behalf of a worker that died without a word."""
        code = self._last_code()
        words = self.log_tail()
        if self._guard.left is not None:
            return Failed(
                outcome=Outcome.OUT_OF_MEMORY, message=self._floor_message(), phase=phase, detail=words
            )
        if code is None:
            message = "The worker lost its pipe while it was still running, and was ended."
            return Failed(outcome=Outcome.CRASHED, message=message, phase=phase, detail=words)
        if code < 0:
            name = signal.Signals(-code).name
            message = f"The worker was ended by {name}."
        else:
            name = ""
            message = f"The worker ended with exit code {code}."
            last_words = words.strip().rpartition("\n")[2].strip()
            if last_words:
                message += f" Its last words: {last_words}"
        outcome = Outcome.OUT_OF_MEMORY if is_out_of_memory_text(words) else Outcome.CRASHED
        if name == "SIGKILL" and outcome is Outcome.CRASHED:
            message += " The kernel does that to the largest process when memory runs out."
        return Failed(outcome=outcome, message=message, phase=phase, detail=words)

    def _last_code(self) -> int | None:
        """How the process ended; None if it only closed its pipe, in which case it is ended here."""
        try:
            return self._process.wait(_LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def _floor_message(self) -> str:
        left, floor = self._guard.left or 0, self._guard.floor
        return (
            f"killed: host memory floor. {gib(left)} were left on the machine, and {gib(floor)} are kept free so "
            "that it does not swap."
        )

    def abandon(self) -> None:
        """Send the signal that nothing survives; the reader then sees the pipe close. Any thread may call it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def log_tail(self, limit: int = 4000) -> str:
        """The last ``limit`` bytes of what the worker's libraries printed; "" when the worker has been closed."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - limit)
        if sys.platform != "win32":
            # Without moving the position, at which the worker writes too.
            return os.pread(self._log.fileno(), limit, start).decode(errors="replace")
        self._log.seek(start)
        words = self._log.read(limit).decode(errors="replace")
        self._log.seek(0, os.SEEK_END)
        return words

    def kill(self) -> None:
        """End the process now and wait until it is gone, so that its memory is back."""
        self.usable = False
        self.abandon()
        self._process.wait()
        self._guard.stop()

    def close(self) -> None:
        """End the process, gently if it listens. May be called again."""
        if self._process.poll() is None:
            self.send(Quit())
            try:
                self._process.wait(_QUIT_SECONDS if self.usable else 0.2)
            except subprocess.TimeoutExpired:
                self.kill()
        self._guard.stop()
        self.usable = False
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock, contextlib.suppress(OSError):
            self._process.stdin.close()
        self._reader.join(_QUIT_SECONDS)
        self._process.stdout.close()
        self._log.close()


class _Watch:
    """Decides from a worker's events and its CPU clock whether waiting on makes sense."""

    def __init__(self, limits: Limits, pid: int) -> None:
        self._limits = limits
        self._started = self._moved = time.monotonic()
        self._cpu_seconds = 0.0
        self._compiled = 0.0
        self._compiling: tuple[str, float] | None = None
        self.phase: Phase | None = None
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(pid)

    def see(self, event: Event) -> Failed | None:
        """Take one event; returns the failure if a limit is broken."""
        now = time.monotonic()
        if isinstance(event, PhaseStarted):
            self.phase = event.phase
        if isinstance(event, CompileStarted):
            self._compiling = event.what, now
            self._cpu_seconds = 0.0
        elif isinstance(event, CompileEnded) and self._compiling is not None:
            self._compiled += now - self._compiling[1]
            self._compiling = None
            # The clock of its children is not looked at any more.
            self._cpu_seconds = 0.0
        # A pulse proves that the process lives, not that its work goes on; the CPU clock tells that.
        if not isinstance(event, Pulse) or self._has_computed():
            self._moved = now
        if isinstance(event, Finished | Loaded | Failed):
            return None
        idle = now - self._moved
        if idle > self._limits.stall:
            message = f"The worker has done nothing for {idle:.0f} s."
            return Failed(outcome=Outcome.HUNG, message=message, phase=self.phase)
        if self._compiling is not None:
            return self._compiles_too_long(*self._compiling, now)
        elapsed = now - self._started - self._compiled
        if self._limits.total is not None and elapsed > self._limits.total:
            message = self._limits.message or f"Not finished after the limit of {self._limits.total:.0f} s."
            return Failed(outcome=Outcome.TOO_SLOW, message=message, phase=self.phase)
        return None

    def _childrens_seconds(self) -> float:
        """A compiler may be a process of its own; those that ended are counted where their parent waited for them."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            own = self._process.cpu_times()
            total += float(getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0))
            for child in self._process.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    times = child.cpu_times()
                    total += float(times.user + times.system)
        return total

    def _compiles_too_long(self, what: str, since: float, now: float) -> Failed | None:
        if now - since <= self._limits.compiling:
            return None
        message = f"Compiling {what} was not done after {self._limits.compiling:.0f} s."
        return Failed(outcome=Outcome.TOO_SLOW, message=message, phase=self.phase)

    def _has_computed(self) -> bool:
        try:
            times = self._process.cpu_times()
        except (psutil.Error, AttributeError):
            return False
        used = float(times.user + times.system)
        if self._compiling is not None:
            used += self._childrens_seconds()
        # The pulse thread itself costs about a millisecond a second.
        advanced = used > self._cpu_seconds + 0.05
        if advanced:
            self._cpu_seconds = used
        return advanced


def _with_huge_pages(tunables: str) -> str:
    """glibc's settings for the worker; what the user has set stays."""
    if _HUGE_PAGES in tunables:
        return tunables
    return ":".join(filter(None, (tunables, f"{_HUGE_PAGES}=1")))
