"""Brings about a lack of memory and a slow load with a model of real size: control groups (version 1), a swap file, root.

Whatever is changed on the machine is taken back at the end of the ``with`` block, also after an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import induced
from induced import BLOCK_GROUPS, Seen, group

from tui.watching import Watch
from tuner.events import Load, Ready
from tuner.runner import Limits, Worker
from tuner.settings import Settings

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
MIB = 1 << 20
HERE = Path(__file__).parent
"""On a real disk: the folder for temporary files may lie in memory."""

ROOM = 400 * MIB
"""What a worker that makes a picture of 256 x 256 needs beyond what it holds once the model is loaded."""

SAVE = """
import sys
from pathlib import Path
import torch
from tuner.models import resolve
from tuner.worker.build import load_pipeline
load_pipeline(resolve(sys.argv[1]), torch.float16).save_pretrained(sys.argv[2])
"""
PAGER = """
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
view = mmap.mmap(file, 0, prot=mmap.PROT_READ)
while True:
    for place in range(0, len(view), 4096):
        view[place]
"""


def can_swap() -> bool:
    """Whether this process may open a swap file and hold a process to less memory than it needs."""
    return (
        os.geteuid() == 0
        and all(shutil.which(name) for name in ("mkswap", "swapon", "swapoff"))
        and induced.can_group(MEMORY_GROUPS, "memory.memsw.limit_in_bytes")
    )


@contextmanager
def swap_file(size: int) -> Iterator[None]:
    """``size`` bytes of swap on the disk that these tests lie on."""
    with tempfile.NamedTemporaryFile(dir=HERE, prefix=".swap-") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        os.fchmod(file.fileno(), 0o600)
        subprocess.run(["mkswap", file.name], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["swapon", file.name], check=True)
        try:
            yield
        finally:
            subprocess.run(["swapoff", file.name], check=True)


def swapped(limit: int, **common) -> Seen:
    """A generation whose worker may hold ``limit`` bytes in memory, less than the model has; the rest is swapped."""
    with swap_file(8 << 30), group(MEMORY_GROUPS, memory__limit_in_bytes=str(limit)) as folder:
        return induced.generate(**common, on_ready=lambda pid: _enter(folder, pid))


def reclaimed(**common) -> Seen:
    """A generation beside a program of the same group that reads more than fits, where there is no swap.

    The worker holds what it needs, and the kernel has only the pages of files to take back, again and again.
    """
    with tempfile.NamedTemporaryFile(dir=HERE, prefix=".paged-") as file, group(MEMORY_GROUPS) as folder:
        for _ in range(3 * ROOM // MIB):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        def squeeze() -> list[subprocess.Popen]:
            used = int((folder / "memory.usage_in_bytes").read_text())
            (folder / "memory.limit_in_bytes").write_text(str(used + ROOM))
            command = [sys.executable, "-S", "-c", PAGER, file.name]
            return [
                subprocess.Popen(command, preexec_fn=lambda: _enter(folder, 0)),
                subprocess.Popen(command, preexec_fn=lambda: _enter(folder, 0)),
            ]

        return induced.generate(**common, on_ready=lambda pid: _enter(folder, pid), at_denoise=squeeze)


@contextmanager
def saved(model: str) -> Iterator[Path]:
    """The model as a folder of diffusers (float16), none of it in memory."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".saved-") as name:
        subprocess.run(
            [sys.executable, "-c", SAVE, model, name], check=True, cwd=HERE.parent, stderr=subprocess.DEVNULL
        )
        for path in Path(name).rglob("*.safetensors"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        yield Path(name)


def loaded_slowly(model: str, precision: str, rate: int = 20 << 20, seconds: float = 10.0) -> Seen:
    """A worker that loads ``model`` from a disk that gives ``rate`` bytes per second, stopped after ``seconds`` of it."""
    with saved(model) as source:
        device = source.stat().st_dev
        limit = f"{os.major(device)}:{os.minor(device)} {rate}"
        with group(BLOCK_GROUPS, blkio__throttle__read_bps_device=limit) as folder:
            return _loading(str(source), precision, seconds, lambda pid: _enter(folder, pid))


def _loading(source: str, precision: str, seconds: float, on_ready: Callable[[int], None]) -> Seen:
    worker = Worker()
    load = Load(model=source, settings=Settings(precision=precision), device="cpu")
    try:
        with Watch(lambda: worker.pid, "cpu") as watch:
            for event in worker.run(load, Limits(total=seconds, stall=600.0)):
                watch.event(event)
                if isinstance(event, Ready):
                    on_ready(event.pid)
    finally:
        worker.kill()
    samples = tuple(sample for sample in watch.samples if sample.process is not None)
    return Seen(samples, induced.strangers(samples))


def _enter(folder: Path, pid: int) -> None:
    """0 is the process that asks."""
    (folder / "cgroup.procs").write_text(str(pid))
