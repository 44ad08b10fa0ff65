"""The ASGI application: takes routes, checks what comes in by their types, and sends what they answer."""

from __future__ import annotations

import asyncio
import hmac
import http
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from doctor.daemon.api.limits import Limits, Rate
from doctor.daemon.api.openapi import describe
from doctor.daemon.api.route import Call, Peer, Problem, Refused, Route

_log = logging.getLogger(__name__)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Counts:
    """What was asked and what was refused, for the metrics."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        """By HTTP status."""
        self.refused: Counter[str] = Counter()
        """Connections that were closed, by reason."""


def create_app(
    routes: Sequence[Route],
    *,
    metrics: Callable[[], bytes] | None = None,
    token: str | None = None,
    limits: Limits | None = None,
    counts: Counts | None = None,
) -> Starlette:
    """The application. ``token`` is asked for over TCP only: the Unix socket has its file's rights."""
    limits = limits or Limits()
    counts = counts or Counts()
    threads = anyio.CapacityLimiter(limits.threads)
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    served = [
        StarletteRoute(path, _Endpoint(methods, limits, threads), methods=list(methods))
        for path, methods in by_path.items()
    ]
    document = msgspec.json.encode(describe(routes))
    served.append(StarletteRoute("/v1/openapi.json", _fixed(document)))
    if metrics is not None:
        served.append(StarletteRoute("/metrics", _metrics(metrics, threads)))
    app = Starlette(
        routes=served,
        middleware=[Middleware(_Gate, limits=limits, counts=counts, token=token)],
        exception_handlers={HTTPException: _refuse, Exception: _defect},
    )
    app.router.redirect_slashes = False
    return app


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong (RFC 9457)."""
    body = Problem(status=status, title=http.HTTPStatus(status).phrase, detail=detail)
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/problem+json",
        headers=_NO_STORE | (headers or {}),
    )


class _Endpoint:
    """All methods of one path. An instance, so that Starlette takes it for an ASGI application."""

    def __init__(self, methods: dict[str, Route], limits: Limits, threads: anyio.CapacityLimiter) -> None:
        self._methods = methods
        self._limits = limits
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refused as refused:
            again = (
                {}
                if refused.wait_seconds is None
                else {"retry-after": str(max(1, round(refused.wait_seconds)))}
            )
            response = problem(refused.status, refused.sentence, again)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        route = self._methods["GET" if request.method == "HEAD" else request.method]
        call = Call(
            peer=peer_of(request.scope),
            path={name: str(value) for name, value in request.path_params.items()},
            query=_query(route, request),
            body=await _body(route, request, self._limits),
        )
        result = await anyio.to_thread.run_sync(route.answer, call, limiter=self._threads)
        if route.gives is None:
            return Response(status_code=204, headers=_NO_STORE)
        return Response(msgspec.json.encode(result), media_type="application/json", headers=_NO_STORE)


def peer_of(scope: Scope) -> Peer:
    """Who asks, from where ``GuardedProtocol`` left it."""
    client = scope.get("client")
    return Peer(pid=client[1] if client and client[0] == "" else None)


def _query(route: Route, request: Request) -> Any:
    pairs = request.query_params.multi_items()
    named = dict(pairs)
    if len(named) < len(pairs):
        raise Refused(400, "A parameter is given twice; give each once.")
    try:
        return msgspec.convert(named, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(400, f"The parameters are wrong: {error}.") from error


async def _body(route: Route, request: Request, limits: Limits) -> Any:
    """What was sent, decoded. A route that takes nothing is sent nothing."""
    content = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                content += piece
                if len(content) > limits.body_bytes:
                    raise Refused(413, f"The body is longer than {limits.body_bytes} bytes.")
    except TimeoutError:
        raise Refused(408, f"The body did not come within {limits.body_seconds:g} s.") from None
    if route.body is None:
        if content:
            raise Refused(400, "This takes no body.")
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A web page can send other types elsewhere without being asked first (fetch.spec.whatwg.org, CORS-safelisted).
    if kind != "application/json":
        raise Refused(415, "Send the body as 'content-type: application/json'.")
    try:
        return msgspec.json.decode(content, type=route.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"The body is wrong: {error}.") from error


class _Gate:
    """Before any route: who may come in, how often, and with what."""

    def __init__(self, app: ASGIApp, limits: Limits, counts: Counts, token: str | None) -> None:
        self._app = app
        self._limits = limits
        self._counts = counts
        self._token = None if token is None else f"Bearer {token}".encode()
        self._rate = Rate(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._counts.answers[message["status"]] += 1
                # RFC 9110, 6.6.1: whoever has a clock says the date.
                message["headers"] = [*message["headers"], (b"date", formatdate(usegmt=True).encode())]
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, counted)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers and name in (b"host", b"authorization", b"content-type", b"content-length"):
                return problem(400, f"The header {name.decode()} is given twice.")
            headers[name] = value
        if b"transfer-encoding" in headers and b"content-length" in headers:
            # Two programs may see two ends of such a request (RFC 9112, 6.1).
            return problem(400, "The body's length is given in two ways.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > self._limits.target_bytes:
            return problem(414, f"The path is longer than {self._limits.target_bytes} bytes.")
        pid = peer_of(scope).pid
        wait = self._rate.wait(pid)
        if wait:
            return problem(
                429, f"Too many requests; wait {wait:.2f} s.", {"retry-after": str(max(1, round(wait)))}
            )
        return self._stranger(headers) if pid is None and _is_tcp(scope) else None

    def _stranger(self, headers: dict[bytes, bytes]) -> Response | None:
        """Over TCP anybody on this machine can come, and any web page through the browser."""
        host = headers.get(b"host", b"").decode("latin-1")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in _LOOPBACK:
            return problem(421, "Ask 127.0.0.1 by that name.")
        given = headers.get(b"authorization", b"")
        if self._token is None or not hmac.compare_digest(given, self._token):
            return problem(
                401,
                "Send the token: 'authorization: Bearer TOKEN'; it is in the file 'token' beside the daemon's socket.",
                {"www-authenticate": "Bearer"},
            )
        return None


def _is_tcp(scope: Scope) -> bool:
    """uvicorn gives the address of a TCP server as (host, port), of a Unix socket as (path, None)."""
    server = scope.get("server")
    return server is None or server[1] is not None


def _fixed(content: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return Response(content, media_type="application/json", headers=_NO_STORE)

    return answer


def _metrics(
    text: Callable[[], bytes], threads: anyio.CapacityLimiter
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        content = await anyio.to_thread.run_sync(text, limiter=threads)
        # The media type of the text format (prometheus.io/docs/instrumenting/exposition_formats).
        return Response(content, media_type="text/plain; version=0.0.4", headers=_NO_STORE)

    return answer


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: "There is nothing here; GET /v1/openapi.json lists what there is.",
        405: "This cannot be asked that way; GET /v1/openapi.json lists what can.",
    }
    return problem(
        error.status_code, words.get(error.status_code, str(error.detail)), dict(error.headers or {})
    )


async def _defect(request: Request, error: Exception) -> Response:
    """What no route foresaw. Starlette raises it again afterwards, for the log."""
    _log.error("a request failed", extra={"path": request.url.path, "error": repr(error)})
    return problem(500, "The daemon could not answer this; its log has the reason.")
