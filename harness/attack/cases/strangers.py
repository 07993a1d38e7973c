"""Somebody else on our ports, who would like a key (items 1 to 3)."""

from __future__ import annotations

import json
import socket
import threading
from types import TracebackType
from typing import Self

from harness.attack.cases import case
from harness.attack.scene import Scene
from harness.ssh.node import add_node

_PROMPT = "a question for the queen alone"


class Recorder:
    """Listens, keeps all that it is told, and answers every request as the program that it plays
    would; nothing that it says proves anything."""

    def __init__(self, host: str, port: int, program: str = "queen-rbee") -> None:
        self.url = f"http://{host}:{port}"
        self._program = program
        self._heard: list[bytes] = []
        self._server = socket.create_server((host, port))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def text(self) -> str:
        """Everything that it has been told."""
        return b"".join(list(self._heard)).decode("latin-1")

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        told = b""
        try:
            with connection:
                while more := connection.recv(65536):
                    self._heard.append(more)
                    told += more
                    if b"\r\n\r\n" in told:
                        connection.sendall(self._reply())
                        told = b""
        except OSError:
            return

    def _reply(self) -> bytes:
        health: dict[str, object] = {"program": self._program, "pid": 1, "version": "0.1.0"}
        health["status"] = "alive" if "hive" in self._program else "ok"
        health |= {"api_version": "v1", "lifetime": "persistent"}
        body = json.dumps({**health, "workers": [], "models": [], "nodes": []}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + body


@case("a stranger as the queen", own=True)
def stranger_as_queen(scene: Scene) -> None:
    """Another user listens on 8080 and answers as a queen: he is told neither key nor prompt."""
    world = scene.world
    world.ensure_key()
    with Recorder(*world.queen_address) as recorder:
        for line in ("worker list", "daemon status", f"infer --prompt '{_PROMPT}' --max-tokens 2"):
            done = scene.run(f"rbee-keeper {line}")
            scene.expect(done.exit_code != 0, f"{line} exits with 0 for a stranger")
        heard = recorder.text
    scene.expect(heard != "", "the stranger was not asked at all: this proves nothing")
    scene.expect(world.key not in heard, "the stranger was sent the key")
    scene.expect(_PROMPT not in heard, "the stranger was sent the prompt")


@case("a stranger as the hive", own=True)
def stranger_as_hive(scene: Scene) -> None:
    """Another user listens on 9200 and answers as a hive that runs already."""
    world = scene.world
    with Recorder(*world.hive_address, program="rbee-hive") as recorder:
        world.start_daemon("queen-rbee daemon")
        scene.run("rbee-keeper hive start --node localhost", within=60)
        heard = recorder.text
    scene.expect(heard != "", "the stranger was not asked at all: this proves nothing")
    scene.expect(world.key not in heard, "the stranger was sent the key")


@case("hive_url of a stranger", own=True)
def hive_url_of_a_stranger(scene: Scene) -> None:
    """A node is added by a URL alone: it has no key of its own, and gets nobody else's."""
    world = scene.world
    world.start_daemon("queen-rbee daemon")
    scene.addresses = {"queen": world.queen_address}
    with Recorder(world.network.address(41), 9200, "rbee-hive") as recorder:
        node = {"node_name": "n1", "hive_url": recorder.url}
        scene.refused(scene.send("queen", "POST", "/v2/registry/beehives/add", node))
        heard = recorder.text
    scene.expect(world.key not in heard, "the stranger was sent the queen's key")


@case("a stranger on a node", own=True)
def stranger_on_a_node(scene: Scene) -> None:
    """On a node, another user listens where its hive would: the node's own key is not for him."""
    world = scene.world
    node = add_node(world, "workstation")
    key = "the-key-of-that-node-which-is-nobody-elses-1"
    folder = node.home / ".rbee"
    folder.mkdir(mode=0o700)
    (folder / "api_key").touch(mode=0o600)
    (folder / "api_key").write_text(f"{key}\n")
    world.start_daemon("queen-rbee daemon")
    with Recorder(node.address, 9200, "rbee-hive") as recorder:
        added = f"--name {node.name} --ssh-host {node.host} --accept-host-key {node.fingerprint}"
        scene.run(f"rbee-keeper setup add-node {added}", within=40)
        scene.run(f"rbee-keeper hive start --node {node.name}", within=60)
        heard = recorder.text
    scene.expect(heard != "", "the stranger was not asked at all: this proves nothing")
    scene.expect(key not in heard and world.key not in heard, "the stranger was sent a key")
