"""The programs under attack, and what a case has sent and found so far.

    scene = Scene(world)
    scene.boot()                                  # queen, hive and a worker
    answer = scene.send("hive", "GET", "/v1/models")
    scene.expect(answer.status == 200, "the models are not listed")

An unexpected answer is a fault of the case; what no answer may be is judged in verdict.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from harness.attack import exchange
from harness.attack.exchange import LIMIT_S, Address, Answer
from harness.attack.verdict import Measured
from harness.attack.watch import Watch
from harness.hub.hub import open_hub
from harness.watching.standalone_worker import StandaloneWorker
from harness.world import cluster
from harness.world.processes import alive
from harness.world.run import Run
from harness.world.world import World

_HEALTH = {"queen": "/health", "hive": "/v1/health", "worker": "/health"}


class Scene:
    """`addresses` has the programs that are up, and `model` is one that answers at once. What a
    case finds is in `faults`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.addresses: dict[str, Address] = {}
        self.answers: list[Answer] = []
        self.faults: list[str] = []
        self.model = ""
        self._pids: dict[str, int] = {}
        self._watch = Watch(self._pids, self.logs)
        self._before = self._watch.begin()

    # What is attacked

    def boot(self) -> None:
        """Start a queen and its hive, and by hand a worker with the bundled model."""
        world = self.world
        world.set("worker", "cache_ram_mb", 0)
        world.set("hive", "standby_workers", 0)
        open_hub(world)
        self.model = f"file:{world.model_files.one}"
        world.set("models", "default", self.model)
        world.start_daemon("queen-rbee daemon")
        started = self.run("rbee-keeper hive start --node localhost")
        assert started.exit_code == 0, started.stderr.text
        # Nobody but its operator ends this one.
        self.worker = StandaloneWorker(world, "--slots 2 --context 1024")
        self.addresses = {
            "queen": world.queen_address,
            "hive": world.hive_address,
            "worker": _address(self.worker.url),
        }
        self.watch(
            {
                name: cluster.process_at(world, "http://{}:{}".format(*address)).pid
                for name, address in self.addresses.items()
            }
        )

    def watch(self, pids: Mapping[str, int]) -> None:
        """These are the programs that must live, and whose memory counts from now on."""
        self._pids.clear()
        self._pids.update(pids)
        self._before = self._watch.begin()

    def forget(self, name: str) -> None:
        """This one may have ended."""
        del self._pids[name]

    def begin(self) -> None:
        """Forget what was sent and found, and measure from now on."""
        self.answers, self.faults = [], []
        self._before = self._watch.begin()

    def measured(self, calm_mb: float) -> Measured:
        """What the programs have taken more since."""
        return self._watch.end(self._before, calm_mb)

    def run(self, line: str, within: float = 30) -> Run:
        """Run a command to its end."""
        run = self.world.start(line)
        run.wait(within)
        return run

    @property
    def logs(self) -> Path:
        return self.world.home / ".rbee" / "logs"

    @property
    def secrets(self) -> list[bytes]:
        """What nobody may be shown: every key of this HOME."""
        file = self.world.key_file
        return [file.read_bytes().strip()] if file.exists() else []

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.world.key}"}

    # What is sent

    def send(
        self,
        program: str,
        method: str,
        target: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        keyed: bool = True,
        within: float = LIMIT_S,
    ) -> Answer:
        """Send a request with the key, and JSON unless the body is bytes already."""
        own = {**(self.bearer if keyed else {}), **(headers or {})}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            own.setdefault("Content-Type", "application/json")
        host, port = self.addresses[program]
        own.setdefault("Host", f"{host}:{port}")
        raw = exchange.request(method, target, own, content)
        return self.send_raw(program, raw, f"{method} {program} {target[:60]}", within)

    def send_raw(
        self,
        program: str,
        content: bytes,
        to: str = "",
        within: float = LIMIT_S,
        whole: bool = True,
        is_error: Callable[[bytes], bool] = lambda body: False,
    ) -> Answer:
        """`is_error` tells an error of the route by its body."""
        to = to or f"{program}: {content[:60]!r}"
        answer = exchange.send(self.addresses[program], content, within, whole, to)
        answer = replace(answer, in_shape=answer.status >= 400 and is_error(answer.body))
        self.answers.append(answer)
        return answer

    # What is found

    def expect(self, is_so: object, otherwise: str) -> None:
        """Note a fault unless it is so."""
        if not is_so:
            self.faults.append(otherwise)

    def refused(self, answer: Answer, *codes: str) -> None:
        """Note a fault unless it was refused with one of these codes; by default with any."""
        wanted = " or ".join(codes) or "an error"
        found = f"{answer.to}: {answer.status} {answer.body[:160]!r}; expected {wanted}"
        self.expect(400 <= answer.status < 500 or answer.code in codes, found)
        self.expect(not codes or answer.code in codes, found)

    def check_alive(self) -> None:
        """Each program still runs, and answers somebody else at once."""
        for process in self.world.processes():
            if process.pid in self._pids.values():
                self.expect(alive(process), f"pid {process.pid} has ended")
        known = {process.pid for process in self.world.processes()}
        for name, pid in self._pids.items():
            if pid not in known:
                self.faults.append(f"the {name} has ended")
                continue
            began = time.monotonic()
            answer = self.send(name, "GET", _HEALTH[name])
            took = time.monotonic() - began
            if answer.status != 200 and self._ends(pid):
                self.faults.append(f"the {name} has ended")
                continue
            self.expect(answer.status == 200, f"the {name} answers its health with {answer.kind}")
            self.expect(took <= LIMIT_S, f"the {name} took {took:.1f} s for its health")

    def _ends(self, pid: int) -> bool:
        """Whether it ends within a second: its connections close a moment before."""
        until = time.monotonic() + 1
        while pid in {process.pid for process in self.world.processes()}:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def check_logs(self) -> None:
        """No log shows a key, or has a character that a terminal would obey."""
        for file in self.logs.glob("*.log*"):
            text = file.read_bytes()
            for secret in self.secrets:
                self.expect(secret not in text, f"a key is in {file.name}")
            controls = set(text) & {*range(9), *range(11, 32), 127}
            self.expect(not controls, f"{file.name} has control characters: {sorted(controls)}")
            self.expect(b"Traceback (most" not in text, f"{file.name} has a traceback")


def _address(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname and parts.port, url
    return parts.hostname, parts.port
