"""Connections that say nothing, or half of something (item 12)."""

from __future__ import annotations

import socket

from harness.attack import exchange
from harness.attack.cases import case
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds
from harness.breaking.stranger import Connections
from harness.world.waiting import NeverHappenedError, let_pass, wait_until

_PROGRAMS = ("queen", "hive", "worker")
_MANY = 1500
_HALF_OPEN = 200
# A request's head has 30 s; with slack.
_GONE_S = 45.0
_NOT_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"SSH-2.0-x",
    b"PRI * HTTP/2.0\r\n\r\nSM",
    b"\x00" * 64,
    b"GET / HTTP/9.9",
    b"G\x1b[31mT / HTTP/1.1",
    b"GET  / HTTP/1.1",
)


@case("many connections", bounds=Bounds(log_bytes=200_000))
def many_connections(scene: Scene) -> None:
    """More connections than a program has descriptors, which say nothing, while others ask."""
    for program in _PROGRAMS:
        strangers = Connections("http://{}:{}".format(*scene.addresses[program]), _MANY)
        try:
            scene.check_alive()
        finally:
            strangers.close()


@case("half-open requests", slow=True)
def half_open_requests(scene: Scene) -> None:
    """Requests that stop in their head, or drip on: they are hung up on in the end."""
    half = [_half(scene, program) for program in _PROGRAMS for _ in range(_HALF_OPEN)]
    try:
        scene.check_alive()
        _drip(half[::_HALF_OPEN])
        _wait_for_hang_up(half)
    except NeverHappenedError as error:
        scene.faults.append(str(error))
    finally:
        for each in half:
            each.close()


def _wait_for_hang_up(half: list[socket.socket]) -> None:
    wait_until("half-open requests to end", lambda: _open(half), _GONE_S, lambda left: not left)


@case("bodies that stop")
def bodies_that_stop(scene: Scene) -> None:
    """A body shorter than announced, without a key: it is refused before it is waited for."""
    for program in _PROGRAMS:
        host, port = scene.addresses[program]
        for length in ("1000000000", "5"):
            headers = {"Host": f"{host}:{port}", "Content-Length": length}
            content = exchange.request("POST", "/v1/admin/shutdown", headers)
            scene.refused(scene.send_raw(program, content, f"{program}: {length} bytes to come"))


@case("words that are not HTTP")
def not_http(scene: Scene) -> None:
    """Bytes that are no request: each is refused in the envelope, or hung up on."""
    for program in _PROGRAMS:
        for said in _NOT_HTTP:
            answer = scene.send_raw(program, said + b"\r\n\r\n", f"{program}: {said[:20]!r}")
            scene.expect(answer.status < 200 or answer.status >= 400, f"{answer.to} was accepted")


def _half(scene: Scene, program: str) -> socket.socket:
    one = socket.create_connection(scene.addresses[program], timeout=5)
    one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
    return one


def _drip(half: list[socket.socket]) -> None:
    """They go on, byte by byte, for some seconds."""
    for _ in range(4):
        for each in half:
            try:
                each.sendall(b"a")
            except OSError:
                return
        let_pass(0.5)


def _open(half: list[socket.socket]) -> int:
    left = 0
    for each in half:
        each.setblocking(False)
        try:
            left += bool(each.recv(1))
        except BlockingIOError:
            left += 1
        except OSError:
            pass
    return left
