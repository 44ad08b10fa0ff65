"""What ``sdoctor daemon status`` tells: the process from outside, its services as it tells them itself, what lasts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from doctor.daemon.api.listen import socket_file
from doctor.errors import SdoctorError
from doctor.history import Episode, HistoryReader, history_file
from doctor.sizes import gib
from tui.daemon_control import Seen, seen

SCHEMA = "sdoctor.daemon/1"
_STARTING_SECONDS = 60.0
"""Before that its start is most of what it has cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How things stand."""

    seen: Seen | None
    """None: no daemon runs."""
    newest_seconds_ago: float | None
    lasting: tuple[Episode, ...]
    services: tuple[dict[str, Any], ...] | None
    """As ``/v1/status`` has them; None if the daemon does not answer."""
    trouble: str = ""
    """Why it does not."""


def look() -> Looked:
    """Look from outside first: a daemon that hangs is seen too. Raises NotInOrder for a history of a newer sdoctor."""
    found = seen()
    reader = HistoryReader(history_file())
    newest = reader.newest()
    services, trouble = (None, "") if found is None else _ask()
    return Looked(
        seen=found,
        newest_seconds_ago=None if newest is None else time.time() - newest.at,
        lasting=tuple(each for each in reader.incidents(since=time.time()) if each.ended is None)
        if found
        else (),
        services=services,
        trouble=trouble,
    )


def _ask() -> tuple[tuple[dict[str, Any], ...] | None, str]:
    from tuner.client import ask

    try:
        return tuple(ask("/v1/status", seconds=5.0)["services"]), ""
    except (SdoctorError, KeyError, TypeError) as error:
        return None, str(error)


def as_document(found: Looked) -> str:
    """One JSON document."""
    document = {
        "schema": SCHEMA,
        "running": found.seen is not None,
        "process": found.seen,
        "newest_sample_seconds_ago": found.newest_seconds_ago,
        "lasting_incidents": found.lasting,
        "services": found.services,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def as_lines(found: Looked) -> str:
    """For people."""
    daemon = found.seen
    if daemon is None:
        return "No daemon runs; 'sdoctor daemon start' starts one."
    lines = [
        f"The daemon runs (process {daemon.pid}): {gib(daemon.memory)} with its children{_cost(daemon)}."
    ]
    if found.services is None:
        lines.append(f"It does not answer on {socket_file()}; its log may say why.")
    else:
        lines.append(f"It answers on {socket_file()}.")
    age = found.newest_seconds_ago
    lines.append("No sample yet." if age is None else f"The newest sample is {age:.1f} s old.")
    for each in found.services or ():
        if each["name"] == "keep-tuned":
            lines.append(f"Keeping tuned: {each['detail']}.")
        elif not each["running"] or "cannot" in each["detail"]:
            lines.append(f"Not well: {each['name']}: {each['detail']}.")
    lines += [f"lasts: {each.title}  (sdoctor incidents {each.id})" for each in found.lasting]
    return "\n".join(lines)


def _cost(daemon: Seen) -> str:
    if daemon.cpu_percent is None or daemon.up_seconds is None:
        return ""
    if daemon.up_seconds < _STARTING_SECONDS:
        return f", started {daemon.up_seconds:.0f} s ago"
    return f", {daemon.cpu_percent:.2f} % of a core since its start"
