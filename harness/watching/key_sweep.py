"""Every route of queen, hive and worker, asked with keys that are not the key, and with the key.

The routes are those of `harness/promises/routes.toml`.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.watching import raw_requests
from harness.watching.raw_requests import KINDS, bearer
from harness.watching.replies import error_of
from harness.world.http_client import Reply

ROUTES = Path(__file__).parents[1] / "promises" / "routes.toml"
_SHUTDOWN = "/v1/admin/shutdown"
_NOBODY = dict.fromkeys(
    ("hold_id", "request_id", "name", "model", "response_id", "digest"), "nobody"
)
# No route that takes a body has such a field, so nothing is done.
_HARMLESS = b'{"no_such_field": 1}'


@dataclass(frozen=True)
class Route:
    """`kind` is json, stream, text or nothing, or openai, anthropic or ollama: JSON in that
    protocol; `open` routes want no key, and those of `use` no key that manages."""

    daemon: str
    method: str
    path: str
    kind: str
    open: bool
    use: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path} of the {self.daemon}"

    @property
    def concrete_path(self) -> str:
        """Of a thing that there is not."""
        return self.path.format_map(_NOBODY)


def routes() -> list[Route]:
    found = []
    for daemon, table in tomllib.loads(ROUTES.read_text()).items():
        for route, kind in table["routes"].items():
            method, path = route.split()
            use = route in table.get("use", [])
            found.append(Route(daemon, method, path, kind, route in table["open"], use))
    return found


def headers_with(key: str, which: str) -> dict[str, str]:
    """Return the header for what a feature calls `which`."""
    half = len(key) // 2
    other = {
        "none": {},
        "a wrong one of the same length": bearer("0" * len(key)),
        "its first half": bearer(key[:half]),
        "all but its last character": bearer(key[:-1]),
        "the key and one more character": bearer(key + "x"),
        "one more character and the key": bearer("x" + key),
        "the key in the other case": bearer(key.swapcase()),
        "the key without the word Bearer": {"Authorization": key},
        "the key after the word Basic": {"Authorization": f"Basic {key}"},
    }
    return other[which]


def ask(urls: dict[str, str], headers: dict[str, str]) -> Iterator[tuple[Route, Reply]]:
    """Ask every route without ever sending a body: the key is checked before it is read."""
    for route in routes():
        announced = 2 if route.method == "POST" else None
        url = urls[route.daemon] + route.concrete_path
        try:
            reply = raw_requests.send(route.method, url, headers, announced=announced, within=5)
        except TimeoutError as error:
            raise AssertionError(f"{route} waits for a body from {headers}") from error
        yield route, reply


def ask_with_key(urls: dict[str, str], key: str) -> Iterator[tuple[Route, Reply]]:
    """Ask every route but those that shut the daemon down."""
    for route in routes():
        if not route.path.startswith(_SHUTDOWN):
            yield route, _ask_in_full(urls, route, key)


def _ask_in_full(urls: dict[str, str], route: Route, key: str) -> Reply:
    body = _HARMLESS if route.method == "POST" else None
    url = urls[route.daemon] + route.concrete_path
    return raw_requests.send(route.method, url, bearer(key), body)


def wrongly_open(queen: str, key: str, name: str) -> list[str]:
    """Return the complaints about routes that manage and do not refuse the key of the role use that
    has this name. A body is announced, and never comes."""
    wanted = 403, "WRONG_ROLE", {"key": name, "role": "use", "required": "manage"}
    complaints = []
    for route in (each for each in routes() if each.daemon == "queen"):
        if not route.open and not route.use:
            announced = 2 if route.method == "POST" else None
            url = queen + route.concrete_path
            reply = raw_requests.send(route.method, url, bearer(key), announced=announced, within=5)
            error = error_of(reply) if reply.status >= 400 else None
            found = error and (error.status, error.code, error.details)
            complaints += [f"{route}: {found or reply}"] if found != wanted else []
    return complaints


def wrongly_closed(queen: str, key: str, operators: str) -> list[str]:
    """Return the complaints about routes of the role use that answer its key in another way than
    the operator's."""
    complaints = []
    for route in (each for each in routes() if each.use):
        urls = {"queen": queen}
        own, theirs = (_ask_in_full(urls, route, each) for each in (key, operators))
        kinds = [each.headers.get_content_type() for each in (own, theirs)]
        if own.status != theirs.status or len(set(kinds)) > 1:
            complaints.append(f"{route}: {own.status}, {kinds}, {own.body[:300]!r}")
    return complaints


def not_refused(
    urls: dict[str, str], key: str, which: Sequence[str]
) -> tuple[list[str], list[tuple[Route, Reply]]]:
    """Return the complaints about routes that want the key, and the replies of the others."""
    complaints, opened = [], []
    for each in which:
        for route, reply in ask(urls, headers_with(key, each)):
            if route.open:
                opened.append((route, reply))
            else:
                host = urlsplit(urls[route.daemon]).netloc
                complaints += [f"{route}, {each}: {what}" for what in _wrong(reply, host)]
    return complaints, opened


def _wrong(reply: Reply, host: str) -> list[str]:
    if reply.status != 401:
        return [f"HTTP {reply.status}"]
    error = error_of(reply)
    found = error.code, error.details, reply.headers.get_content_type(), bool(error.message)
    wanted = "INVALID_API_KEY", {"host": host}, KINDS["json"], True
    return [] if found == wanted else [f"{found}"]


def complaints(urls: dict[str, str], key: str) -> list[str]:
    """Return the complaints about what routes answer to the right key: each is there, and its
    answer is of the promised kind, or an error about the harmless request itself."""
    complaints = []
    for route, reply in ask_with_key(urls, key):
        kind = reply.headers.get_content_type()
        if reply.status < 300:
            wanted = 204 if route.kind == "nothing" else 200
            right = reply.status == wanted and kind == KINDS.get(route.kind, kind)
            right = right and (route.kind != "nothing" or not reply.body)
        else:
            fields = [each["field"] for each in error_of(reply).details.get("errors", [])]
            known = {("POST", "no_such_field"), ("GET", "id"), ("GET", "query")}
            known |= {("GET", "name"), ("DELETE", "name")}
            right = kind == KINDS["json"] and {(route.method, each) for each in fields} <= known
            right = right and len(fields) == 1
            if route.kind in ("openai", "anthropic"):  # it ignores that field, and misses another
                lacks = {"messages", "prompt", "input", "query", "content", "tokens", "path"}
                right = set(fields) <= lacks | {"response_id"}
                right = right and reply.status == (400 if lacks & set(fields) else 404)
            if route.kind == "ollama":
                right = fields in (["model"], ["path"]) and reply.status == 400
        if not right:
            complaints.append(f"{route}: HTTP {reply.status}, {kind}, {reply.body[:300]!r}")
    return complaints
