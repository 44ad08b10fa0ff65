"""Runs the readers side by side, each with a deadline, and puts their answers together."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from doctor.facts import Facts, Unread
from doctor.gather.disks import read_disks
from doctor.gather.environment import read_environment
from doctor.gather.host import read_host
from doctor.gather.kernel_log import read_kernel_log
from doctor.gather.nvidia import DEADLINE as NVML_DEADLINE
from doctor.gather.nvidia import read_nvidia
from doctor.gather.packages import read_packages
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor
from doctor.gather.torch_build import read_torch

DEADLINE = NVML_DEADLINE + 2.0
"""Seconds for all readers together; a dead network mount must not hold up the rest."""

Reader = Callable[[], Reading]


def gather_facts(
    readers: Mapping[tuple[str, ...], Reader] | None = None, deadline: float = DEADLINE
) -> Facts:
    """Run every reader in a thread of its own and join what they bring."""
    running = [_Running(fields, reader) for fields, reader in (readers or machine_readers()).items()]
    end = time.monotonic() + deadline
    readings = [one.wait(max(0.0, end - time.monotonic()), deadline) for one in running]
    parts: dict[str, Any] = {}
    unread: list[Unread] = []
    for reading in readings:
        parts |= reading.parts
        unread += reading.unread
    captured = datetime.now(UTC).isoformat(timespec="seconds")
    return Facts(captured_at=captured, unread=tuple(unread), **parts)


def machine_readers() -> dict[tuple[str, ...], Reader]:
    """The fields of ``Facts`` and the reader that fills them on this machine."""
    redactor = Redactor.of_this_user()
    environ = dict(os.environ)
    return {
        ("driver", "gpus"): lambda: read_nvidia(redactor),
        ("xids",): lambda: read_kernel_log(redactor),
        ("disks",): lambda: read_disks(environ, redactor),
        ("host", "cpu", "memory", "python"): lambda: read_host(environ, redactor),
        ("torch",): lambda: read_torch(redactor),
        ("packages",): read_packages,
        ("environment",): lambda: read_environment(environ, redactor),
    }


class _Running:
    """One reader in a daemon thread: if it never returns, the process can still end."""

    def __init__(self, fields: tuple[str, ...], reader: Reader) -> None:
        self._fields = fields
        self._reader = reader
        self._reading: Reading | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        reading = Reading()
        found = reading.attempt(self._fields[0], self._reader)
        if found is None:
            why = reading.unread[0].why
            reading.unread = [Unread(what=field, why=why) for field in self._fields]
        self._reading = found or reading

    def wait(self, seconds: float, deadline: float) -> Reading:
        self._thread.join(seconds)
        if self._reading is not None:
            return self._reading
        late = Reading()
        for field in self._fields:
            late.miss(field, f"reading it took longer than {deadline:g} s")
        return late
