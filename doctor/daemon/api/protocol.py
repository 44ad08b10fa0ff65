"""The HTTP/1.1 protocol of uvicorn, with patience that ends: it waits without end for a request that comes byte by byte,
and for a client that does not take its answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from doctor.daemon.api.limits import Limits

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 21\r\n\r\nToo many connections.\n"[:-1]
)
_CREDENTIALS = struct.Struct("3i")
"""struct ucred of unix(7): process, user, group."""


class GuardedProtocol(H11Protocol):
    """One connection. ``limits`` and ``refused`` (told why a connection was not served) come from ``guarded``."""

    limits: Limits
    refused: Callable[[str], None]
    _timer: asyncio.TimerHandle | None = None
    _served: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in if there is room and it is one of us."""
        super().connection_made(transport)
        peer = _peer(transport)
        if peer is not None:
            pid, user = peer
            if user not in (os.getuid(), 0):
                self._turn_away(transport, "another user", b"")
                return
            # uvicorn knows no client of a Unix socket; the process id stands where a port would.
            self.client = ("", pid)
        if len(self.connections) > self.limits.connections:
            self._turn_away(transport, "too many connections", _FULL)
            return
        self._wait(self.limits.head_seconds, "slow request")

    def data_received(self, data: bytes) -> None:
        """Take what came; the clock runs until a whole head is there, then until the answer has been taken."""
        if self.transport.is_closing():
            return
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self._timer is None:
            self._wait(self.limits.head_seconds, "slow request")
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Between two requests uvicorn's own clock runs; the next request may be here already."""
        self._stop()
        super().on_response_complete()
        self._follow()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop()
        super().connection_lost(exc)

    def _follow(self) -> None:
        if self.cycle is not None and self.cycle is not self._served and not self.cycle.response_complete:
            self._served = self.cycle
            self._wait(self.limits.answer_seconds, "slow reader")

    def _wait(self, seconds: float, why: str) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self._give_up, why)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, why: str) -> None:
        self._timer = None
        self.refused(why)
        self.transport.abort()

    def _turn_away(self, transport: asyncio.Transport, why: str, words: bytes) -> None:
        self.refused(why)
        self.connections.discard(self)
        if words:
            transport.write(words)
        transport.close()


def guarded(limits: Limits, refused: Callable[[str], None]) -> type[GuardedProtocol]:
    """The class that uvicorn makes an instance of for every connection."""
    members: dict[str, Any] = {"limits": limits, "refused": staticmethod(refused)}
    return type("GuardedProtocol", (GuardedProtocol,), members)


def _peer(transport: asyncio.Transport) -> tuple[int, int] | None:
    """Process and user at the other end of a Unix socket; None elsewhere, or where the system does not tell."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != getattr(socket, "AF_UNIX", None):
        return None
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    content = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    pid, user, _group = _CREDENTIALS.unpack(content)
    return pid, user
