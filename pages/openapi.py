"""docs/reference/openapi-PROGRAM.json: what a daemon serves, as an OpenAPI 3.1 document.

There is one for each daemon, since their paths collide. A stream is `text/event-stream`; `x-events`
lists the events that it may send, by name.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from pages import schema
from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract import gateway_endpoints
from rbee.contract.events import NAMES

PROGRAMS = {"queen": "queen-rbee", "hive": "rbee-hive", "worker": "llm-worker-rbee"}
PORTS = {"queen": 8080, "hive": 9200, "worker": 8001}

Route = ep.Endpoint[Any, Any]

_MODULES = (ep, gateway_endpoints)
_SSE = "with `stream`, chunks of it, closed by `data: [DONE]`"
_KEY = {"type": "http", "scheme": "bearer", "description": "The API key, where one is set."}


def text(program: str) -> str:
    """The document as the file has it."""
    return json.dumps(document(program), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def document(program: str) -> dict[str, Any]:
    """The document of a daemon."""
    paths: dict[str, Any] = {}
    for name, route in routes(program).items():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(program, name, route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": PROGRAMS[program],
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": f"http://127.0.0.1:{PORTS[program]}"}],
        "paths": paths,
        "components": {"schemas": schemas(program), "securitySchemes": {"key": _KEY}},
    }


def routes(program: str) -> dict[str, Route]:
    """The routes of a daemon by their names, in the order of the modules; the
    routes that every daemon has come last."""
    found = {
        name: route
        for module in _MODULES
        for name, route in vars(module).items()
        if isinstance(route, ep.Endpoint)
    }
    programs = tuple(f"{known.upper()}_" for known in PROGRAMS)
    own = {name: route for name, route in found.items() if name.startswith(program.upper() + "_")}
    return own | {name: route for name, route in found.items() if not name.startswith(programs)}


def messages(program: str) -> list[type]:
    """The messages that its routes take, return and send, each once, in the order of the routes."""
    found: dict[type | None, None] = {}
    for route in routes(program).values():
        for kind in (route.request, route.reply, *route.events, route.chunk, route.error):
            if kind not in (ep.Nothing, ep.Text, ep.Content, None):
                found.setdefault(kind)
    return [kind for kind in found if kind is not None]


def schemas(program: str) -> dict[str, Any]:
    """The JSON schemas of its messages by name, including those inside others."""
    return schema.components(messages(program))


@cache
def about(name: str) -> str:
    """What a route does: the text below it in its module."""
    files = [Path(str(module.__file__)) for module in _MODULES]
    body = [line for file in files for line in ast.parse(file.read_text(encoding="utf-8")).body]
    for statement, below in itertools.pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and statement.targets[0].id == name
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            return " ".join(str(below.value.value).split())
    return ""


def _operation(program: str, name: str, route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": name.lower(), "description": about(name)}
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.request is not ep.Nothing:
        operation["requestBody"] = {"required": True, "content": _json(route.request)}
    operation["responses"] = {
        str(route.status): _answer(route),
        **({str(route.degraded): _answer(route)} if route.degraded else {}),
        "default": {"description": "An error.", "content": _json(route.error)},
    }
    # Only the queen has keys of several roles.
    roles = [route.role] if program == "queen" and route.role == "manage" else []
    operation["security"] = [] if route.open else [{"key": roles}]
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    kinds = [("path", name) for name in re.findall(r"{(\w+)}", route.path)]
    kinds += [("query", name) for name in route.query]
    return [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
        for place, name in kinds
    ]


def _answer(route: Route) -> dict[str, Any]:
    if route.events:
        events = {NAMES[kind]: _reference(kind) for kind in route.events}
        content = {"text/event-stream": {"schema": {"type": "string"}, "x-events": events}}
        description = "Events, closed by `data: [DONE]`."
        if route.reply is not ep.Nothing:
            content = {**_json(route.reply), **content}
            description = "The answer; or, if the client accepts them, events closed by `[DONE]`."
        return {"description": description, "content": content}
    if route.chunk is not None:
        content = {route.chunk_type: {"schema": _reference(route.chunk)}}
        lines = route.chunk_type == "application/x-ndjson"
        stream = "without `stream` false, lines of it" if lines else _SSE
        description = f"The reply; or, {stream}."
        return {"description": description, "content": {**_json(route.reply), **content}}
    if route.reply is ep.Text:
        content = {"text/plain": {"schema": {"type": "string"}}}
        return {"description": "As text.", "content": content}
    if route.reply is ep.Content:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        return {"description": "The bytes; with `Range`, a part of them.", "content": content}
    if route.reply is ep.Nothing:
        return {"description": "Done, without a body."}
    return {"description": "The reply.", "content": _json(route.reply)}


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(kind)}}


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
