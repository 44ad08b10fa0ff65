"""Brings about what the verdicts are to find: real runs that are really held up, and what was sampled meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from doctor.telemetry.sample import Sample
from doctor.telemetry.sampler import Sampler
from doctor.verdicts.window import Window
from tui.watching import Watch
from tuner.events import Load, Loaded, Ready
from tuner.generation import Generation, Wish
from tuner.runner import Limits, Worker
from tuner.settings import Settings

CPU_GROUPS = Path("/sys/fs/cgroup/cpu")
BLOCK_GROUPS = Path("/sys/fs/cgroup/blkio")
PATIENCE = 10.0
"""Seconds for the present step to end."""

BUSY = "while True: pass"
READER = """
import os, sys
with open(sys.argv[1], "rb", buffering=0) as file:
    while file.read(1 << 20):
        pass
"""


@dataclass(frozen=True)
class Seen:
    """What a trial saw."""

    samples: tuple[Sample, ...]
    strangers: float | None
    """Mean CPU time of programs that were no part of the trial; 100 is one core. None if not known."""


def busy_neighbours(count: int) -> list[subprocess.Popen]:
    return [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(count)]


class Companions:
    """Programs that a trial started; ``used`` is their CPU time at the end, 100 is one core."""

    def __init__(self, children: list[subprocess.Popen]) -> None:
        self.children = children
        self.begun = time.monotonic()
        self.used = 0.0

    def end(self) -> None:
        for child in self.children:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(child.pid).cpu_times()
                self.used += 100 * (times.user + times.system) / (time.monotonic() - self.begun)
            child.kill()
            child.wait()


@contextmanager
def group(top: Path, **values: str) -> Iterator[Path]:
    """A control group (version 1) below ``top`` with these files written."""
    folder = top / f"sdoctor-test-{os.getpid()}-{threading.get_ident()}"
    folder.mkdir()
    try:
        for name, value in values.items():
            (folder / name.replace("__", ".")).write_text(value)
        yield folder
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def can_group(top: Path, file: str) -> bool:
    """Whether this process may make control groups there."""
    try:
        with group(top) as folder:
            return (folder / file).exists()
    except OSError:
        return False


def generate(
    *,
    model: str = "builtin:tiny",
    steps: int = 400,
    size: int | None = None,
    seconds: float = 5.0,
    settings: Settings | None = None,
    on_ready: Callable[[int], None] = lambda pid: None,
    at_denoise: Callable[[], list[subprocess.Popen]] = list,
) -> Seen:
    """One generation, stopped after ``seconds`` of steps (0: to its end); ``at_denoise`` starts the neighbours then."""
    load = Load(model=model, settings=settings or Settings(precision="bf16"), device="cpu")
    generation = Generation(
        load,
        Wish(prompt="a red circle", steps=steps, width=size, height=size),
        lambda request: (),
        most_steps=steps,
    )
    companions = Companions([])
    begun: float | None = None
    watch = Watch(generation.pid, "cpu")
    with contextlib.ExitStack() as stack:
        stack.enter_context(watch)
        for event in generation.events():
            watch.event(event)
            if isinstance(event, Ready):
                on_ready(event.pid)
            elif isinstance(event, Loaded):
                companions = Companions(at_denoise())
                stack.callback(companions.end)
                begun = time.monotonic()
            if begun is not None and seconds and time.monotonic() - begun > seconds:
                # Asked once it ends its step, which may take minutes where it hardly gets a core; asked again, at once.
                generation.interrupt()
                begun = time.monotonic() + PATIENCE - seconds
    return Seen(watch.samples, strangers(watch.samples, companions.used))


def rest(seconds: float = 4.0, model: str = "builtin:tiny", precision: str = "bf16") -> Seen:
    """A worker that has loaded its model and has nothing to do."""
    worker = Worker()
    try:
        command = Load(model=model, settings=Settings(precision=precision), device="cpu")
        for _ in worker.run(command, Limits(stall=600.0)):
            pass
        return sampled(worker.pid, seconds)
    finally:
        worker.close()


def sampled(pid: int, seconds: float, every: float = 0.5) -> Seen:
    """Samples of a process."""
    sampler, samples = Sampler(), []
    until = time.monotonic() + seconds
    # On a machine that is very busy fewer fit into the time than a judgement needs.
    while time.monotonic() < until or len(samples) < 5:
        samples.append(sampler.read(pid))
        time.sleep(every)
    sampler.close()
    return Seen(tuple(samples), strangers(samples))


def read_slowly(rate: int = 20 << 20, seconds: float = 5.0) -> Seen:
    """A program that reads a file which is not in memory, from a disk that gives ``rate`` bytes per second."""
    with tempfile.NamedTemporaryFile(dir=Path(__file__).parent, prefix=".slow-", suffix=".bin") as file:
        for _ in range(int(rate * (seconds + 2)) >> 20):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        device = Path(file.name).stat().st_dev
        limit = f"{os.major(device)}:{os.minor(device)} {rate}"
        with group(BLOCK_GROUPS, blkio__throttle__read_bps_device=limit) as folder:
            child = subprocess.Popen(
                [sys.executable, "-S", "-c", READER, file.name],
                preexec_fn=lambda: (folder / "cgroup.procs").write_text("0"),
            )
            try:
                return sampled(child.pid, seconds)
            finally:
                child.kill()
                child.wait()


def strangers(samples, companions: float = 0.0) -> float | None:
    """CPU time of everything that is neither watched nor was started by the trial; 100 is one core."""
    window = Window(tuple(sample for sample in samples if sample.interval is not None)).computing
    return None if window.others_cpu is None else max(0.0, window.others_cpu - companions)


@contextmanager
def cpu_quota(cores: float) -> Iterator[Callable[[int], None]]:
    """Moves a process into a group that may use so many cores."""
    with group(CPU_GROUPS, cpu__cfs_period_us="100000", cpu__cfs_quota_us=str(int(cores * 100000))) as folder:
        yield lambda pid: (folder / "cgroup.procs").write_text(str(pid)) and None
