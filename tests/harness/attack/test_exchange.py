"""What the attacker takes for an answer, also where the answer to the next request follows it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.attack import exchange

_LINES = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n"
_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(said: bytes) -> Iterator[exchange.Address]:
    """Says that to the first who asks, and then nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)
                done.wait(10)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("said", [_LINES, _LINES + _WHOLE, _LINES + _LINES, _WHOLE + _LINES])
def test_the_first_of_several_answers_is_one(said: bytes) -> None:
    with server(said) as address:
        answer = exchange.send(address, exchange.request("GET", "/"), within=10)
    assert (answer.status, answer.kind) == (200, "2xx")
    assert answer.took_s < 5


def test_half_an_answer_is_none() -> None:
    with server(_LINES.removesuffix(b"0\r\n\r\n")) as address:
        answer = exchange.send(address, exchange.request("GET", "/"), within=0.3)
    assert (answer.status, answer.kind) == (-1, "none")
