"""What one scenario has for itself: HOME, network, settings, programs; and the check at its end."""

import contextlib
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from harness.breaking.partition import Cable
from harness.hub.hub import Hub
from harness.model_files.shelf import Shelf
from harness.ssh.node import Node
from harness.world import leaks, processes, settings, words
from harness.world.calls import Reply, call
from harness.world.commands import SCRIPTS, Commands
from harness.world.events import EventStream
from harness.world.evidence import Evidence
from harness.world.network import Network
from harness.world.run import Run
from harness.world.terminal import Terminal
from harness.world.user import Person
from harness.world.waiting import wait_until


class World:
    """`runs` holds what the harness started, in order; `lasting` what may outlive its command.

    `places` are a scenario's own words, as <free port>, for what is known only when it runs.
    """

    def __init__(self, commands: Commands, shelf: Shelf, evidence: Evidence) -> None:
        self.id = secrets.token_hex(6)
        self.commands = commands
        self.shelf = shelf
        self.evidence = evidence
        self.network = Network()
        self.root = Path(tempfile.mkdtemp(prefix="rbee-world-"))
        self.home = self.root / "home"
        self.tmp = self.root / "tmp"
        self.home.mkdir()
        self.tmp.mkdir()
        self.config = self.home / ".config" / "rbee" / "config.toml"
        self.overrides: dict[str, str] = {}
        self.prefix: list[str] = []  # the words of another user, or of a mount namespace
        self.runs: list[Run] = []
        self.lasting: set[int] = set()
        self._sessions: set[int] = set()
        self._closers: list[Callable[[], None]] = []
        self._removals: list[Callable[[], None]] = []
        self.nodes: dict[str, Node] = {}
        self.places: dict[str, str] = {}
        self.queen_address = self.network.address(1), 8080
        self.hive_address = self.network.address(2), 9200
        self.settings: settings.Sections = {
            "queen": {"host": self.queen_address[0]},
            "hive": {"host": self.hive_address[0], "worker_host": self.hive_address[0]},
            # Two of llama.cpp's threads that share a core with others wait for each other.
            "worker": {"threads": 1},
        }
        for role, command in commands.replaced.items():
            if role != "keeper":
                self.settings.setdefault(role, {})["command"] = command
        settings.write(self.config, self.settings)

    # What it is made of

    @property
    def queen_url(self) -> str:
        return "http://{}:{}".format(*self.queen_address)

    @property
    def hive_url(self) -> str:
        return "http://{}:{}".format(*self.hive_address)

    @property
    def key_file(self) -> Path:
        return self.home / ".rbee" / "api_key"

    @property
    def models(self) -> Path:
        """The models folder."""
        chosen = self.settings.get("models", {}).get("dir")
        return Path(str(chosen)) if chosen else self.home / ".local" / "share" / "rbee" / "models"

    @property
    def key(self) -> str:
        return self.key_file.read_text().strip()

    @functools.cached_property
    def person(self) -> Person:
        """From now on somebody with an SSH key lives in this HOME."""
        return Person(self.home)

    def environment(self) -> dict[str, str]:
        """What a fresh login has, and the mark by which the world's processes are found."""
        return {
            "PATH": os.pathsep.join([str(SCRIPTS), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.tmp),
            processes.MARK: self.id,
            **self.overrides,
        }

    def set(self, section: str, key: str, value: settings.Value) -> None:
        self.settings.setdefault(section, {})[key] = value
        settings.write(self.config, self.settings)

    def write_config(self, text: str) -> None:
        """In place of the settings: for what no writer of settings would write."""
        self.config.write_text(text + "\n", encoding="utf-8")

    def spoil_home(self, what: str) -> None:
        """A HOME in which nothing can be written, even by root; the settings stay readable."""
        config = self.root / "config.toml"
        shutil.copy(self.config, config)
        place = {"a file": self.root / "file", "a folder that can't be written": Path("/proc")}
        (self.root / "file").touch()
        self.overrides = {"HOME": str(place[what]), "RBEE_CONFIG": str(config)}

    def expand(self, text: str) -> str:
        """A feature's words for what is known only here: <large>, <queen address>, …"""
        return words.expand(text, self.shelf, {**words.places_of(self), **self.places})

    def open_hub(self) -> Hub:
        """From now on the world's programs ask this Hub, and no other."""
        hub = Hub(self.network.address(3), 8000)
        self.overrides["HF_ENDPOINT"] = hub.url
        self.closes(hub.close)
        return hub

    def add_node(self, name: str, kind: str = "embedded", cable: Cable | None = None) -> Node:
        """Another machine with an SSH server, into which this world's person may log in.

        `kind` is embedded or sshd. With a `cable` it hangs on that, else on the world's network.
        """
        address = cable.far if cable else self.network.address(21 + len(self.nodes))
        namespace = cable.namespace if cable else None
        root = self.root / "nodes" / name
        node = Node(name, address, root, self.id, self.commands, self.person, kind, namespace)
        self.nodes[name] = node
        self.evidence.note(f"node {name} at {address}:{node.port}")
        return node

    # What happens in it

    def start(
        self, line: str, stdin: str | None = None, more: Sequence[str] = (), held: bool = False
    ) -> Run:
        """Start one of the programs as a person would type it; `more` are arguments as they are.
        `held`: its standard input stays open."""
        return self._run(
            [*self.prefix, *self.commands.resolve(self.expand(line)), *more], line, stdin, held
        )

    def start_in_shell(self, line: str) -> Run:
        """A line with pipes and redirections, as bash takes it."""
        return self._run(["/bin/bash", "-c", self.commands.in_shell(self.expand(line))], line)

    def _run(
        self, argv: Sequence[str], line: str, stdin: str | None = None, held: bool = False
    ) -> Run:
        name = f"{len(self.runs) + 1:02}-{line.split()[0]}"
        run = Run(argv, self.environment(), self.evidence.folder, name, stdin, held)
        self.runs.append(run)
        self._sessions.add(run.pid)
        self.evidence.note(f"started {line} as pid {run.pid}")
        return run

    def start_daemon(self, line: str) -> Run:
        """Started by an operator: no lifeline, lives until told to stop."""
        run = self.start(line)
        self.lasting.add(run.pid)
        ready = run.ready()
        assert ready["pid"] == run.pid, f"{ready} is not from pid {run.pid}"
        self.evidence.note(f"listening: {ready}")
        return run

    def open_terminal(self, line: str, columns: int = 100) -> Terminal:
        copy = self.evidence.folder / f"terminal-{line.split()[0]}"
        argv = self.commands.resolve(self.expand(line))
        terminal = Terminal(argv, self.environment(), copy, columns)
        self._sessions.add(terminal.pid)
        self.evidence.note(f"typed {line} on a terminal, pid {terminal.pid}")
        return terminal

    def call(self, method: str, url: str, body: object = None, timeout: float = 10) -> Reply:
        return call(method, url, body, self.key, timeout)

    def stream(self, method: str, url: str, body: object = None) -> EventStream:
        stream = EventStream(method, url, body, self.key)
        self.closes(stream.close)
        return stream

    def closes(self, closer: Callable[[], None]) -> None:
        """To be closed when the scenario ends, the last first."""
        self._closers.append(closer)

    def when_empty(self, removal: Callable[[], None]) -> None:
        """To be done when the scenario has ended and nothing of it lives any more."""
        self._removals.append(removal)

    def log_of(self, name: str) -> str:
        """The only log file with this in its name."""
        (file,) = (self.home / ".rbee" / "logs").glob(f"*{name}*.log")
        return file.read_text(encoding="utf-8", errors="replace")

    # What lives in it

    def processes(self) -> list[psutil.Process]:
        return processes.of_world(self.id, self._sessions)

    def listening(self, address: tuple[str, int]) -> psutil.Process | None:
        """The process of this world that listens there: the answering one, told by its pid."""
        return processes.listeners(self.processes()).get(address)

    def lasts(self, health: Mapping[str, Any]) -> None:
        """This daemon was started to last; it is told to stop when the scenario ends."""
        self.lasting.add(int(health["pid"]))

    def wait_until_empty(self, within: float) -> None:
        wait_until(
            "nothing of this world to be alive",
            lambda: [processes.describe(process) for process in self.processes()],
            within,
            lambda alive: not alive,
        )

    # How it ends

    def end(self, judge: bool) -> None:
        """Stop what was started to last, then see that nothing else is left; `judge` or just kill.

        Whatever happens, nothing lives afterwards.
        """
        try:
            for close in reversed(self._closers):
                close()
            if judge:
                leaks.check(self)
        finally:
            leaks.kill(self)
            self._clear_away()

    def _clear_away(self) -> None:
        with contextlib.ExitStack() as last:
            last.callback(shutil.rmtree, self.root, ignore_errors=True)
            last.callback(self.network.release)
            last.callback(self.evidence.keep_logs, self.home)
            for removal in self._removals:
                last.callback(removal)
            for node in self.nodes.values():
                last.callback(node.close)
                last.callback(self.evidence.keep_logs, node.home, f"logs-{node.name}")
