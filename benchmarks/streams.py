"""The client for all servers: it sends a request and notes when each token arrives.

It uses bare sockets on an event loop: the client shares the machine with the server, so it must
cost little, and the same for every server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.peers import KINDS, Peer


@dataclass
class Answer:
    """Moments in seconds of one monotonic clock."""

    sent: float
    arrivals: list[float] = field(default_factory=list)
    ended: float = 0.0

    @property
    def first_ms(self) -> float:
        """Time to first token, milliseconds."""
        return (self.arrivals[0] - self.sent) * 1000

    @property
    def rate(self) -> float:
        """Tokens per second of the decode, without the prefill."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    def gaps_ms(self, begin: float, end: float) -> list[float]:
        """Milliseconds between tokens, for the gaps that end between two moments."""
        pairs = zip(self.arrivals, self.arrivals[1:], strict=False)
        return [(late - early) * 1000 for early, late in pairs if begin <= late <= end]


async def ask(
    peer: Peer, prompt: str, tokens: int, cache: bool = False, answer: Answer | None = None
) -> Answer:
    """Read one answer to its end. `answer` is filled as the tokens arrive."""
    kind = KINDS[peer.name]
    body = peer.body(prompt, tokens, cache)
    return await read_answer(peer.url + kind.path, body, kind.mark, tokens, {}, answer)


async def read_answer(
    url: str,
    asked: Mapping[str, Any],
    mark: bytes,
    tokens: int,
    headers: Mapping[str, str],
    answer: Answer | None = None,
) -> Answer:
    """Read one answer to its end, of which each line with a token has `mark`. Ends this program
    with what was said if there are fewer than two."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 24)
    body = json.dumps(asked).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n{more}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = answer or Answer(0.0)
    answer.sent = time.perf_counter()
    writer.write(head.encode() + body)
    last = b""
    try:
        while line := await reader.readline():
            if mark in line:
                answer.arrivals.append(time.perf_counter())
            last = line if len(line) > 2 else last
    finally:
        answer.ended = time.perf_counter()
        writer.close()
    if len(answer.arrivals) < min(tokens, 2):
        raise SystemExit(f"{url} did not answer: {last!r}")
    return answer


async def together(peer: Peer, prompts: list[str], tokens: int) -> float:
    """Total tokens per second of simultaneous answers, from the first request to the last end."""
    answers = await asyncio.gather(*(ask(peer, prompt, tokens) for prompt in prompts))
    span = max(a.ended for a in answers) - min(a.sent for a in answers)
    return sum(len(a.arrivals) for a in answers) / span
