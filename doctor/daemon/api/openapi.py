"""The OpenAPI 3.1 description, made from the routes and the types that they check with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from doctor.daemon.api.route import Problem, Route

_REF = "#/components/schemas/{name}"
_PLACE = re.compile(r"\{(\w+)\}")
_EVERYWHERE = {
    400: "The parameters, the headers or the body are wrong.",
    401: "Over TCP: the token is missing or wrong.",
    429: "Too many requests; Retry-After says how long to wait.",
    500: "A defect of the daemon; its log has the reason.",
    503: "Too many connections.",
}


def sdoctor_version() -> str:
    """Of the installed package; "unknown" for a bare checkout."""
    try:
        return version("sdoctor")
    except PackageNotFoundError:
        return "unknown"


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The document."""
    types: list[Any] = [Problem]
    for route in routes:
        types += [each for each in (route.gives, route.body) if each is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    known = {id(each): schema for each, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {
        "/v1/openapi.json": {"get": _plain("This description.", "application/json")},
        "/metrics": {"get": _plain("Every figure, as Prometheus reads it.", "text/plain")},
    }
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sdoctor daemon",
            "version": sdoctor_version(),
            "description": "What the machine does, what is wrong with it, and which settings fit right now.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _plain(summary: str, media: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": summary, "content": {media: {}}}}}


def _operation(route: Route, known: dict[int, Any]) -> dict[str, Any]:
    done = (
        {"204": {"description": "Done."}}
        if route.gives is None
        else {
            "200": {
                "description": route.summary,
                "content": {"application/json": {"schema": known[id(route.gives)]}},
            }
        }
    )
    refusals = {
        str(status): {
            "description": words,
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
        for status, words in sorted((_EVERYWHERE | route.refusals).items())
    }
    found: dict[str, Any] = {"summary": route.summary, "responses": done | refusals}
    if parameters := [*_places(route), *_parameters(route)]:
        found["parameters"] = parameters
    if route.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": known[id(route.body)]}},
        }
    return found


def _places(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACE.findall(route.path)
    ]


def _parameters(route: Route) -> list[dict[str, Any]]:
    (_reference,), components = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]
