"""What a hostile or broken client may try against the daemon, each with what has to come of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from daemon_client import LiveDaemon, as_user, live_daemon, read_all, statuses

_WISH = {"model": "builtin:tiny", "width": 256, "height": 256}


@dataclass(frozen=True)
class Attack:
    name: str
    run: Callable[[LiveDaemon], str]
    """Does it, and says what happened: statuses with their counts."""
    allowed: frozenset[str]
    """What may happen: every word of the outcome is one of these."""
    slow: bool = False
    waits: bool = False
    """Whether it lasts as long as the daemon's patience: these are tried at the same time in tests."""


def _words(found: list[object]) -> str:
    counted = Counter(str(each) for each in found)
    return ", ".join(f"{word} x{count}" if count > 1 else word for word, count in counted.items())


def _status(answer: bytes) -> object:
    found = statuses(answer)
    return found[0] if found else "closed"


def _together(daemon: LiveDaemon, contents: list[bytes], tcp: bool = False) -> str:
    """Each in a connection of its own, at the same time: many of them the daemon has to wait for."""
    with ThreadPoolExecutor(len(contents)) as threads:
        return _words(sorted(threads.map(lambda each: str(_status(daemon.send(each, 8.0, tcp))), contents)))


def _raw(*contents: bytes, tcp: bool = False) -> Callable[[LiveDaemon], str]:
    return lambda daemon: _together(daemon, list(contents), tcp)


def _request(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body


def _post(*bodies: object, path: str = "/v1/advice") -> Callable[[LiveDaemon], str]:
    def run(daemon: LiveDaemon) -> str:
        raws = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in bodies]
        return _words([daemon.ask("POST", path, raw=each)[0] for each in raws])

    return run


def _get(*paths: str) -> Callable[[LiveDaemon], str]:
    return lambda daemon: _words(
        [
            _status(daemon.send(_request(f"GET {each} HTTP/1.1\nhost: localhost\nconnection: close")))
            for each in paths
        ]
    )


def _garbage(daemon: LiveDaemon) -> str:
    source = random.Random(0)
    return _together(daemon, [source.randbytes(2 ** source.randrange(17)) for _ in range(50)])


def _thousand(daemon: LiveDaemon) -> str:
    with ExitStack() as stack:
        held, told = 0, Counter()
        for _ in range(1000):
            try:
                one = stack.enter_context(daemon.connect(3.0))
            except OSError as error:
                told[type(error).__name__] += 1
                continue
            one.setblocking(False)
            held += 1
        time.sleep(0.5)
        open_now, refused = 0, 0
        for one in stack.pop_all()._exit_callbacks:
            connection = one[1].__self__
            try:
                answer = connection.recv(100)
                refused += statuses(answer) == [503]
            except BlockingIOError:
                open_now += 1
            except OSError:
                pass
            connection.close()
    return f"{held} connected, 503 x{refused}, {open_now} waited for"


def _slow_loris(daemon: LiveDaemon) -> str:
    begin = time.monotonic()
    with ExitStack() as stack:
        several = [stack.enter_context(daemon.connect(15.0)) for _ in range(20)]
        alive = set(several)
        while alive and time.monotonic() - begin < 12:
            for one in list(alive):
                try:
                    one.send(b"G")
                except OSError:
                    alive.discard(one)
            time.sleep(0.25)
    return f"closed after {time.monotonic() - begin:.0f} s" if not alive else f"{len(alive)} still open"


def _slow_body(daemon: LiveDaemon) -> str:
    head = _request("POST /v1/advice HTTP/1.1\nhost: x\ncontent-type: application/json\ncontent-length: 100")
    return _words([_status(daemon.send(head + b"{", 10.0))])


def _slow_reader(daemon: LiveDaemon) -> str:
    begin = time.monotonic()
    with daemon.connect(90.0) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        request = _request("GET /v1/openapi.json HTTP/1.1\nhost: x")
        with suppress(OSError):
            for _ in range(90):
                one.send(request)
        while time.monotonic() - begin < 80:
            time.sleep(1.0)
            try:
                one.send(b"G")
            except OSError:
                return f"closed after {time.monotonic() - begin:.0f} s"
    return "still open"


def _endless(daemon: LiveDaemon) -> str:
    head = _request(
        "POST /v1/advice HTTP/1.1\nhost: x\ncontent-type: application/json\ntransfer-encoding: chunked"
    )
    return _words(
        [_status(daemon.send(head + b"10000\r\n" + b"x" * 65536 + b"\r\n" + b"10\r\n" + b"y" * 16 + b"\r\n"))]
    )


