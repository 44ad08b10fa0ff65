"""Xid lines of the kernel's log: what the NVIDIA driver wrote about faults since the system was started."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from doctor.facts import Xid
from doctor.gather.nvidia import count_pci_devices
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor

DEADLINE = 3.0
"""Seconds for the journal; a long one on a hard disk takes its time, and this is no fact to wait for."""

NEWEST = 20000
"""Lines of the journal that are looked at."""

LONGEST = 200

_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]{4,16})\): (\d{1,4})(?:, ?(.*))?")


def read_kernel_log(redactor: Redactor, root: Path = Path("/"), deadline: float = DEADLINE) -> Reading:
    """``xids``; without an NVIDIA card there are none, and nothing is read.

    ``root`` stands before /sys and /dev, so that a test can offer its own.
    """
    reading = Reading(parts={"xids": None})
    if sys.platform != "linux":
        reading.miss("xids", "the log of this system is not read")
        return reading
    if not _card_present(root):
        reading.parts["xids"] = ()
        return reading
    lines = reading.attempt("xids", lambda: _kernel_lines(root / "dev/kmsg", deadline))
    if lines is not None:
        reading.parts["xids"] = parse_xids(lines, redactor)
    return reading


def parse_xids(lines: Iterable[str], redactor: Redactor) -> tuple[Xid, ...]:
    """One entry per card and code, in the order in which they first came."""
    found: dict[tuple[str, str], Xid] = {}
    for line in lines:
        match = _XID.search(line)
        if match is None:
            continue
        device, code, rest = match.groups()
        text = redactor.text((rest or "").strip())[:LONGEST] or None
        before = found.get((device, code))
        new = Xid(code=int(code), device=device, text=text)
        found[device, code] = replace(new, count=before.count + 1) if before else new
    return tuple(found.values())


def _card_present(root: Path) -> bool:
    """A card on the PCI bus, or a device node given to a container."""
    return bool(count_pci_devices(root / "sys/bus/pci/devices")) or (root / "dev/nvidiactl").exists()


def _kernel_lines(kmsg: Path, deadline: float) -> list[str]:
    """The kernel's messages from its own buffer, or from the journal where only that may be read.

    Raises OSError if neither may be.
    """
    with contextlib.suppress(OSError):
        return _buffer(kmsg)
    command = [
        "journalctl",
        "--dmesg",
        "--boot",
        "--quiet",
        "--no-pager",
        "--output=cat",
        f"--lines={NEWEST}",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=deadline, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OSError(f"the journal did not answer within {deadline:g} s") from None
    except FileNotFoundError:
        raise PermissionError("the kernel's log may be read by root only, and there is no journal") from None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        # Whoever is in none of the groups adm, systemd-journal and wheel gets an empty journal, not an error.
        raise PermissionError("neither the kernel's log nor the journal may be read by this user")
    return lines


def _buffer(kmsg: Path) -> list[str]:
    """Every record of ``/dev/kmsg``: one per read, until the next one would have to be waited for."""
    descriptor = os.open(kmsg, os.O_RDONLY | os.O_NONBLOCK)
    lines = []
    try:
        while True:
            try:
                record = os.read(descriptor, 8192)
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # the record was overwritten before it was read; the next one is there
            if not record:
                break
            lines += record.decode(errors="replace").splitlines()
    finally:
        os.close(descriptor)
    return lines
