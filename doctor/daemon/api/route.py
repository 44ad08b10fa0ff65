"""Route: one thing that can be asked, with the types of what comes in and what goes out.

Whoever has something to tell hands the server a tuple of these; a route is checked, limited and described the same way
wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks."""

    pid: int | None = None
    """Process at the other end of the Unix socket; None over TCP, or where the system does not say."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, checked."""

    peer: Peer
    path: dict[str, str] = field(default_factory=dict)
    """What stands in the places of the route's path."""
    query: Any = None
    """An instance of the route's ``query``."""
    body: Any = None
    """An instance of the route's ``body``; None for a route that takes none."""


class Refused(Exception):
    """What was asked cannot be had. ``status`` is the HTTP status, ``sentence`` says why and what to do."""

    def __init__(self, status: int, sentence: str, *, wait_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.wait_seconds = wait_seconds
        """After which it may be tried again; None: nobody knows."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent with every status from 400 on (RFC 9457, application/problem+json)."""

    status: int
    title: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path. ``answer`` runs in a thread; it may raise Refused."""

    method: str
    path: str
    """"/v1/leases/{id}": a place in braces matches one segment."""
    answer: Callable[[Call], object]
    summary: str
    gives: Any
    """Type of the answer, as msgspec knows types; None for an answer without a body (204)."""
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    refusals: dict[int, str] = field(default_factory=dict)
    """Statuses that this route may answer with beside those of every route, and what each means here."""
