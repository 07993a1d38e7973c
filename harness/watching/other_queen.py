"""A queen of somebody else in the same home lab: its HOME, its key and its list of nodes are its
own."""

import signal
from collections.abc import Sequence
from typing import Any

from harness.watching.standalone_hive import StandaloneHive
from harness.world import settings
from harness.world.http_client import EventStream, call
from harness.world.run import Run
from harness.world.world import World


class OtherQueen:
    """Listens from its creation on, and knows the node of that hive; ends with the world."""

    def __init__(self, world: World, hive: StandaloneHive) -> None:
        self._world = world
        self._home = world.root / "other-home"
        host = world.network.address(11)
        self.url = f"http://{host}:8080"
        config = self._home / ".config" / "rbee" / "config.toml"
        # Its own machine's hive is not the one of the world.
        place: settings.Sections = {"queen": {"host": host}, "hive": {"host": host}}
        settings.write(config, place)
        self.run = self._start([*world.commands.argv("queen"), "daemon"], "queen")
        world.expected_daemons.add(self.run.pid)
        assert self.run.ready()["pid"] == self.run.pid
        added = self.keeper(
            *("setup", "add-node", "--name", hive.node.name),
            *("--hive-url", hive.node.hive_url, "--api-key-file", hive.key_file),
        )
        assert added.wait(within=30) == 0, added.stderr.text

    def keeper(self, *words: str) -> Run:
        """A command of its person."""
        return self._start([*self._world.commands.argv("keeper"), *words], "keeper")

    def call(self, method: str, path: str) -> Any:
        """The JSON of a reply that is well; None if it has none."""
        reply = call(method, f"{self.url}{path}", key=self._key)
        assert reply.status < 300, reply
        return reply.json if reply.body else None

    def ask(self, body: object) -> EventStream:
        """A task."""
        stream = EventStream("POST", f"{self.url}/v2/tasks", body, self._key)
        self._world.add_cleanup(stream.close)
        assert stream.refused is None, stream.refused
        return stream

    def end(self) -> None:
        """As its person stops it."""
        self.run.send(signal.SIGTERM)
        assert self.run.wait(within=20) == 0, self.run.stderr.text

    @property
    def _key(self) -> str:
        return (self._home / ".rbee" / "api_key").read_text().strip()

    def _start(self, argv: Sequence[str], role: str) -> Run:
        world = self._world
        environment = {**world.environment(), "HOME": str(self._home)}
        name = f"{len(world.runs) + 1:02}-other-{role}"
        run = Run(argv, environment, world.evidence.folder, name)
        world.runs.append(run)
        world.own_processes.sessions.add(run.pid)
        return run
