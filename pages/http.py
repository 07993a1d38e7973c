"""docs/reference/http.md and events.md: what the daemons take, answer and send.

The routes of each daemon with their messages, and each event of a stream with its fields.
"""

from __future__ import annotations

from pages import markdown, openapi, schema
from pages.openapi import Route
from rbee.contract import endpoints as ep
from rbee.contract.endpoints import PROOF
from rbee.contract.events import NAMES
from rbee.contract.proof import LABEL
from rbee.runtime.server import LARGEST_BODY

_ROUTES = f"""
Every route except `GET /health`, the queen's `GET /v1/health` and `GET /v1/auth/proof` requires
`Authorization: Bearer KEY` if a key is set; without that header, `X-Api-Key: KEY` is as good. The
queen also accepts [keys with names](../how-to/keys.md); one of the role `use` opens the routes that
say so. `X-Correlation-ID` is accepted or created, returned, logged and passed on. A body may have
up to {LARGEST_BODY >> 20} MiB. An unknown field is refused, so a typo never passes for a default.
Every error has the same shape and one of [these codes](errors.md); an unknown route or worker is
INVALID_REQUEST with HTTP 404, and a mistyped route is told with the one that was meant. In the
queen's routes of [OpenAI's](openai.md), [Anthropic's](anthropic.md) and [Ollama's](ollama.md)
protocol, errors, streams and unknown fields are the protocol's. What a stream sends is described
under [events](events.md).

The same as OpenAPI 3.1 documents: [queen](openapi-queen.json), [hive](openapi-hive.json),
[worker](openapi-worker.json).
"""
_PROOF = f"""
## Before a key is sent

Another program may listen at a daemon's address and answer as the daemon does. So rbee's own
programs ask for a proof on each new connection, and send the key on it only if the proof is
right. Your client need not do so: it may send the key at once.

The question is `GET {PROOF.path}?nonce=…&address=…&host=…&key_id=…&machine=…`:

- `nonce`: 16 to 64 random bytes in lowercase hex, used once.
- `address`: the IP address and the port that the connection leads to, as `127.0.0.1:8080` or
  `[::1]:8080`.
- `host`: the host and the port of the URL in lowercase, as `localhost:8080`.
- `key_id`: empty for the operator's key, `ID` for a key `rbee_ID_SECRET`.
- `machine`: which machine the client is on, if `address` is a loopback address: those are the same
  on every machine. On Linux, the first 32 hex digits of the SHA-256 of `BOOT:NETWORK`, where `BOOT`
  is what `/proc/sys/kernel/random/boot_id` holds, and `NETWORK` the inode number of
  `/proc/self/ns/net`. Otherwise empty, or left out.

The answer is a [Proof](#proof). Its `proof` is HMAC-SHA256 in hex. The HMAC's key is the SHA-256
of the API key. Its message is `{LABEL}`, the answer's `program`, and the question's `nonce`,
`address`, `host`, `key_id` and `machine`, in this order, each in UTF-8 after its length in bytes as
a 32-bit big-endian integer. For the API key `key-of-the-queen`, the program `queen-rbee`, the nonce
`00112233445566778899aabbccddeeff`, `127.0.0.1:8080`, `localhost:8080`, and neither `key_id` nor
`machine`, it is
`33b529298d0dfca274ce0259b7c6b6e2283ebfda104310ef09218852003127e0`.

A daemon proves nothing for an address that is not its own, so nobody can pass its proof on: HTTP
421. An address is its own if `[auth] hosts` names it, or if the connection was accepted there. But
a loopback address is not if the client says that it is on another `machine` than the daemon.
"""
_EVENTS = """
The name of an event is in its `event:` line, and its `data:` line is one of the objects below, as
JSON. Every stream ends with `data: [DONE]`, after success and after an error; a comment line every
10 s keeps it alive. An optional field may be missing. In a hive's `GET /v1/events`, each event has
an `id:` too: the epoch of that hive, a hyphen, and a number that grows by one. Nothing was missed
if the first event is `resumed`; if it is `snapshot`, forget everything known before. With `--json`
the keeper prints each event as a line `{"event": …, "data": …}`.
"""


def page() -> str:
    """docs/reference/http.md."""
    sent = schema.components(_messages())
    # What events are made of is described here too, but not the events themselves.
    found = schema.components([*_messages(), *NAMES])
    parts = {name for kind in NAMES for name in schema.components([kind]).keys() - {kind.__name__}}
    events = {kind.__name__ for kind in NAMES} - sent.keys() - parts
    messages = [
        f"### {name}\n\n{_message(message)}"
        for name, message in found.items()
        if name not in events
    ]
    return markdown.page(
        "HTTP",
        "`rbee/contract/endpoints.py`",
        _ROUTES,
        _PROOF,
        *(_program(each) for each in openapi.PROGRAMS),
        "## Messages",
        *messages,
    )


def _messages() -> list[type]:
    """Requests and replies; events have their own page."""
    routes = [route for each in openapi.PROGRAMS for route in openapi.routes(each).values()]
    found = [
        kind
        for route in routes
        for kind in (route.request, route.reply, route.chunk, route.error)
        if kind not in (ep.Nothing, ep.Text, ep.Content, None)
    ]
    return [kind for kind in found if kind is not None]


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
    if route.role == "use" and not name.startswith("HIVE_"):  # which knows no such keys
        lines.append("Open to keys of the role `use`.")
    lines.append(_answer(route))
    return "  \n".join(lines)


def _answer(route: Route) -> str:
    if route.events:
        names = [f"[{NAMES[kind]}](events.md#{NAMES[kind]})" for kind in route.events]
        if route.reply is ep.Nothing:
            return f"Streams {', '.join(names)}."
        reply = f"Returns {_link(route.reply)}"
        return f"{reply}; with `Accept: text/event-stream`, streams {', '.join(names)}."
    if route.chunk is not None:
        if route.chunk_type != "text/event-stream":
            return f"Streams lines of {_link(route.chunk)}; with `stream` false, returns one."
        return f"Returns {_link(route.reply)}; with `stream`, streams {_link(route.chunk)}."
    if route.reply is ep.Text:
        return "Returns text."
    if route.reply is ep.Content:
        return "Returns the bytes, as `application/octet-stream`."
    if route.reply is ep.Nothing:
        return f"Returns {route.status} without a body."
    status = f" with {route.status}" if route.status != 200 else ""
    return f"Returns {_link(route.reply)}{status}."


def _link(kind: type) -> str:
    return f"[{kind.__name__}](#{markdown.anchor(kind.__name__)})"


def _message(found: dict[str, object]) -> str:
    parts = (markdown.prose(str(found.get("description", ""))), schema.fields(found))
    return "\n\n".join(part for part in parts if part)


def events_page() -> str:
    """docs/reference/events.md."""
    parts = [_event(name, kind) for kind, name in sorted(NAMES.items(), key=lambda item: item[1])]
    return markdown.page("Events", "`rbee/contract/events.py`", _EVENTS, *parts)


def _event(name: str, kind: type) -> str:
    found = schema.components([kind])[kind.__name__]
    parts = (
        f"## {name}",
        markdown.prose(kind.__doc__),
        schema.fields(found, page="http.md"),
        f"Sent by {', '.join(_senders(kind))}.",
    )
    return "\n\n".join(part for part in parts if part)


def _senders(kind: type) -> list[str]:
    found = []
    for program in openapi.PROGRAMS:
        places = [
            markdown.code(f"{route.method} {route.path}")
            for route in openapi.routes(program).values()
            if kind in route.events
        ]
        if places:
            found.append(f"the {program} ({', '.join(places)})")
    return found
