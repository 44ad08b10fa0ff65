"""Service: one thing that the daemon does, behind four calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

Figure = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How a service is."""

    name: str
    running: bool
    """Whether it does its work; False after ``stop``, or where its thread has ended by itself."""
    detail: str = ""
    """One sentence for people: what it does now, or what is wrong."""
    silent_seconds: float | None = None
    """Seconds since it last showed that it is alive; None for a service that has no pulse."""
    patience: float = 60.0
    """Seconds of silence from which it counts as hung."""
    figures: dict[str, Figure] = field(default_factory=dict)
    """What else there is to tell, for programs; units in the names."""

    @property
    def healthy(self) -> bool:
        """Whether the watchdog may be told that all is well."""
        return self.running and (self.silent_seconds is None or self.silent_seconds < self.patience)


class Service(Protocol):
    """What the daemon runs. All four are called from one thread, that of the runner; ``status`` from any."""

    @property
    def name(self) -> str:
        """A word for logs: "watch"."""

    def start(self) -> None:
        """Begin, and return. Raises SdoctorError or OSError with what is wrong; the daemon then does not start."""

    def stop(self, deadline: float) -> None:
        """End within this many seconds, and leave nothing behind. Calling it twice is no error."""

    def reload(self) -> None:
        """Read the configuration again. Keeps the old one if the new one is wrong."""

    def status(self) -> ServiceStatus:
        """How it is. Never blocks, never raises."""
