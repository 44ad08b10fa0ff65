"""Limits of the control groups (versions 1 and 2) that this process runs in.

A limit may sit at any level above the process, so every level from the process's own group up to the
mounted root is looked at, and the tightest one counts. Layout: docs.kernel.org/admin-guide/cgroup-v2.html
and docs.kernel.org/admin-guide/cgroup-v1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

NO_LIMIT = 2**60
"""Version 1 writes "no limit" as a number near 2**63; no machine has an exbibyte."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the control groups allow; None means that they set no limit."""

    cpu_cores: float | None = None
    memory: int | None = None
    memory_used: int | None = None
    """Bytes that count against ``memory``, without the page cache that the kernel would give back."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted hierarchy."""

    root: str
    """The group that appears at ``point``: "/" unless a container shows a part of the tree."""
    point: str
    controllers: frozenset[str]
    """Empty for the unified hierarchy (version 2)."""


def parse_membership(text: str) -> dict[str, str]:
    """Read ``/proc/self/cgroup``: controller -> group path; the key "" is the unified hierarchy."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        number, first, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if not (first and second and path.startswith("/") and number.isdigit()):
            continue
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def parse_mounts(text: str) -> list[Mount]:
    """Read the control-group lines of ``/proc/self/mountinfo``."""
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(), after.split()
        if not separator or len(fields) < 5 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        names = frozenset(tail[2].split(",")) if tail[0] == "cgroup" else frozenset()
        if tail[0] == "cgroup" and not names & {"cpu", "memory"}:
            continue
        mounts.append(Mount(root=_unescape(fields[3]), point=_unescape(fields[4]), controllers=names))
    return mounts


def parse_cpu_max(text: str) -> float | None:
    """Read ``cpu.max`` ("200000 100000", "max 100000"): cores, or None for no limit."""
    words = text.split()
    if not words or words[0] == "max":
        return None
    return quota(words[0], words[1] if len(words) > 1 else "100000")


def quota(limit: str, period: str) -> float | None:
    """Microseconds of CPU per period -> cores; None for no limit. Raises ValueError on anything but
    numbers."""
    cores, span = int(limit), int(period)
    return cores / span if cores > 0 and span > 0 else None


def parse_bytes(text: str) -> int | None:
    """Read ``memory.max`` or ``memory.limit_in_bytes``: bytes, or None for no limit. Raises ValueError."""
    word = text.strip()
    if word == "max":
        return None
    count = int(word)
    return count if 0 <= count < NO_LIMIT else None


def parse_stat(text: str, name: str) -> int:
    """One counter of ``memory.stat``; 0 if it is not there."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0


def read_limits(proc: Path = Path("/proc/self"), root: Path = Path("/")) -> Limits:
    """The tightest CPU and memory limit above this process. Raises OSError or ValueError if they cannot be
    read.

    ``root`` is put before the mount points, so that a test can offer a tree of its own.
    """
    groups = parse_membership((proc / "cgroup").read_text())
    cores: list[float] = []
    memory: list[tuple[int, int]] = []
    for mount in parse_mounts((proc / "mountinfo").read_text()):
        for folder in _levels(mount, groups, root):
            found = _cpu_cores(folder, unified=not mount.controllers)
            if found is not None:
                cores.append(found)
            limit = MemoryGroup(folder, unified=not mount.controllers).read()
            if limit is not None:
                memory.append(limit)
    tightest = min(memory, key=lambda pair: pair[0] - pair[1], default=(None, None))
    return Limits(min(cores, default=None), *tightest)


def cpu_quotas(proc: Path = Path("/proc/self"), root: Path = Path("/")) -> list[tuple[float, Path]]:
    """(cores, folder of the group) of every CPU quota above a process. Raises OSError or ValueError."""
    groups = parse_membership((proc / "cgroup").read_text())
    return [
        (cores, folder)
        for mount in parse_mounts((proc / "mountinfo").read_text())
        for folder in _levels(mount, groups, root)
        if (cores := _cpu_cores(folder, unified=not mount.controllers)) is not None
    ]


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A control group that may limit the memory of a process: found once, read as often as wanted."""

    folder: Path
    unified: bool
    """Version 2."""

    def read(self) -> tuple[int, int] | None:
        """(limit, used without the page cache that the kernel would give back) in bytes; None for no limit.

        Raises OSError or ValueError.
        """
        names = ("memory.max", "memory.current", "inactive_file")
        if not self.unified:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        file = self.folder / names[0]
        limit = parse_bytes(file.read_text()) if file.exists() else None
        if limit is None:
            return None
        used = parse_bytes((self.folder / names[1]).read_text()) or 0
        stat = self.folder / "memory.stat"
        cache = parse_stat(stat.read_text(), names[2]) if stat.exists() else 0
        return limit, max(0, used - cache)


def memory_groups(proc: Path = Path("/proc/self"), root: Path = Path("/")) -> list[MemoryGroup]:
    """Every group above a process that limits its memory. Raises OSError or ValueError."""
    groups = parse_membership((proc / "cgroup").read_text())
    found = [
        MemoryGroup(folder, unified=not mount.controllers)
        for mount in parse_mounts((proc / "mountinfo").read_text())
        for folder in _levels(mount, groups, root)
    ]
    return [group for group in found if group.read() is not None]


def _levels(mount: Mount, groups: dict[str, str], root: Path) -> Iterator[Path]:
    """The folders of this process's group and of every group above it, within one mount."""
    names = mount.controllers & {"cpu", "memory"} if mount.controllers else {""}
    path = next((groups[name] for name in sorted(names) if name in groups), None)
    if path is None:
        return
    top = root / mount.point.lstrip("/")
    group, base = PurePosixPath(path), PurePosixPath(mount.root)
    # Without a cgroup namespace a container sees the host's path, and its mount shows only the part below
    # `root`.
    inside = group.relative_to(base) if group.is_relative_to(base) else PurePosixPath()
    for level in (inside, *inside.parents):
        if ".." not in level.parts:
            yield top / level


def _cpu_cores(folder: Path, *, unified: bool) -> float | None:
    if unified:
        file = folder / "cpu.max"
        return parse_cpu_max(file.read_text()) if file.exists() else None
    file = folder / "cpu.cfs_quota_us"
    return quota(file.read_text(), (folder / "cpu.cfs_period_us").read_text()) if file.exists() else None


def _unescape(word: str) -> str:
    r"""Undo the octal escapes of mountinfo: "\040" is a space."""
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, sign)
    return word
