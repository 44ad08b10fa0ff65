"""Limits: how much one may ask, how fast, and how slowly. Every request is held to all of them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, and all of them together, may do. Chosen for a handful of programs on one machine."""

    connections: int = 64
    """Open at a time; the next one is told 503 and closed."""
    head_bytes: int = 16 * 1024
    """Request line and headers."""
    body_bytes: int = 64 * 1024
    """The largest honest request has some hundred bytes."""
    target_bytes: int = 2048
    """Path and query."""
    head_seconds: float = 5.0
    """From the connection, or the first byte of the next request, to the end of the headers."""
    body_seconds: float = 5.0
    """From the headers to the end of the body."""
    answer_seconds: float = 60.0
    """From the headers until the whole answer has been taken by the client."""
    idle_seconds: float = 5.0
    """Between two requests of one connection."""
    rate: float = 50.0
    """Requests per second of one client, on average."""
    burst: int = 100
    """How many it may send at once after a pause."""
    rate_of_all: float = 200.0
    burst_of_all: int = 400
    threads: int = 4
    """Requests that are worked on at a time."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rate:
    """Token buckets: one for each client, and one for all of them. Used from one thread."""

    _MOST_CLIENTS = 256

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._all = _Bucket(limits.burst_of_all, now())
        self._clients: OrderedDict[object, _Bucket] = OrderedDict()

    def wait(self, client: object) -> float:
        """Seconds that this client has to wait; 0.0 if it may go on, and then this request counts."""
        limits = self._limits
        bucket = self._clients.setdefault(client, _Bucket(limits.burst, self._now()))
        self._clients.move_to_end(client)
        while len(self._clients) > self._MOST_CLIENTS:
            self._clients.popitem(last=False)
        self._fill(bucket, limits.rate, limits.burst)
        self._fill(self._all, limits.rate_of_all, limits.burst_of_all)
        wait = max(
            (1 - bucket.tokens) / limits.rate if bucket.tokens < 1 else 0.0,
            (1 - self._all.tokens) / limits.rate_of_all if self._all.tokens < 1 else 0.0,
        )
        if not wait:
            bucket.tokens -= 1
            self._all.tokens -= 1
        return wait

    def _fill(self, bucket: _Bucket, rate: float, burst: int) -> None:
        now = self._now()
        bucket.tokens = min(float(burst), bucket.tokens + rate * (now - bucket.at))
        bucket.at = now
