"""What is done to a valid request. Each changes one thing, and says in its name what."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeAlias

from harness.attack.exchange import request
from harness.attack.openapi import ELSEWHERE

_DEEP = 20_000
_LONG = 100_000
_TEXTS = (
    "",
    "\x00",
    "\x1b[2J",
    "\u202e\u2066\ufeff",
    "\ud800",
    "a" * _LONG,
    "../../../etc/passwd",
    "file:/proc/self/fd/0",
    "$(reboot)",
    "%s%n{0}{a.b}",
    "{{ 7 * 7 }}",
    "-oProxyCommand=x",
    "NaN",
    "1e400",
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308),
    *(math.nan, math.inf, -math.inf, [], {}, [[]], {"": ""}, [None] * 1000),
    *_TEXTS,
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get")
_TYPES = (
    *("text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded"),
    *("multipart/form-data; boundary=x", "application/xml", "\xff", "application/json" * 100, ""),
)
_PATHS = (
    *(
        "//{}",
        "{}/",
        "{}/..",
        "/%2e%2e{}",
        "{}%00",
        "{}%0d%0aX: y",
        "{};a=b",
        "{}#a",
        "{}?",
        "{}\\",
    ),
    *("{}/%ff", "{}%1b[2J", "/./{}", "http://localhost{}", "{}?%", "{}?a[]=1&a[]=2", "*", "{}x"),
    "{}" + "/a" * 2000,
)
_QUERIES = (
    *("node=%00", "node=%ff", "node=\x1b[2J", "lines=-1", "lines=1e9", "lines=9" + "9" * 400),
    *("follow=maybe", "a=b", "node=a&node=b", "=", "&&&", "id=%2e%2e%2f", "node=" + "n" * 5000),
)
_HEADERS: tuple[tuple[str, str], ...] = (
    ("Host", "\xff"),
    ("Host", ""),
    ("Host", "evil.example"),
    ("Origin", "http://evil.example"),
    ("Origin", "null"),
    ("Authorization", "Bearer"),
    ("Authorization", "Bearer \xff\xfe"),
    ("Authorization", "Basic YTpi"),
    ("Authorization", "Bearer " + "k" * 4000),
    ("Accept", "text/event-stream"),
    ("Accept", "\x7f"),
    ("Content-Length", "-1"),
    ("Content-Length", "1e3"),
    ("Content-Length", "99999999999999999999"),
    ("Transfer-Encoding", "chunked, gzip"),
    ("Content-Encoding", "gzip"),
    ("Content-Encoding", "br"),
    ("Expect", "100-continue"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("X-Correlation-ID", "\x1b[2J" + "x" * 300),
    ("X-Forwarded-For", "127.0.0.1"),
    ("Range", "bytes=0-" + "9" * 300),
    ("Cookie", "a" * 7000),
    ("Bad Name", "x"),
    ("X-Folded", "a\r\n b"),
    ("X-Many", "y\r\n" + "X-More: z\r\n" * 200 + "X-Last: z"),
)


@dataclass(frozen=True)
class Shape:
    """A request in parts. `tail` is sent behind it; without `whole` the body is cut, and no more
    comes. `raw` takes the place of all of it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    message: Any = None
    tail: bytes = b""
    whole: bool = True
    raw: bytes = b""
    notes: tuple[str, ...] = field(default=())

    @property
    def content(self) -> bytes:
        if self.raw:
            return self.raw + self.tail
        made = request(self.method, self.target, self.headers, self.body)
        return made + self.tail


Mutation: TypeAlias = Callable[[Shape, Random], Shape]


def mutate(shape: Shape, random: Random) -> Shape:
    """Do one thing to it, or two."""
    for _ in range(random.choice((1, 1, 2))):
        mutation = random.choice(MUTATIONS)
        shape = mutation(shape, random)
        shape = replace(shape, notes=(*shape.notes, mutation.__name__.strip("_")))
    return shape


def _with(shape: Shape, message: Any) -> Shape:
    kept = _kept_near(message)
    return replace(shape, message=kept, body=json.dumps(kept).encode(errors="replace"))


def _kept_near(message: Any) -> Any:
    """No other machine is asked, or looked up, and no answer is computed for long."""
    if not isinstance(message, dict):
        return message
    near = dict(message)
    for name, value in message.items():
        if name in ELSEWHERE and isinstance(value, str) and value:
            near[name] = ELSEWHERE[name][0]
    if message.keys() & {"prompt", "messages"} and not message.get("max_tokens"):
        near["stream"] = True
    return near


def _wrong_value(shape: Shape, random: Random) -> Shape:
    """Somewhere in the message, at any depth."""
    message, wrong = json.loads(json.dumps(shape.message)), random.choice(_VALUES)
    place = message
    while isinstance(place, dict | list) and place:
        key = (
            random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
        )
        if not isinstance(place[key], dict | list) or not place[key] or random.random() < 0.3:
            place[key] = wrong
            return _with(shape, message)
        place = place[key]
    return _with(shape, wrong)


def _missing_field(shape: Shape, random: Random) -> Shape:
    if not isinstance(shape.message, dict) or not shape.message:
        return shape
    gone = random.choice(list(shape.message))
    return _with(shape, {key: each for key, each in shape.message.items() if key != gone})


