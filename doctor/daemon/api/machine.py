"""The routes of what the daemon itself knows: how it is, what the machine is, what is wrong, and what was measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import msgspec
import psutil
from prometheus_client.core import Metric

from doctor.daemon.api.app import Counts
from doctor.daemon.api.check_memory import CheckMemory
from doctor.daemon.api.metrics import Series, Source
from doctor.daemon.api.openapi import sdoctor_version
from doctor.daemon.api.route import Call, Refused, Route
from doctor.daemon.service import ServiceStatus
from doctor.errors import SdoctorError
from doctor.history import Episode, HistoryReader
from doctor.history.figures import Reading
from doctor.telemetry.sample import Sample

Found = TypeVar("Found")

MOST_SAMPLES = 3600
MOST_INCIDENTS = 500
_SINCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the answers come from. Everything may be called from any thread."""

    services: Callable[[], tuple[ServiceStatus, ...]]
    newest: Callable[[], Sample | None]
    lasting: Callable[[], tuple[Episode, ...]]
    history: HistoryReader
    checked: CheckMemory
    counts: Counts
    started: float = field(default_factory=time.time)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the daemon is."""

    schema: str = "sdoctor.status/1"
    version: str
    pid: int
    up_seconds: float
    healthy: bool
    """Whether every service does its work."""
    services: tuple[ServiceStatus, ...]
    newest_sample_seconds_ago: float | None
    """None: no sample yet."""
    lasting_incidents: tuple[Episode, ...]


class HostAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine is: the facts of ``sdoctor check``."""

    schema: str = "sdoctor.host/1"
    checked_at: float
    """Seconds since 1970."""
    facts: dict[str, Any]


class FindingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong: the findings of ``sdoctor check``, in reading order."""

    schema: str = "sdoctor.findings/1"
    checked_at: float
    findings: list[dict[str, Any]]
    summary: dict[str, int]


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, the oldest first."""

    schema: str = "sdoctor.samples/1"
    samples: tuple[Reading, ...]


class Incidents(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, the newest first."""

    schema: str = "sdoctor.incidents/1"
    incidents: tuple[Episode, ...]


class Fresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fresh``: check again, however new the last check is."""

    fresh: bool = False


_Moment = Annotated[float, msgspec.Meta(ge=0.0, le=1e11)]


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds since 1970; the last minute where nothing is said. Longer spans come in coarser samples."""

    since: _Moment | None = None
    until: _Moment | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_SAMPLES)] = 600


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Incidents that last still, or ended after this moment (seconds since 1970)."""

    since: _Moment = 0.0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_INCIDENTS)] = 100


def routes(sources: Sources) -> tuple[Route, ...]:
    """What can be asked of the machine."""

    def status(_call: Call) -> Status:
        services = sources.services()
        newest = sources.newest()
        return Status(
            version=sdoctor_version(),
            pid=os.getpid(),
            up_seconds=max(0.0, time.time() - sources.started),
            healthy=all(each.healthy for each in services),
            services=services,
            newest_sample_seconds_ago=None if newest is None else max(0.0, time.monotonic() - newest.at),
            lasting_incidents=sources.lasting(),
        )

    def host(call: Call) -> HostAnswer:
        found = sources.checked.ask(call.query.fresh)
        return HostAnswer(checked_at=found.at, facts=found.facts)

    def findings(call: Call) -> FindingsAnswer:
        found = sources.checked.ask(call.query.fresh)
        return FindingsAnswer(checked_at=found.at, findings=found.findings, summary=found.summary)

    def samples(call: Call) -> Samples:
        span: Span = call.query
        since = time.time() - _SINCE_SECONDS if span.since is None else span.since
        return Samples(samples=_readable(lambda: sources.history.samples(since, span.until, span.limit)))

    def incidents(call: Call) -> Incidents:
        asked: Since = call.query
        return Incidents(incidents=_readable(lambda: sources.history.incidents(asked.since, asked.limit)))

    unreadable = {503: "The history cannot be read, or there are too many connections."}
    unchecked = {503: "The check did not work, or there are too many connections."}
    return (
        Route(method="GET", path="/v1/status", answer=status, gives=Status, summary="How the daemon is."),
        Route(
            method="GET",
            path="/v1/host",
            answer=host,
            gives=HostAnswer,
            query=Fresh,
            refusals=unchecked,
            summary="What the machine is.",
        ),
        Route(
            method="GET",
            path="/v1/findings",
            answer=findings,
            gives=FindingsAnswer,
            query=Fresh,
            refusals=unchecked,
            summary="What is wrong with the machine or the installation, and what mends it.",
        ),
        Route(
            method="GET",
            path="/v1/samples",
            answer=samples,
            gives=Samples,
            query=Span,
            refusals=unreadable,
            summary="What was measured.",
        ),
        Route(
            method="GET",
            path="/v1/incidents",
            answer=incidents,
            gives=Incidents,
            query=Since,
            refusals=unreadable,
            summary="What went wrong, and what ran at that moment.",
        ),
    )


def _readable(ask: Callable[[], Found]) -> Found:
    try:
        return ask()
    except SdoctorError as error:
        raise Refused(503, str(error)) from error


def of_daemon(sources: Sources) -> Source:
    """Metrics of the daemon itself, and of the incidents that last."""
    process = psutil.Process()

    def families() -> Iterable[Metric]:
        series = Series()
        gauge, counter = series.gauge, series.counter
        gauge("build_info", "The version, as a label; always 1.", 1, version=sdoctor_version())
        gauge("start_time_seconds", "When the daemon started, since 1970.", sources.started)
        newest = sources.newest()
        gauge(
            "sample_age_seconds",
            "Age of the newest sample.",
            None if newest is None else max(0.0, time.monotonic() - newest.at),
        )
        gauge("daemon_resident_memory_bytes", "Memory of the daemon itself.", process.memory_info().rss)
        times = process.cpu_times()
        counter("daemon_cpu_seconds", "Processor time that the daemon took.", times.user + times.system)
        for each in sources.services():
            gauge(
                "service_healthy",
                "1 if a service of the daemon does its work, else 0.",
                each.healthy,
                service=each.name,
            )
            for name, figure in each.figures.items():
                if name.endswith("_bytes") and isinstance(figure, int):
                    gauge(f"{each.name.replace('-', '_')}_{name}", "Size of a file of the daemon.", figure)
                if name == "lost_samples" and isinstance(figure, int):
                    counter("samples_lost", "Samples that could not be written.", figure)
                if name == "models_due" and isinstance(figure, int):
                    gauge("models_due", "Models on the list that have to be tuned.", figure)
        active: dict[tuple[str, str], int] = {}
        for episode in sources.lasting():
            key = episode.kind, str(episode.severity)
            active[key] = active.get(key, 0) + 1
        for (kind, severity), count in active.items():
            gauge("incidents_active", "Incidents that last now.", count, kind=kind, severity=severity)
        for code, count in sorted(sources.counts.answers.items()):
            counter("api_requests", "Requests answered.", count, code=str(code))
        for reason, count in sorted(sources.counts.refused.items()):
            counter("api_connections_refused", "Connections closed without an answer.", count, reason=reason)
        return series.families()

    return families
