"""What one scenario has for itself: HOME, network, settings, programs; and the check at its end."""

import contextlib
import functools
import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

from harness.model_files.cache import ModelFiles
from harness.world import control_group, processes, settings
from harness.world.commands import SCRIPTS, Commands
from harness.world.evidence import Evidence
from harness.world.http_client import EventStream, Reply, call
from harness.world.network import Network
from harness.world.run import Run
from harness.world.terminal import Terminal
from harness.world.user import User
from harness.world.waiting import NeverHappenedError, wait_until

_RELAY = Path(__file__).parents[1] / "ssh" / "relay.py"  # for a ProxyCommand
_SHUTDOWN_S = 20  # three graces of 5 s, one inside the other, and some slack
_MODELS = (
    "large",
    "enormous",
    "not numbers",
    "crashing",
    "unloadable",
    "truncated",
    "no gguf",
    "safetensors",
    "missing",
    "unbroken",
    "other name",
    "that thinks",
    "that calls",
    "Q4_K_M",
    "Q5_K_M",
    "Q8_0",
)


class LeakError(AssertionError):
    """A scenario left processes running."""


class Machine(Protocol):
    """Another machine of a world, as `harness.ssh.node.add_node` makes it."""

    name: str
    host: str
    mac: str
    address: str
    root: Path
    home: Path

    @property
    def port(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def close(self) -> None: ...


class World:
    """`runs` holds what the harness started, in order; `expected_daemons` the pids that may outlive
    their command.

    `placeholders` are a scenario's own words, as <free port>, for what is known only when it runs.
    """

    def __init__(self, commands: Commands, model_files: ModelFiles, evidence: Evidence) -> None:
        self.id = secrets.token_hex(6)
        self.commands = commands
        self.model_files = model_files
        self.evidence = evidence
        self.network = Network()
        self.root = Path(tempfile.mkdtemp(prefix="rbee-world-"))
        self.home = self.root / "home"
        self.tmp = self.root / "tmp"
        self.home.mkdir()
        self.tmp.mkdir()
        self.config = self.home / ".config" / "rbee" / "config.toml"
        self.extra_environment: dict[str, str] = {}
        self.umask = -1  # the harness's own
        self.command_prefix: list[str] = []  # runs commands as another user or in a mount namespace
        self.runs: list[Run] = []
        self.expected_daemons: set[int] = set()
        group = control_group.enter(f"rbee-world-{self.id}")
        self.own_processes = processes.WorldProcesses(self.id, group)
        self._cleanups: list[Callable[[], object]] = []
        self._late_cleanups: list[Callable[[], None]] = []
        self.nodes: dict[str, Machine] = {}
        self.placeholders: dict[str, str] = {}
        self.queen_address = self.network.address(1), 8080
        self.hive_address = self.network.address(2), 9200
        self.proxy_address = self.network.address(9), 8080
        self.settings: settings.Sections = {
            # Where a proxy may pass connections on to the queen: else it would get no proof there.
            "auth": {"hosts": ["{}:{}".format(*self.proxy_address)]},
            "queen": {"host": self.queen_address[0]},
            "hive": {"host": self.hive_address[0], "worker_host": self.hive_address[0]},
            # Two of llama.cpp's threads that share a core with others wait for each other.
            "worker": {"threads": 1},
        }
        for role, given in commands.settings().items():
            self.settings.setdefault(role, {}).update(given)
        settings.write(self.config, self.settings)

    # What it consists of

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
    def user(self) -> User:
        """From now on a user with an SSH key lives in this HOME."""
        return User(self.home)

    def environment(self) -> dict[str, str]:
        """A fresh login's environment, in the harness's time zone, and the mark by which the
        world's processes are found."""
        return {
            "PATH": os.pathsep.join([str(SCRIPTS), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.tmp),
            processes.MARK: self.id,
            **({"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}),
            **self.extra_environment,
        }

    def set(self, section: str, key: str, value: settings.Value) -> None:
        self.settings.setdefault(section, {})[key] = value
        settings.write(self.config, self.settings)

    def write_config(self, text: str) -> None:
        """Write this text in place of the settings."""
        self.config.write_text(text + "\n", encoding="utf-8")

    def make_home_unwritable(self, what: str) -> None:
        """Set a HOME in which nothing can be written, even by root; the settings stay readable."""
        config = self.root / "config.toml"
        shutil.copy(self.config, config)
        place = {"a file": self.root / "file", "a folder that can't be written": Path("/proc")}
        (self.root / "file").touch()
        self.extra_environment = {"HOME": str(place[what]), "RBEE_CONFIG": str(config)}

    def expand(self, text: str) -> str:
        """Replace a feature's words in angle brackets: <large>, <home>, <queen address>, …

        A model's name becomes its reference; the file is made when it is first named.
        """
        for name, value in {**self._placeholders(), **self.placeholders}.items():
            text = text.replace(f"<{name}>", value)
        for name in _MODELS:
            if f"<{name}>" in text:
                text = text.replace(f"<{name}>", f"file:{self.model_files.named(name)}")
        return text

    def _placeholders(self) -> dict[str, str]:
        found = {
            "queen address": self.queen_address[0],
            "hive address": self.hive_address[0],
            "models folder": str(self.models),
            "home": str(self.home),
            "relay": shlex.join([sys.executable, str(_RELAY)]),
        }
        for name, node in self.nodes.items():
            found[f"{name} address"] = node.address
            found[f"{name} port"] = str(node.port)
            found[f"{name} mac"] = node.mac
            found[f"{name} mac, with dashes"] = node.mac.replace(":", "-")
            found[f"{name} root"] = str(node.root)
            found[f"{name} fingerprint"] = node.fingerprint
        return found

    def ensure_key(self) -> None:
        """Write an API key, as the first daemon would, unless there is one."""
        if not self.key_file.exists():
            self.key_file.parent.mkdir(mode=0o700, exist_ok=True)
            self.key_file.touch(mode=0o600)
            self.key_file.write_text(secrets.token_urlsafe(32) + "\n")

    # Starting and calling programs

    def start(
        self, line: str, stdin: str | None = None, more: Sequence[str] = (), held: bool = False
    ) -> Run:
        """Start a command line as a user would type it; `more` are arguments that are not split.

        `held`: its standard input stays open.
        """
        return self._run(
            [*self.command_prefix, *self.commands.resolve(self.expand(line)), *more],
            line,
            stdin,
            held,
        )

    def start_in_shell(self, line: str) -> Run:
        """Start a line with pipes and redirections in bash."""
        return self._run(["/bin/bash", "-c", self.commands.in_shell(self.expand(line))], line)

    def _run(
        self, argv: Sequence[str], line: str, stdin: str | None = None, held: bool = False
    ) -> Run:
        name = f"{len(self.runs) + 1:02}-{line.split()[0]}"
        folder, umask = self.evidence.folder, self.umask
        run = Run(argv, self.environment(), folder, name, stdin, held, umask)
        self.runs.append(run)
        self.own_processes.sessions.add(run.pid)
        self.evidence.note(f"started {line} as pid {run.pid}")
        return run

    def start_daemon(self, line: str) -> Run:
        """Start it as an operator does: without a lifeline, until it is told to stop."""
        run = self.start(line)
        self.expected_daemons.add(run.pid)
        ready = run.ready()
        assert ready["pid"] == run.pid, f"{ready} is not from pid {run.pid}"
        self.evidence.note(f"listening: {ready}")
        return run

    def open_terminal(self, line: str, columns: int = 100) -> Terminal:
        copy = self.evidence.folder / f"terminal-{line.split()[0]}"
        argv = self.commands.resolve(self.expand(line))
        terminal = Terminal(argv, self.environment(), copy, columns)
        self.own_processes.sessions.add(terminal.pid)
        self.evidence.note(f"typed {line} on a terminal, pid {terminal.pid}")
        return terminal

    def call(self, method: str, url: str, body: object = None, timeout: float = 10) -> Reply:
        return call(method, url, body, self.key, timeout)

    def stream(
        self, method: str, url: str, body: object = None, accept: str = "text/event-stream"
    ) -> EventStream:
        stream = EventStream(method, url, body, self.key, accept)
        self.add_cleanup(stream.close)
        return stream

    def add_cleanup(self, cleanup: Callable[[], object]) -> None:
        """Called when the scenario ends, the last first."""
        self._cleanups.append(cleanup)

    def add_late_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Called when the scenario has ended and none of its processes is alive."""
        self._late_cleanups.append(cleanup)

    def log_of(self, name: str) -> str:
        """Return the text of the only log file with this in its name."""
        (file,) = (self.home / ".rbee" / "logs").glob(f"*{name}*.log")
        return file.read_text(encoding="utf-8", errors="replace")

    # Its processes

    def processes(self) -> list[psutil.Process]:
        return self.own_processes.all()

    def listening(self, address: tuple[str, int]) -> psutil.Process | None:
        """Return the process of this world that listens at the address."""
        return processes.listeners(self.processes()).get(address)

    def stop_at_end(self, health: Mapping[str, Any]) -> None:
        """This daemon outlives its command; it is told to stop when the scenario ends."""
        self.expected_daemons.add(int(health["pid"]))

    def wait_for_no_processes(self, within: float) -> None:
        wait_until(
            "nothing of this world to be alive",
            lambda: [processes.describe(process) for process in self.processes()],
            within,
            lambda alive: not alive,
        )

    # Its end

    def end(self, judge: bool) -> None:
        """Stop what was started to last, then check that nothing else is left; without `judge`
        just kill.

        Whatever happens, nothing is alive afterwards.
        """
        try:
            for cleanup in reversed(self._cleanups):
                cleanup()
            if judge:
                self._check_for_leaks()
        finally:
            self.kill_all()
            self._clean_up()

    def _check_for_leaks(self) -> None:
        """Stop the expected daemons, then check that nothing else is left."""
        daemons = [each for each in self.processes() if each.pid in self.expected_daemons]
        for process in daemons:
            process.send_signal(signal.SIGTERM)
        if daemons:
            try:
                self.wait_for_no_processes(_SHUTDOWN_S)
            except NeverHappenedError as error:
                raise LeakError(f"after SIGTERM to every daemon: {error}") from error
        wait_until(
            "what has been killed to be gone",
            lambda: [each for each in self.processes() if processes.is_exiting(each)],
            within=_SHUTDOWN_S,
            good=lambda found: not found,
        )
        leaked = [processes.describe(process) for process in self.processes()]
        if leaked:
            raise LeakError("the scenario left these running:\n  " + "\n  ".join(leaked))

    def kill_all(self) -> None:
        """Repeat until nothing is left: a process may have started another in between."""

        def remaining() -> list[psutil.Process]:
            found = self.processes()
            processes.kill(found)
            return found

        wait_until(
            "killed processes to be gone", remaining, within=10, good=lambda found: not found
        )

    def _clean_up(self) -> None:
        with contextlib.ExitStack() as last:
            last.callback(shutil.rmtree, self.root, ignore_errors=True)
            last.callback(self.network.release)
            if self.own_processes.group:
                last.callback(self.own_processes.group.leave)
            last.callback(self.evidence.keep_logs, self.home)
            for cleanup in self._late_cleanups:
                last.callback(cleanup)
            for node in self.nodes.values():
                last.callback(node.close)
                last.callback(self.evidence.keep_logs, node.home, f"logs-{node.name}")
