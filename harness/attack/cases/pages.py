"""A page in the person's browser, and bodies before the key is known (items 10, 11 and 14)."""

from __future__ import annotations

import gzip
import threading

from harness.attack import exchange
from harness.attack.cases import case
from harness.attack.exchange import LIMIT_S, Answer
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds

_PROGRAMS = ("queen", "hive", "worker")
_SHUTDOWN = "/v1/admin/shutdown"
# 200 MB of zeros.
_BOMB_MB = 200


@case("foreign hosts")
def foreign_hosts(scene: Scene) -> None:
    """A page that has rebound its own name to this address asks, with every key it could know."""
    for program in _PROGRAMS:
        port = scene.addresses[program][1]
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "a@b", ""):
            answer = scene.send(program, "GET", "/metrics", headers={"Host": host})
            scene.refused(answer, "INVALID_REQUEST")
        scene.refused(scene.send(program, "GET", "/metrics", headers={"Host": "\xff"}))


@case("foreign origins")
def foreign_origins(scene: Scene) -> None:
    """A page of another site sends what a browser lets it send."""
    for program in _PROGRAMS:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "\xff"):
            answer = scene.send(program, "GET", "/metrics", headers={"Origin": origin})
            scene.refused(answer, "INVALID_REQUEST")
            # JSON is taken without a type, which a page can send too: the origin tells.
            headers = {"Origin": origin, "Content-Type": "application/octet-stream"}
            answer = scene.send(program, "POST", _SHUTDOWN, b"{}", headers)
            scene.refused(answer, "INVALID_REQUEST")


@case("simple requests")
def simple_requests(scene: Scene) -> None:
    """The types of a body that a browser sends anywhere without asking first."""
    for program in _PROGRAMS:
        for kind in (
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
        ):
            headers = {"Content-Type": kind}
            scene.refused(scene.send(program, "POST", _SHUTDOWN, b"{}", headers), "INVALID_REQUEST")


@case("wrong keys")
def wrong_keys(scene: Scene) -> None:
    """Keys that are none, nearly one, or too long; also where a key would end a program."""
    key = scene.world.key
    wrong = ("", "Bearer", "Bearer ", f"Bearer {key[:-1]}", f"Bearer {key}x", f"Basic {key}")
    for program in _PROGRAMS:
        for given in (
            *wrong,
            f"bearer {key.swapcase()}",
            "Bearer " + "k" * 7000,
            "Bearer \xff\x01",
        ):
            headers = {"Authorization": given}
            answer = scene.send(program, "POST", _SHUTDOWN, headers=headers, keyed=False)
            scene.refused(answer)


@case("bombs without a key", bounds=Bounds(peak_mb=128))
def bombs_without_a_key(scene: Scene) -> None:
    """Eight gzip bombs at once from nobody, while somebody else asks."""
    bomb = gzip.compress(bytes(_BOMB_MB << 20), 9)
    for program in _PROGRAMS:
        _at_once(scene, program, bomb, keyed=False)


@case("bombs with a key", bounds=Bounds(peak_mb=128))
def bombs_with_a_key(scene: Scene) -> None:
    """The same from somebody who has it, and bodies that only claim to be compressed."""
    bomb = gzip.compress(bytes(_BOMB_MB << 20), 9)
    for program in _PROGRAMS:
        _at_once(scene, program, bomb, keyed=True)
        for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x"):
            headers = {"Content-Encoding": encoding}
            scene.refused(scene.send(program, "POST", _route(program), b"{}", headers))


@case("unknown methods")
def unknown_methods(scene: Scene) -> None:
    """Methods and routes that do not exist, on paths that do."""
    for program in _PROGRAMS:
        for method in ("BREW", "TRACE", "CONNECT", "PATCH", "get", "G\x1b[31mT", "A" * 5000):
            scene.refused(scene.send(program, method, _route(program)))
        for path in ("/nowhere", "/%00", "//", "/v1/../metrics", "/\x1b[2J", "/%1b%5b2J"):
            scene.refused(scene.send(program, "GET", path))


@case("oversized heads")
def oversized_heads(scene: Scene) -> None:
    """Lines and headers longer than any, and more of them than any."""
    for program in _PROGRAMS:
        scene.refused(scene.send(program, "GET", "/" + "a" * 20_000))
        scene.refused(scene.send(program, "GET", "/metrics", headers={"X-Long": "a" * 20_000}))
        scene.refused(scene.send(program, "GET", "/metrics", headers={"X" * 20_000: "a"}))
        many = {f"X-{number}": "a" for number in range(5000)}
        answer = scene.send(program, "GET", "/metrics", headers=many)
        scene.expect(answer.status in (0, 200, 400, 431), f"{answer.to}: {answer.status}")


def _route(program: str) -> str:
    return {"queen": "/v2/tasks", "hive": "/v1/models/info", "worker": "/v1/inference"}[program]


def _at_once(scene: Scene, program: str, body: bytes, keyed: bool) -> None:
    """Send it eight times at once; meanwhile somebody else must be answered."""
    host, port = scene.addresses[program]
    headers = {"Host": f"{host}:{port}", "Content-Encoding": "gzip"}
    headers |= {"Content-Type": "application/json", **(scene.bearer if keyed else {})}
    content = exchange.request("POST", _route(program), headers, body)
    answers: list[Answer] = []

    def ask() -> None:
        answers.append(exchange.send(scene.addresses[program], content, to=f"bomb for {program}"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    scene.check_alive()
    for thread in threads:
        thread.join(2 * LIMIT_S)
    scene.answers += answers
    for answer in answers:
        scene.refused(answer)
