"""What the daemon answers, put together: the routes of the machine, those of the tuner, and the metrics of both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from doctor.daemon.api.service import ApiService
from doctor.facts import Facts
from tuner.free_memory import Free, born

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.applications import Starlette

    from doctor.daemon.service import Service
    from doctor.daemon.watch import WatchService
    from doctor.telemetry.sample import Sample
    from tuner.service import KeepTunedService, Room

_SAMPLE_SECONDS = 3.0
"""Samples come every second, unless the configuration says otherwise."""


def api_service(
    services: Sequence[Service],
    watch: WatchService,
    keep: KeepTunedService,
    history: Path,
    port: tuple[str, int] | None,
) -> ApiService:
    """The service that answers for these."""
    from doctor.daemon.api import machine, metrics
    from doctor.daemon.api.app import Counts, create_app
    from doctor.daemon.api.check_memory import CheckMemory, check_command
    from doctor.history import HistoryReader
    from tuner import advice_routes, room_routes
    from tuner.leases import LeaseBook

    counts = Counts()
    sources = machine.Sources(
        services=lambda: tuple(each.status() for each in (*services, service)),
        newest=lambda: watch.samples[-1] if watch.samples else None,
        lasting=lambda: watch.lasting,
        history=HistoryReader(history),
        checked=CheckMemory(check_command()),
        counts=counts,
    )

    free = Free(sources.newest)
    book = LeaseBook(free.used_by, born)

    def make_room(seconds: float, pid: int | None) -> Room:
        made = keep.make_room(seconds, pid)
        if made.stopped:
            # What a card has free is known from the samples: only the next one can tell.
            _wait_for_sample(sources.newest, after=time.monotonic())
        return made

    advice = advice_routes.AdviceSources(
        facts=lambda: msgspec.convert(sources.checked.ask().facts, Facts),
        free=free.of,
        book=book,
        give_way=keep.give_way,
        make_room=make_room,
    )

    def make_app(token: str | None) -> Starlette:
        text = metrics.exposition(
            (
                metrics.of_sample(sources.newest),
                machine.of_daemon(sources),
                advice_routes.lease_metrics(book),
            )
        )
        routes = (
            *machine.routes(sources),
            *advice_routes.routes(advice),
            *room_routes.routes(make_room, book),
        )
        return create_app(routes, metrics=text, token=token, counts=counts)

    service = ApiService(make_app, counts, port=port)
    return service


def _wait_for_sample(newest: Callable[[], Sample | None], after: float) -> None:
    end = after + _SAMPLE_SECONDS
    while time.monotonic() < end:
        sample = newest()
        if sample is not None and sample.at > after:
            return
        time.sleep(0.05)