def _flood(daemon: LiveDaemon) -> str:
    one = b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n"
    with daemon.connect(3.0) as connection:
        with suppress(OSError):
            for _ in range(500):
                connection.sendall(one)
        found = Counter(statuses(read_all(connection)))
    good = "200" if found[200] else "none"
    return f"{good}, 429" if found[429] else good


def _pipelined(daemon: LiveDaemon) -> str:
    time.sleep(2.5)
    return _words(list(statuses(daemon.send(b"GET /v1/leases HTTP/1.1\r\nhost: x\r\n\r\n" * 20, 2.0))))


def _reset(daemon: LiveDaemon) -> str:
    for _ in range(50):
        with daemon.connect() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            one.send(b"POST /v1/advice HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
    return "closed x50"


def _token(daemon: LiveDaemon) -> str:
    asked = [
        "",
        "authorization: Bearer nonsense\r\n",
        "authorization: Basic YTpi\r\n",
        f"authorization: bearer  {daemon.token}\r\n",
        f"authorization: Bearer {daemon.token[:-1]}\r\n",
    ]
    found = [daemon.ask("GET", "/v1/status", headers=each, tcp=True)[0] for each in asked]
    return _words([*found, daemon.ask("GET", f"/v1/status?token={daemon.token}", tcp=True)[0]])


def _rebinding(daemon: LiveDaemon) -> str:
    head = f"GET /v1/status HTTP/1.1\nhost: evil.example\nauthorization: Bearer {daemon.token}\nconnection: close"
    return _words([_status(daemon.send(_request(head), tcp=True))])


def _from_outside(daemon: LiveDaemon) -> str:
    """Another address of this machine than the loopback one."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
        try:
            socket.create_connection((own, daemon.port), 2.0).close()
        except OSError:
            return "refused"
        return f"reached through {own}"
    return "refused"


NOBODY, SOMEBODY = 65534, 65533
"""Two users who are not root."""

_AS_NOBODY = """
import os, socket, sys
user = int(sys.argv[2])
os.setgroups([]); os.setgid(user); os.setuid(user)
one = socket.socket(socket.AF_UNIX); one.settimeout(5)
try:
    one.connect(sys.argv[1])
    one.sendall(b"GET /v1/status HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")
    print("answered" if one.recv(100) else "closed")
except PermissionError:
    print("refused")
except ConnectionError:
    print("closed")
"""


def _other_user(daemon: LiveDaemon) -> str:
    """First as it is; then with folder and socket opened to everybody, as a careless administrator might."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        return "not tried: only root can become another user"
    found = [_as_nobody(daemon)]
    opened = [daemon.home / "run" / "sdoctor.sock", daemon.home / "run"]
    opened += [each for each in daemon.home.parents if each.stat().st_mode & 0o005 != 0o005]
    opened.append(daemon.home)
    before = {path: path.stat().st_mode & 0o7777 for path in opened}
    try:
        for path in opened:
            path.chmod(0o777)
        found.append(_as_nobody(daemon))
    finally:
        for path, mode in before.items():
            path.chmod(mode)
    return _words(found)


def _as_nobody(daemon: LiveDaemon, user: int = NOBODY) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _AS_NOBODY, daemon.socket_path, str(user)],
        capture_output=True,
        text=True,
        cwd="/",
    )
    # Where the interpreter itself lies in a folder of root's, nobody cannot even start it.
    return done.stdout.strip() or "refused"


def _two_users(daemon: LiveDaemon) -> str:
    """A second daemon, of another user: who may ask whom."""
    if not hasattr(os, "getuid") or os.getuid() != 0 or shutil.which("unshare") is None:
        return "not tried: only root can become another user"
    with tempfile.TemporaryDirectory(prefix="sd") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("h", "python"):
            (folder / each).mkdir()
        os.chown(folder / "h", NOBODY, NOBODY)
        before = as_user(NOBODY, folder / "python")
        words = [*before, sys.executable, "-P", "-c", "import tui, uvicorn"]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            return "not tried: another user cannot start this Python"
        with live_daemon(folder / "h", before=before) as other:
            status, found = other.ask("GET", "/v1/status")
            own = status == 200 and found["pid"] == other.process.pid != daemon.process.pid
            modes = [Path(each).stat().st_mode & 0o777 for each in (other.socket_path, folder / "h" / "run")]
            told = [
                "each has its own" if own and modes == [0o600, 0o700] else "mixed up",
                f"its user: {_as_nobody(other, NOBODY)}",
                f"a third: {_as_nobody(other, SOMEBODY)}",
                f"the first's: {_as_nobody(daemon, NOBODY)}",
            ]
            for path in (folder / "h", folder / "h" / "run", Path(other.socket_path)):
                path.chmod(0o777)
            return ", ".join([*told, f"a third after chmod 777: {_as_nobody(other, SOMEBODY)}"])


