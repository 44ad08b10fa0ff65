"""The history as a service: it has to be closed last, and its troubles are told with the others'."""

from __future__ import annotations

from doctor.daemon.service import ServiceStatus
from doctor.history import History


class HistoryService:
    """Closes the history after everything that writes to it. It is first in the list of services."""

    name = "history"

    def __init__(self, history: History) -> None:
        self._history = history
        self._stopped = False

    def start(self) -> None:
        """Nothing: the history is open."""

    def stop(self, deadline: float) -> None:
        """Write what is left."""
        self._stopped = True
        self._history.close(deadline)

    def reload(self) -> None:
        """Nothing to read."""

    def status(self) -> ServiceStatus:
        """Whether it can be written."""
        path = self._history.path
        trouble = self._history.trouble
        return ServiceStatus(
            name=self.name,
            # A full disk is no reason to be killed: the other services go on without it.
            running=not self._stopped,
            detail=f"cannot be written: {trouble}" if trouble else str(path),
            figures={"lost_samples": self._history.lost, "file_bytes": _size(self._history)},
        )


def _size(history: History) -> int | None:
    try:
        return history.path.stat().st_size
    except OSError:
        return None
