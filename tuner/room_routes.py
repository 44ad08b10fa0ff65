"""The daemon's route for programs that are about to use the machine themselves: its own study gives way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from doctor.daemon.api.route import Call, Route
from tuner.leases import LONGEST_SECONDS, LeaseBook
from tuner.service import Room

DEFAULT_SECONDS = 120.0
"""A program that computes keeps the machine busy by itself; this is for its start."""


class RoomWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many seconds no study shall begin."""

    seconds: Annotated[float, msgspec.Meta(ge=1.0, le=LONGEST_SECONDS)] = DEFAULT_SECONDS


class RoomAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, and what others were promised."""

    schema: str = "sdoctor.room/1"
    study_stopped: bool
    """Whether a study ran and was stopped; it goes on when the machine is idle again."""
    clear: bool
    """Whether nothing of the daemon's is in the way now."""
    promised_bytes: dict[str, int]
    """Memory of each device ("cpu", "cuda:0") that other programs have leases on and do not use yet."""


MakeRoom = Callable[[float, int | None], Room]
"""Seconds, and the process that asks, where it is known."""


def routes(make_room: MakeRoom, book: LeaseBook) -> tuple[Route, ...]:
    """What can be asked."""

    def room(call: Call) -> RoomAnswer:
        made = make_room(call.body.seconds, call.peer.pid)
        return RoomAnswer(
            study_stopped=made.stopped,
            clear=made.clear,
            promised_bytes=book.promised_to_others(call.peer.pid),
        )

    return (
        Route(
            method="POST",
            path="/v1/room",
            body=RoomWish,
            gives=RoomAnswer,
            answer=room,
            summary="Have the daemon's own study give way, and none begin for a while.",
        ),
    )
