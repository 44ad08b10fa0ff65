"""Leases: memory that was promised to a program and that it does not use yet, so that no two are promised the same.

A lease is for all that its process will use on a device. What the process uses already is seen by everybody, so only the
rest is set aside. A lease ends when it is given back, when its time is over, or when its process is gone. Leases live in
the daemon's memory alone: if the daemon ends, so do all promises.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

MOST_LEASES = 64
MOST_OF_ONE_PROCESS = 8
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A promise. ``expires`` is of ``time.monotonic()``."""

    id: str
    device: str
    """"cpu", "cuda:0"."""
    bytes: int
    """What the process will use of the device, in all."""
    pid: int | None
    """None: nobody knows who asked; all of it is set aside until its time is over."""
    born: float | None
    """When the process started, by the system's clock: another process may get its number."""
    seconds: float
    expires: float


class LeaseRefused(Exception):
    """No lease can be given; the message says why, in one sentence."""


class Uses(Protocol):
    """How much of a device a process uses now."""

    def __call__(self, device: str, pid: int) -> int:
        """Bytes; 0 where it is not known."""


class LeaseBook:
    """All leases. Used from any thread."""

    def __init__(
        self,
        uses: Uses,
        born: Callable[[int], float | None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``born`` gives a process's start, None if there is no such process."""
        self._uses = uses
        self._born = born
        self._now = now
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}

    def give(
        self, device: str, wishes: Sequence[int], free: Callable[[], int], pid: int | None, seconds: float
    ) -> tuple[Lease | None, int, int]:
        """A lease for the first of ``wishes`` (bytes) that fits: (lease, its place, bytes that were to be had).

        ``free`` is asked once, under the lock: what is free of the device now. Without a fit the lease is None and the
        place -1. Raises LeaseRefused where there are too many.
        """
        with self._lock:
            self._sweep()
            self._check_room(pid)
            can_have = free() - self._set_aside(device) + self._left_of(device, pid)
            for place, wanted in enumerate(wishes):
                if wanted <= can_have:
                    return self._write(device, wanted, pid, seconds), place, can_have
            return None, -1, can_have

    def renew(self, lease_id: str, seconds: float, pid: int | None) -> Lease | None:
        """Let it last from now; None if there is none (any more), or if it is another process's."""
        with self._lock:
            self._sweep()
            lease = self._leases.get(lease_id)
            if lease is None or lease.pid != pid:
                return None
            lease = replace(lease, seconds=seconds, expires=self._now() + min(seconds, LONGEST_SECONDS))
            self._leases[lease_id] = lease
            return lease

    def give_back(self, lease_id: str, pid: int | None) -> bool:
        """End it. False if there is none, or if it is another process's."""
        with self._lock:
            lease = self._leases.get(lease_id)
            if lease is None or lease.pid != pid:
                return False
            del self._leases[lease_id]
            return True

    def all(self) -> tuple[Lease, ...]:
        """Those that last."""
        with self._lock:
            self._sweep()
            return tuple(self._leases.values())

    def set_aside(self, device: str) -> int:
        """Bytes of a device that are promised and not used yet."""
        with self._lock:
            self._sweep()
            return self._set_aside(device)

    def promised_to_others(self, pid: int | None) -> dict[str, int]:
        """Bytes of each device that other processes than this one are promised and do not use yet."""
        with self._lock:
            self._sweep()
            devices = sorted({lease.device for lease in self._leases.values()})
            return {device: self._set_aside(device, without=pid) for device in devices}

    def _check_room(self, pid: int | None) -> None:
        if len(self._leases) >= MOST_LEASES:
            raise LeaseRefused(f"There are {MOST_LEASES} leases already; give some back.")
        if sum(lease.pid == pid for lease in self._leases.values()) >= MOST_OF_ONE_PROCESS:
            raise LeaseRefused(f"This program has {MOST_OF_ONE_PROCESS} leases already; give some back.")

    def _write(self, device: str, wanted: int, pid: int | None, seconds: float) -> Lease:
        lease = Lease(
            id=secrets.token_hex(12),
            device=device,
            bytes=wanted,
            pid=pid,
            born=None if pid is None else self._born(pid),
            seconds=min(seconds, LONGEST_SECONDS),
            expires=self._now() + min(seconds, LONGEST_SECONDS),
        )
        self._leases[lease.id] = lease
        return lease

    def _set_aside(self, device: str, without: int | None = None) -> int:
        """Promised and not used yet, by all but one; of a process with several leases their sum counts."""
        return sum(
            max(0, sum(lease.bytes for lease in leases) - (0 if pid is None else self._uses(device, pid)))
            for pid, leases in self._by_process(device)
            if pid is None or pid != without
        )

    def _left_of(self, device: str, pid: int | None) -> int:
        """What the asker may use beyond what is free: what it uses already, as far as no lease of its own counts it."""
        if pid is None:
            return 0
        promised = sum(
            sum(lease.bytes for lease in leases) for each, leases in self._by_process(device) if each == pid
        )
        return max(0, self._uses(device, pid) - promised)

    def _by_process(self, device: str) -> Iterable[tuple[int | None, list[Lease]]]:
        found: defaultdict[int | None, list[Lease]] = defaultdict(list)
        for lease in self._leases.values():
            if lease.device == device:
                found[lease.pid].append(lease)
        return found.items()

    def _sweep(self) -> None:
        now = self._now()
        for lease in list(self._leases.values()):
            gone = lease.pid is not None and self._born(lease.pid) != lease.born
            if lease.expires <= now or gone:
                del self._leases[lease.id]
