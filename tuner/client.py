"""Asking the daemon from a user's own program: which settings fit now, and a promise that the memory stays free.

    from tuner import advise

    with advise("builtin:sd15", 512, 512) as advice:
        pipe = advice.apply(pipe)

Where no daemon runs the saved profile answers. Only the standard library is loaded until ``apply``.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from doctor.errors import NotInOrder

if TYPE_CHECKING:
    from tuner.scripting import Tuned

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 70.0
"""The daemon may have to look at the machine first."""
_ROOM_SECONDS = 10.0
"""A study is gone within five seconds. Nobody waits longer for a daemon that hangs."""
_SHARE = 3.0
"""A lease is renewed at this part of its time."""


class Advice:
    """Settings that fit. Leaving the ``with`` block, or ``release``, gives the memory's promise back.

    ``source`` is "daemon" or "profile" (no daemon runs: then nothing is promised, and nobody looked at what is free).
    """

    def __init__(
        self,
        *,
        source: str,
        settings: dict[str, Any],
        rung: str,
        width: int,
        height: int,
        profile: Path | None,
        answer: dict[str, Any] | None = None,
        device: str = "auto",
    ) -> None:
        self.source = source
        self.settings = settings
        """Setting names and values, as everywhere in sdoctor."""
        self.rung = rung
        self.width, self.height = width, height
        self.profile = profile
        """The file that they come from; None for a profile that was taken without the daemon."""
        self.answer = answer
        """All that the daemon said (sdoctor.advice/1); None without one."""
        self.device = device
        lease = (answer or {}).get("lease")
        self._lease: str | None = lease["id"] if lease else None
        self._over = threading.Event()
        if lease:
            threading.Thread(
                target=self._renew,
                args=(lease["id"], lease["seconds_left"]),
                name="sdoctor-lease",
                daemon=True,
            ).start()

    @property
    def leased(self) -> bool:
        """Whether memory is promised to this program now."""
        return self._lease is not None

    def apply(self, pipe: Any, **options: Any) -> Tuned:
        """Set up a freshly loaded pipeline so; call what comes back as the pipeline itself.

        ``options`` are those of ``Profile.apply`` (budget, device, force). Raises NotInOrder as that does.
        """
        from tuner.scripting import tune_with
        from tuner.settings import Settings

        return tune_with(self._loaded(), pipe, Settings(**self.settings), **options)

    def release(self) -> None:
        """Give the promise back; the program may go on using what it uses."""
        self._over.set()
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(OSError, http.client.HTTPException):
                _request("DELETE", f"/v1/leases/{lease}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _loaded(self) -> Any:
        from tuner.choosing import whole
        from tuner.store import read

        assert self.profile is not None
        return whole(read(self.profile))

    def _renew(self, lease: str, seconds: float) -> None:
        while not self._over.wait(seconds / _SHARE):
            try:
                status, _ = _request("POST", f"/v1/leases/{lease}/renew", {})
            except (OSError, http.client.HTTPException):
                continue
            if status == 404:
                self._lease = None
                return


def advise(
    model: str | Path, width: int, height: int, batch: int = 1, *, device: str = "auto", lease: bool = True
) -> Advice:
    """The fastest settings of a model's profile that fit what is free right now.

    Raises NotInOrder, in one sentence: there is no profile that holds here, or nothing fits now.
    """
    name = _address(str(model))
    wish = {"model": name, "width": width, "height": height, "batch": batch, "device": device, "lease": lease}
    try:
        status, answer = _request("POST", "/v1/advice", wish)
    except (OSError, http.client.HTTPException):
        return _from_profile(str(model), width, height, device)
    if status != 200:
        raise NotInOrder(str(answer.get("detail") or f"The daemon answered with status {status}."))
    return Advice(
        source="daemon",
        settings=answer["settings"],
        rung=answer["rung"],
        width=width,
        height=height,
        profile=Path(answer["profile"]),
        answer=answer,
        device=answer["device"],
    )


def make_room() -> dict[str, int]:
    """Have the daemon's own study give way, since this program is about to use the machine.

    Memory of each device ("cpu", "cuda:0"), in bytes, that other programs are promised and do not use yet; none where no
    daemon runs or it does not answer. Never raises.
    """
    try:
        status, answer = _request("POST", "/v1/room", {}, seconds=_ROOM_SECONDS)
        promised = answer["promised_bytes"] if status == 200 else {}
        return {str(device): int(count) for device, count in promised.items()}
    except (OSError, http.client.HTTPException, NotInOrder, KeyError, TypeError, ValueError, AttributeError):
        return {}


def ask(path: str, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
    """What the daemon answers to a GET within so long: ``ask("/v1/status")``.

    Raises NotInOrder if none runs, or it refuses, or does not answer.
    """
    try:
        status, answer = _request("GET", path, seconds=seconds)
    except (OSError, http.client.HTTPException) as error:
        raise NotInOrder("No daemon runs; 'sdoctor daemon start' starts one.") from error
    if status != 200:
        raise NotInOrder(str(answer.get("detail") or f"The daemon answered with status {status}."))
    return answer


def _from_profile(model: str, width: int, height: int, device: str) -> Advice:
    from dataclasses import asdict

    from tuner.scripting import choose_here

    choice = choose_here(model, device=device)
    settings, rung = choice.profile.settings_for(width, height)
    return Advice(
        source="profile",
        settings=asdict(settings),
        rung=rung,
        width=width,
        height=height,
        profile=choice.path,
        device=device,
    )


def _address(model: str) -> str:
    """A path means the same wherever the daemon stands; anything else is a name."""
    if not model.startswith("builtin:"):
        path = Path(model).expanduser()
        with suppress(OSError):
            if path.exists():
                return str(path.resolve())
    return model


class _Connection(http.client.HTTPConnection):
    """HTTP over the daemon's Unix socket."""

    def __init__(self, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._seconds = seconds

    def connect(self) -> None:
        from doctor.daemon.api.listen import short_name, socket_file

        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_SECONDS)
        with short_name(socket_file()) as name:
            self.sock.connect(name)
        self.sock.settimeout(self._seconds)


def _request(
    method: str, path: str, body: dict[str, Any] | None = None, seconds: float = _ANSWER_SECONDS
) -> tuple[int, dict[str, Any]]:
    """Status and answer. Raises OSError where nobody listens, HTTPException where no HTTP comes back."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConnectionRefusedError("no Unix sockets here")
    connection = _Connection(seconds)
    try:
        headers = {} if body is None else {"content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        try:
            found = json.loads(content) if content else {}
        except ValueError as error:
            raise http.client.HTTPException("the answer is not JSON") from error
        return response.status, found if isinstance(found, dict) else {}
    finally:
        connection.close()
