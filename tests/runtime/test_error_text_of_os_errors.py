"""What the system says of a failure."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from rbee.runtime.client import Client, reason
from rbee.runtime.error_text import is_refused, strerror

CALL = "Connect call failed ('127.0.91.9', 9999)"
BOTH = f"Multiple exceptions: [Errno 111] {CALL}, [Errno 111] Connect call failed ('::1', 1)"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EHOSTUNREACH, CALL), "No route to host"),
        (ConnectionRefusedError(errno.ECONNREFUSED, CALL), "Connection refused"),
        (OSError(BOTH), "Connection refused"),
        (OSError("Multiple exceptions: no numbers"), "no connection"),
        (OSError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError("a word of its own"), "a word of its own"),
        (OSError(), "OSError"),
    ],
)
def test_it_is_told_in_the_systems_words(error: OSError, said: str) -> None:
    assert strerror(error) == said
    assert reason(error) == said


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, CALL), True),
        (OSError(BOTH), True),
        (OSError(BOTH.replace("111", "113", 1)), False),
        (OSError(errno.EHOSTUNREACH, CALL), False),
        (OSError("a word of its own"), False),
    ],
)
def test_it_was_refused_at_every_address(error: OSError, refused: bool) -> None:
    assert is_refused(error) == refused


async def test_what_asyncio_raises_for_a_name_with_two_addresses() -> None:
    """Where nobody listens."""

    async def two(*_: object, **__: object) -> list[Any]:
        found = (("127.0.91.9", 9), ("127.0.91.8", 9))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in found]

    asyncio.get_running_loop().getaddrinfo = two  # type: ignore[method-assign]
    with pytest.raises(OSError, match="Multiple exceptions") as caught:
        await asyncio.open_connection("two.home.arpa", 9)
    assert is_refused(caught.value)


def test_a_port_that_nobody_listens_at_refuses() -> None:
    from rbee.contract import endpoints as ep
    from rbee.contract.errors import ConnectionTimeout

    async def ask() -> None:
        async with Client("http://127.0.91.9:9", None, 1, 1) as client:
            await client.call(ep.QUEEN_HEALTH)

    with pytest.raises(ConnectionTimeout, match=r"9: Connection refused\.$"):
        asyncio.run(ask())
