"""docs/reference/events.md: what streams carry, each event with its fields and its meaning."""

from __future__ import annotations

from pages import markdown, openapi, schema
from rbee.contract.events import NAMES

_HOW = """
The kind of an event is its `event:` name, `data:` is one of these as JSON. A stream closes with
`data: [DONE]`, in success and in error; a comment line every 10 s keeps it alive. A field that is
not said may be missing. With `--json` the keeper prints each event as a line
`{"event": …, "data": …}`.
"""


def page() -> str:
    """The whole page."""
    parts = [_event(name, kind) for kind, name in sorted(NAMES.items(), key=lambda item: item[1])]
    return markdown.page("Events", "`rbee/contract/events.py`", _HOW, *parts)


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
