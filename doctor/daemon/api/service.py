"""The answering side as a service of the daemon: a thread with an event loop of its own."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.daemon.api import listen
from doctor.daemon.api.limits import Limits
from doctor.daemon.service import ServiceStatus
from doctor.errors import NotInOrder

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from doctor.daemon.api.app import Counts
    from doctor.daemon.api.patient import PatientServer

_START_SECONDS = 10.0
_FINISH_SECONDS = 3
"""For requests in flight when the daemon ends."""

_log = logging.getLogger(__name__)


class ApiService:
    """Listens from ``start`` on. ``make_app`` gets the token for the loopback port, None where there is none."""

    name = "api"

    def __init__(
        self,
        make_app: Callable[[str | None], Starlette],
        counts: Counts,
        path: Callable[[], Path] = listen.socket_file,
        port: tuple[str, int] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._make_app = make_app
        self._counts = counts
        self._ask_path = path
        self._port = port
        self._limits = limits or Limits()
        self._path: Path | None = None
        self._server: PatientServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and return when it can be asked."""
        import uvicorn

        from doctor.daemon.api.patient import PatientServer
        from doctor.daemon.api.protocol import guarded

        # Before anything listens: whoever can connect can read it.
        token = listen.token() if self._port else None
        sockets: list[socket.socket] = []
        if hasattr(socket, "AF_UNIX"):
            self._path = self._ask_path()
            sockets.append(listen.listen_on_socket(self._path))
        elif self._port is None:
            # Python for Windows has no Unix sockets; everything else of the daemon works there.
            return
        try:
            if self._port is not None:
                sockets.append(listen.listen_on_port(*self._port))
            config = uvicorn.Config(
                self._make_app(token),
                http=guarded(self._limits, self._refused),
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=self._limits.head_bytes,
                timeout_keep_alive=int(self._limits.idle_seconds),
                timeout_graceful_shutdown=_FINISH_SECONDS,
            )
            # What strangers send is counted in the metrics; a line for each would fill the log.
            logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
            self._server = PatientServer(config)
            self._thread = threading.Thread(target=self._server.run, args=(sockets,), name="api", daemon=True)
            self._thread.start()
            self._wait_until_started(self._server, self._thread)
        except BaseException:
            _close(sockets)
            raise

    def stop(self, deadline: float) -> None:
        """Answer what is being asked, and take the socket away."""
        if self._server is not None:
            self._server.end()
        if self._thread is not None:
            self._thread.join(deadline)
            if not self._thread.is_alive():
                self._thread = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def reload(self) -> None:
        """Nothing to read."""

    def status(self) -> ServiceStatus:
        """Where it listens."""
        places = [str(self._path)] if self._path else []
        places += [f"{self._port[0]}:{self._port[1]}"] if self._port else []
        mute = not hasattr(socket, "AF_UNIX") and self._port is None
        return ServiceStatus(
            name=self.name,
            running=mute or (self._thread is not None and self._thread.is_alive()),
            detail=f"listens on {' and '.join(places)}"
            if places
            else "listens nowhere: --listen gives it a port",
            figures={"answers": self._counts.answers.total(), "refused": self._counts.refused.total()},
        )

    def _refused(self, why: str) -> None:
        self._counts.refused[why] += 1

    @staticmethod
    def _wait_until_started(server: PatientServer, thread: threading.Thread) -> None:
        end = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > end:
                raise NotInOrder("The daemon's server did not start; the log may say why.")
            time.sleep(0.005)


def _close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()