def _unknown_field(shape: Shape, random: Random) -> Shape:
    if not isinstance(shape.message, dict):
        return shape
    return _with(shape, {**shape.message, random.choice(_TEXTS)[:200]: random.choice(_TEXTS)})


def _other_message(shape: Shape, random: Random) -> Shape:
    return _with(shape, random.choice(_VALUES))


def _deep(shape: Shape, random: Random) -> Shape:
    opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return replace(shape, body=opened * _DEEP + b"0" + closed * _DEEP)


def _duplicate_keys(shape: Shape, _: Random) -> Shape:
    body = shape.body or b"{}"
    inner = body.strip()[1:-1]
    return replace(shape, body=b"{" + inner + (b"," if inner else b"") + inner + b"}")


def _broken_text(shape: Shape, random: Random) -> Shape:
    body = bytearray(shape.body or b'{"a":"b"}')
    for _ in range(random.randint(1, 4)):
        body.insert(random.randrange(len(body) + 1), random.choice((0xFF, 0xC3, 0xED, 0x00, 0x80)))
    return replace(shape, body=bytes(body))


def _other_encoding(shape: Shape, random: Random) -> Shape:
    text = (shape.body or b"{}").decode(errors="replace")
    return replace(
        shape, body=text.encode(random.choice(("utf-8-sig", "utf-16", "utf-32", "utf-7")))
    )


def _noise(shape: Shape, random: Random) -> Shape:
    return replace(shape, body=random.randbytes(random.choice((1, 100, 10_000))))


def _huge(shape: Shape, random: Random) -> Shape:
    return replace(shape, body=b'{"prompt":"' + b"a" * random.choice((10**5, 10**6)) + b'"}')


def _compressed(shape: Shape, _: Random) -> Shape:
    headers = {**shape.headers, "Content-Encoding": "gzip"}
    return replace(shape, headers=headers, body=gzip.compress(shape.body or b"{}", 1, mtime=0))


def _wrong_method(shape: Shape, random: Random) -> Shape:
    return replace(shape, method=random.choice(_METHODS))


def _wrong_type(shape: Shape, random: Random) -> Shape:
    return replace(shape, headers={**shape.headers, "Content-Type": random.choice(_TYPES)})


def _wrong_header(shape: Shape, random: Random) -> Shape:
    name, value = random.choice(_HEADERS)
    whole = shape.whole and name not in ("Content-Length", "Transfer-Encoding", "Expect")
    return replace(shape, headers={**shape.headers, name: value}, whole=whole)


def _missing_header(shape: Shape, random: Random) -> Shape:
    gone = random.choice([*shape.headers, "Host"])
    return replace(shape, headers={k: v for k, v in shape.headers.items() if k != gone})


def _path_trick(shape: Shape, random: Random) -> Shape:
    path = shape.target.partition("?")[0]
    return replace(shape, target=random.choice(_PATHS).replace("{}", path))


def _query_trick(shape: Shape, random: Random) -> Shape:
    path = shape.target.partition("?")[0]
    return replace(shape, target=f"{path}?{random.choice(_QUERIES)}")


def _chunked(shape: Shape, random: Random) -> Shape:
    """With extensions, trailers, or sizes that lie."""
    body = shape.body or b"{}"
    size = random.choice((b"%x", b"%x;a=b", b"0%x", b"-%x", b"%xg", b"f%x")) % len(body)
    end = random.choice((b"0\r\n\r\n", b"0\r\nX-Trailer: y\r\n\r\n", b"", b"0\r\n"))
    headers = {**shape.headers, "Transfer-Encoding": "chunked"}
    headers.pop("Content-Length", None)
    made = request(shape.method, shape.target, headers, b"")
    return replace(shape, raw=made + size + b"\r\n" + body + b"\r\n" + end, whole=False)


def _partial(shape: Shape, random: Random) -> Shape:
    made = shape.content
    return replace(shape, raw=made[: random.randrange(1, len(made))], whole=False)


def _pipelined(shape: Shape, random: Random) -> Shape:
    return replace(shape, tail=request("GET", "/health", shape.headers) * random.randint(1, 20))


def _not_http(shape: Shape, random: Random) -> Shape:
    made = bytearray(shape.content)
    for _ in range(random.randint(1, 8)):
        made[random.randrange(min(len(made), 200))] = random.randrange(256)
    return replace(shape, raw=bytes(made), whole=False)


def _two_lengths(shape: Shape, _: Random) -> Shape:
    """The beginning of smuggling: two lengths, or a length and chunks."""
    body = shape.body or b""
    made = request(shape.method, shape.target, {**shape.headers, "Content-Length": "0"}, body)
    return replace(
        shape, raw=made.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1), whole=False
    )


# Those of the message more often, since there is most to get wrong.
MUTATIONS: tuple[Mutation, ...] = (
    *(_wrong_value, _wrong_value, _wrong_value, _wrong_value, _missing_field, _unknown_field),
    *(_other_message, _deep, _duplicate_keys, _broken_text, _other_encoding, _noise, _huge),
    *(_compressed, _wrong_method, _wrong_type, _wrong_header, _wrong_header, _missing_header),
    *(_path_trick, _query_trick, _chunked, _partial, _pipelined, _not_http, _two_lengths),
)
