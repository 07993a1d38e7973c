"""docs/reference/http.md: the routes of each daemon, and the messages that they take and answer."""

from __future__ import annotations

from pages import markdown, openapi, schema
from pages.openapi import Route
from rbee.contract import endpoints as ep
from rbee.contract.errors import ErrorEnvelope
from rbee.contract.events import NAMES
from rbee.runtime.server import LARGEST_BODY

_HOW = f"""
Every route but `GET /health` wants `Authorization: Bearer KEY` where a key is set.
`X-Correlation-ID` is taken or made, answered, logged and passed on. A body may have
{LARGEST_BODY >> 20} MiB. A field that is not known is refused: a typo never passes for a default.
Every error has one shape and one of [these codes](errors.md); an unknown route or worker is
INVALID_REQUEST with HTTP 404. What a stream sends stands in [events](events.md).

The same as OpenAPI 3.1: [queen](openapi-queen.json), [hive](openapi-hive.json),
[worker](openapi-worker.json).
"""


def page() -> str:
    """The whole page."""
    found = schema.components(_told())
    messages = [f"### {name}\n\n{_message(message)}" for name, message in found.items()]
    return markdown.page(
        "HTTP",
        "`rbee/contract/endpoints.py`",
        _HOW,
        *(_program(each) for each in openapi.PROGRAMS),
        "## Messages",
        *messages,
    )


def _told() -> list[type]:
    """Requests and replies; events have a page of their own."""
    routes = [route for each in openapi.PROGRAMS for route in openapi.routes(each).values()]
    kinds = [kind for route in routes for kind in (route.request, route.reply)]
    return [*(kind for kind in kinds if kind not in (ep.Nothing, ep.Text)), ErrorEnvelope]


def _program(program: str) -> str:
    routes = [_route(name, route) for name, route in openapi.routes(program).items()]
    name, port = openapi.PROGRAMS[program], openapi.PORTS[program]
    upward = " upward" if program == "worker" else ""
    return "\n\n".join([f"## {name}, port {port}{upward}", *routes])


def _route(name: str, route: Route) -> str:
    query = f"?{'&'.join(f'{key}=' for key in route.query)}" if route.query else ""
    lines = [f"**`{route.method} {route.path}{query}`**", openapi.about(name)]
    if route.request is not ep.Nothing:
        lines.append(f"Takes {_link(route.request)}.")
    lines.append(_answer(route))
    return "  \n".join(lines)


def _answer(route: Route) -> str:
    if route.events:
        names = [f"[{NAMES[kind]}](events.md#{NAMES[kind]})" for kind in route.events]
        return f"Sends {', '.join(names)}."
    if route.reply is ep.Text:
        return "Answers text."
    if route.reply is ep.Nothing:
        return f"Answers {route.status} without a body."
    status = f" with {route.status}" if route.status != 200 else ""
    return f"Answers {_link(route.reply)}{status}."


def _link(kind: type) -> str:
    return f"[{kind.__name__}](#{markdown.anchor(kind.__name__)})"


def _message(found: dict[str, object]) -> str:
    parts = (markdown.prose(str(found.get("description", ""))), schema.fields(found))
    return "\n\n".join(part for part in parts if part)
