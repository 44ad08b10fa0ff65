"""One daemon per user: a lock that the kernel gives back however its holder ends. The file stays; only the lock counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doctor.errors import NotInOrder
from doctor.paths import runtime_dir

_BYTES = 32


def lock_file() -> Path:
    """The file that is locked, and holds the process id of whoever locked it. Raises OSError."""
    return runtime_dir() / "daemon.lock"


@contextmanager
def single_instance(path: Path | None = None) -> Iterator[None]:
    """Hold the lock. Raises NotInOrder if another daemon does, OSError where there is no such folder."""
    path = path or lock_file()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor):
            raise NotInOrder(
                f"The daemon runs already (process {_pid_in(path)}); 'sdoctor daemon status' shows it."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0) if hasattr(os, "pwrite") else os.write(
            descriptor, f"{os.getpid()}\n".encode()
        )
        yield
    finally:
        os.close(descriptor)


def holder(path: Path | None = None) -> int | None:
    """Process id of the daemon that runs; None if none does."""
    path = path or lock_file()
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return None if _lock(descriptor) else _pid_in(path)
    finally:
        os.close(descriptor)


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_bytes()[:_BYTES])
    except (OSError, ValueError):
        return None


if sys.platform == "win32":

    def _lock(descriptor: int) -> bool:
        """Lock a byte far behind the process id, so that this can be read meanwhile. False if somebody has it."""
        import msvcrt

        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:

    def _lock(descriptor: int) -> bool:
        """Lock the whole file. False if somebody has it."""
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
