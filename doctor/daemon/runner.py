"""Daemon: the one that owns the services, and the life of the process around them."""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from doctor.daemon.notify import Notifier
from doctor.daemon.service import Service, ServiceStatus
from doctor.errors import SdoctorError

DRAIN_SECONDS = 5.0
"""From the signal to the end of the process."""

_OTHERS_SECONDS = 0.5
"""Of the time to drain, kept back for each service that is still to be stopped."""

LOOK_SECONDS = 5.0
"""Seconds between two looks at the services."""

_REVIVE_SECONDS = (1.0, 5.0, 30.0, 300.0)
"""Waits before a service that died is started again: the first time, the second, ..., and ever after."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """A service, and how often it had to be started."""

    service: Service
    deaths: int = 0
    again_at: float | None = None
    """When a dead one is started anew."""
    was_healthy: bool = True


class Daemon:
    """Starts the services in their order, looks after them, and stops them in the opposite order."""

    def __init__(
        self,
        services: Sequence[Service],
        notifier: Notifier | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._kept = [_Kept(service) for service in services]
        self._notifier = notifier or Notifier()
        self._drain = drain_seconds
        watchdog = self._notifier.watchdog_seconds
        self._look_every = look_seconds if watchdog is None else min(look_seconds, watchdog / 3)
        self._wishes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.hung: tuple[str, ...] = ()
        """Services that did not end in time; whoever runs the daemon then ends the process without them."""

    def run(self) -> None:
        """Until SIGTERM, SIGINT or ``stop``. Only in the main thread, for the signals.

        Raises what a service raises that cannot be started.
        """
        before = self._listen()
        started: list[_Kept] = []
        try:
            for kept in self._kept:
                kept.service.start()
                started.append(kept)
            _log.info("started", extra={"services": [kept.service.name for kept in started]})
            self._notifier.ready()
            self._look_after()
        finally:
            self._notifier.stopping()
            self._stop(started)
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Ask it to end; from any thread."""
        self._wishes.put("stop")

    def reload(self) -> None:
        """Ask it to read its configuration again; from any thread."""
        self._wishes.put("reload")

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """How every service is, in the order of their start."""
        return tuple(kept.service.status() for kept in self._kept)

    def _listen(self) -> dict[int, Any]:
        """Take the signals over; what handled them before."""
        wishes = {"SIGTERM": "stop", "SIGINT": "stop", "SIGBREAK": "stop", "SIGHUP": "reload"}
        numbers = {getattr(signal, name): wish for name, wish in wishes.items() if hasattr(signal, name)}

        def handle(number: int, _frame: FrameType | None) -> None:
            self._wishes.put(numbers[number])

        return {number: signal.signal(number, handle) for number in numbers}

    def _look_after(self) -> None:
        while True:
            try:
                wish = self._wishes.get(timeout=self._look_every)
            except queue.Empty:
                wish = "look"
            if wish == "stop":
                return
            if wish == "reload":
                self._reload()
            self._look()

    def _reload(self) -> None:
        self._notifier.reloading()
        for kept in self._kept:
            try:
                kept.service.reload()
            except (SdoctorError, OSError) as error:
                _log.error("not reloaded", extra={"service": kept.service.name, "error": str(error)})
        _log.info("reloaded")
        self._notifier.ready()

    def _look(self) -> None:
        """Calm the watchdog if every service is well; start again what died. A service that hangs is left to it."""
        unwell = []
        for kept in self._kept:
            status = kept.service.status()
            if not status.running:
                self._revive(kept)
            if not status.healthy:
                unwell.append(status)
            if status.healthy != kept.was_healthy:
                kept.was_healthy = status.healthy
                log = _log.info if status.healthy else _log.error
                log("well again" if status.healthy else "unwell", extra=_facts_of(status))
        if unwell:
            self._notifier.status(
                "; ".join(f"{each.name}: {each.detail or 'does not answer'}" for each in unwell)
            )
        else:
            self._notifier.alive(f"{len(self._kept)} services run")

    def _revive(self, kept: _Kept) -> None:
        now = time.monotonic()
        if kept.again_at is None:
            kept.again_at = now + _REVIVE_SECONDS[min(kept.deaths, len(_REVIVE_SECONDS) - 1)]
            kept.deaths += 1
        elif now >= kept.again_at:
            kept.again_at = None
            try:
                kept.service.stop(1.0)
                kept.service.start()
                _log.warning("started again", extra={"service": kept.service.name, "deaths": kept.deaths})
            except (SdoctorError, OSError) as error:
                _log.error("not started again", extra={"service": kept.service.name, "error": str(error)})

    def _stop(self, started: Sequence[_Kept]) -> None:
        """In the opposite order, each with what is left of the time; one that hangs does not keep the others."""
        end = time.monotonic() + self._drain
        hung = []
        for left, kept in zip(range(len(started), 0, -1), reversed(started), strict=True):
            # Requests in flight may take most of it, but not the time of those that come after.
            kept_back = (left - 1) * min(_OTHERS_SECONDS, self._drain / len(started))
            seconds = max(0.1, end - time.monotonic() - kept_back)
            name = kept.service.name
            thread = threading.Thread(
                target=_stop_one, args=(kept.service, seconds), daemon=True, name=f"stop {name}"
            )
            thread.start()
            thread.join(seconds + 0.1)
            if thread.is_alive():
                hung.append(name)
        self.hung = tuple(hung)
        _log.info("stopped", extra={"hung": hung} if hung else {})


def _stop_one(service: Service, seconds: float) -> None:
    try:
        service.stop(seconds)
    except (SdoctorError, OSError) as error:
        _log.error("did not stop well", extra={"service": service.name, "error": str(error)})


def _facts_of(status: ServiceStatus) -> dict[str, object]:
    return {
        "service": status.name,
        "running": status.running,
        "detail": status.detail,
        "silent_seconds": status.silent_seconds,
    }