def _foreign_lease(daemon: LiveDaemon) -> str:
    return _words(
        [
            daemon.ask("POST", "/v1/leases/000000000000000000000000/renew", {})[0],
            daemon.ask("DELETE", "/v1/leases/..%2f..%2fstatus")[0],
            daemon.ask("DELETE", f"/v1/leases/{'a' * 1000}")[0],
        ]
    )


def _codes(*allowed: object) -> frozenset[str]:
    return frozenset(str(each) for each in allowed)


_DEEP = b'{"model": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
_LOCAL = "\nhost: x\nconnection: close"
ATTACKS = (
    Attack("50 pieces of random bytes, up to 64 KiB", _garbage, _codes(400, "closed"), waits=True),
    Attack(
        "TLS, HTTP/2, HTTP/0.9, SSH, empty lines",
        _raw(
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"\r\n\r\n\r\n",
        ),
        _codes(400, 404, "closed"),
        waits=True,
    ),
    Attack(
        "headers of 1 MiB without an end",
        _raw(b"GET /v1/status HTTP/1.1\r\nx: " + b"a" * 2**20),
        _codes(400, "closed"),
    ),
    Attack(
        "10,000 headers",
        _raw(b"GET /v1/status HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n"),
        _codes(400, "closed"),
    ),
    Attack(
        "20 connections that send a byte at a time",
        _slow_loris,
        _codes(*(f"closed after {seconds} s" for seconds in range(5, 12))),
        waits=True,
    ),
    Attack("a body that does not come", _slow_body, _codes(408), waits=True),
    Attack(
        "a client that does not read its answers",
        _slow_reader,
        _codes(*(f"closed after {n} s" for n in range(3, 70))),
        slow=True,
    ),
    Attack("a thousand connections at once", _thousand, frozenset({"*"})),
    Attack("500 requests as fast as they go", _flood, _codes(200, 429)),
    Attack("20 requests in one packet", _pipelined, _codes(200)),
    Attack("50 connections reset in the middle of a request", _reset, _codes("closed")),
    Attack("a body of 10 MB", _post(b'{"model":"' + b"x" * 10_000_000 + b'"}'), _codes(413)),
    Attack("a chunked body without an end", _endless, _codes(413)),
    Attack("JSON nested 30,000 deep", _post(_DEEP), _codes(400)),
    Attack(
        "NaN, Infinity, 1e999, a lone surrogate, bytes that are no UTF-8",
        _post(
            b'{"model":"a","width":NaN,"height":8}',
            b'{"model":"a","width":Infinity,"height":8}',
            b'{"model":"a","width":1e999,"height":8}',
            b'{"model":"\\ud800","width":8,"height":8}',
            b'{"model":"\xff\xfe","width":8,"height":8}',
        ),
        _codes(400),
    ),
    Attack(
        "wrong types, missing, unknown and absurd values",
        _post(
            [],
            "x",
            1,
            None,
            {},
            _WISH | {"width": "256"},
            _WISH | {"width": -8},
            _WISH | {"width": 10**9},
            _WISH | {"batch": 0},
            _WISH | {"batch": 10**30},
            _WISH | {"seconds": 1e9},
            _WISH | {"device": "cuda:999"},
            _WISH | {"device": "/dev/sda"},
            _WISH | {"model": ""},
            _WISH | {"model": "m" * 501},
            _WISH | {"surprise": 1},
        ),
        _codes(400),
    ),
    Attack(
        "models that are paths: ../../etc/passwd, /dev/zero, NUL, *",
        _post(
            *(
                _WISH | {"model": each}
                for each in ("../../etc/passwd", "/dev/zero", "a\0b", "*", "/proc/self/mem")
            )
        ),
        _codes(404),
    ),
    Attack(
        "paths: .., %2e%2e, %2f, NUL, //, absolute form",
        _get(
            "/v1/../../../etc/passwd",
            "/v1/%2e%2e/%2e%2e/etc/passwd",
            "/v1/status%2f..%2f..",
            "/v1/status%00",
            "//etc/passwd",
            "http://evil.example/v1/status",
            "/v1/status/",
            "/V1/STATUS",
            "*",
        ),
        _codes(404, 400),
    ),
    Attack("a path of 10,000 letters", _get("/" + "a" * 10_000), _codes(414)),
    Attack(
        "parameters: nan, -1, 1e300, limit=0, limit=10**9, twice, unknown",
        _get(
            "/v1/samples?since=nan",
            "/v1/samples?since=-1",
            "/v1/samples?since=1e300",
            "/v1/samples?limit=0",
            f"/v1/samples?limit={10**9}",
            "/v1/samples?limit=1&limit=2",
            "/v1/incidents?x=1",
            "/v1/incidents?limit=' OR 1=1",
        ),
        _codes(400),
    ),
    Attack(
        "methods: TRACE, CONNECT, PUT, DELETE, PATCH, one of 5,000 letters",
        _raw(
            *(
                _request(f"{each} /v1/status HTTP/1.1{_LOCAL}")
                for each in ("TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "A" * 5000)
            )
        ),
        _codes(405, 400),
    ),
    Attack(
        "smuggling: two lengths, length and chunks, a negative one, a bad chunk",
        _raw(
            _request(f"POST /v1/advice HTTP/1.1{_LOCAL}\ncontent-length: 5\ncontent-length: 6", b"hello!"),
            _request(
                f"POST /v1/advice HTTP/1.1{_LOCAL}\ncontent-length: 5\ntransfer-encoding: chunked",
                b"0\r\n\r\nGET /v1/status HTTP/1.1\r\n\r\n",
            ),
            _request(f"POST /v1/advice HTTP/1.1{_LOCAL}\ncontent-length: -1"),
            _request(
                f"POST /v1/advice HTTP/1.1{_LOCAL}\ntransfer-encoding: chunked", b"ffffffffffffffffff\r\n"
            ),
            _request("GET /v1/status HTTP/1.1\nhost: x\nhost: y\nconnection: close"),
            _request(f"GET /v1/status HTTP/1.1{_LOCAL}\nx: a\x00b"),
        ),
        _codes(400, 408),
        waits=True,
    ),
    Attack(
        "an upgrade to WebSocket",
        _raw(
            _request(
                "GET /v1/status HTTP/1.1\nhost: x\nconnection: upgrade, close\nupgrade: websocket\n"
                "sec-websocket-version: 13\nsec-websocket-key: YQ=="
            )
        ),
        _codes(200, 400),
    ),
    Attack(
        "a form, as a web page could send it",
        lambda daemon: _words(
            [
                _status(
                    daemon.send(
                        _request(
                            f"POST /v1/advice HTTP/1.1{_LOCAL}\ncontent-type: text/plain\ncontent-length: 2",
                            b"{}",
                        )
                    )
                )
            ]
        ),
        _codes(415),
    ),
    Attack("TCP without the token, with wrong ones, with it in the address", _token, _codes(401, 400)),
    Attack("TCP with the token, under another host's name (DNS rebinding)", _rebinding, _codes(421)),
    Attack("TCP from another address than the loopback", _from_outside, _codes("refused")),
    Attack(
        "another user: as it is, then with folder and socket open to all",
        _other_user,
        _codes("refused", "closed", "not tried: only root can become another user"),
    ),
    Attack(
        "two users with a daemon each",
        _two_users,
        _codes(
            "each has its own",
            "its user: answered",
            "a third: refused",
            "the first's: refused",
            "a third after chmod 777: closed",
            "not tried: only root can become another user",
            "not tried: another user cannot start this Python",
        ),
    ),
    Attack("leases of others, and made-up ones", _foreign_lease, _codes(404)),
)


@dataclass(frozen=True)
class Tried:
    attack: Attack
    outcome: str
    answered_in: float
    """Seconds until an honest request was answered afterwards."""
    grown: int
    """Bytes of the daemon's memory, against before."""

    @property
    def as_wanted(self) -> bool:
        if "*" in self.attack.allowed:
            return True
        words = {word.partition(" x")[0] for word in self.outcome.split(", ")}
        return words <= self.attack.allowed


def attempt(daemon: LiveDaemon, attack: Attack) -> Tried:
    """Do it, then ask honestly until there is an answer."""
    before = daemon.memory
    outcome = attack.run(daemon)
    return _settled(daemon, attack, outcome, before)


def attempt_together(daemon: LiveDaemon, attacks: list[Attack]) -> list[Tried]:
    """All at the same time."""
    before = daemon.memory
    with ThreadPoolExecutor(len(attacks)) as threads:
        outcomes = list(threads.map(lambda each: each.run(daemon), attacks))
    return [_settled(daemon, each, outcome, before) for each, outcome in zip(attacks, outcomes, strict=True)]


def _settled(daemon: LiveDaemon, attack: Attack, outcome: str, before: int) -> Tried:
    begin = time.monotonic()
    while True:
        try:
            status, _ = daemon.ask("GET", "/v1/status")
        except (OSError, AssertionError):
            status = 0
        if status == 200:
            return Tried(attack, outcome, time.monotonic() - begin, daemon.memory - before)
        assert daemon.process.poll() is None, f"{attack.name}: the daemon ended"
        assert time.monotonic() - begin < 20, f"{attack.name}: no honest answer within 20 s"
        time.sleep(0.1)
