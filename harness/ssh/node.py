"""Another machine of a world's home lab: an address, a HOME, an SSH server, nothing more.

    node = add_node(world, "workstation")
    node.server.log          # who connected, and what they ran
    node.server.mute()       # more faults are in embedded_server.py
    node.set("times", "lifeline_lease_s", 2)
    node.processes()

The world's user may log in, and their ~/.ssh/config knows `workstation.home.arpa`.
"""

import os
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path

import psutil

from harness.ssh.embedded_server import EmbeddedServer, SshServer
from harness.ssh.session import Account
from harness.world import settings
from harness.world.commands import INSTALLED, SCRIPTS, Commands
from harness.world.network import SSH_PORT, can_bind
from harness.world.processes import MARK, NODE_MARK, WorldProcesses, listeners
from harness.world.user import User
from harness.world.world import World


class Node:
    """`path` are the folders in which its logins find programs; scenarios may change it."""

    def __init__(
        self,
        name: str,
        address: str,
        root: Path,
        world_processes: WorldProcesses,
        commands: Commands,
        user: User,
        kind: str,
        namespace: str | None,
        port: int | None,
    ) -> None:
        self.name = name
        self.commands = commands
        self.host = f"{name}.home.arpa"
        self.mac = "02:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(5))
        self.address = address
        self.root = root
        self.home = root / "home"
        self.tmp = root / "tmp"
        self.bin = root / "bin"
        for folder in (self.home, self.tmp, self.bin):
            folder.mkdir(parents=True)
        self.config = self.home / ".config" / "rbee" / "config.toml"
        self.settings = commands.settings()
        self.settings.setdefault("worker", {})["threads"] = 1  # as in world.py
        settings.write(self.config, self.settings)
        self.path = [str(self.bin), str(SCRIPTS), "/usr/local/bin", "/usr/bin", "/bin"]
        self.extra_environment: dict[str, str] = {}
        self.hive_port = 9200
        self._world_processes = world_processes
        self._replace_programs()
        port = port or (SSH_PORT if namespace or can_bind(address, SSH_PORT) else 2222)
        account = Account(self.home, self.environment)
        if kind == "sshd":
            from harness.ssh.openssh import OpenSshServer

            self.server: SshServer = OpenSshServer(address, port, account, user, root, namespace)
        else:
            allowed = {user.fingerprint}
            self.server = EmbeddedServer(address, port, account, allowed, namespace)
        user.configure(self.host, [f"HostName {address}", f"Port {port}"])

    @property
    def port(self) -> int:
        """The port of its SSH server."""
        return self.server.port

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its SSH server's key."""
        return self.server.fingerprint

    @property
    def hive_url(self) -> str:
        return f"http://{self.address}:{self.hive_port}"

    @property
    def models(self) -> Path:
        return self.home / ".local" / "share" / "rbee" / "models"

    def environment(self) -> dict[str, str]:
        """A login's environment, and the marks by which its processes are found."""
        return {
            "PATH": os.pathsep.join(self.path),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.tmp),
            MARK: self._world_processes.world_id,
            NODE_MARK: self.name,
            **self.extra_environment,
        }

    def set(self, section: str, key: str, value: settings.Value) -> None:
        """Change its own config file, which its hive and workers read."""
        self.settings.setdefault(section, {})[key] = value
        settings.write(self.config, self.settings)

    def write_key(self, key: str) -> None:
        """Write the API key of its own, as the first hive that a person starts there would."""
        file = self.home / ".rbee" / "api_key"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(key + "\n")

    def processes(self) -> list[psutil.Process]:
        """The processes that are alive on it."""
        return self._world_processes.on_node(self.name)

    def hive(self) -> psutil.Process:
        """The process that listens at its hive's address."""
        found = listeners(self.processes())
        address = self.address, self.hive_port
        assert address in found, f"no hive on {self.name}: {found}"
        return found[address]

    def path_of(self, folder: str) -> Path:
        """A feature's path, as /opt/rbee, inside the folder that stands for its disk."""
        return self.root / folder.lstrip("/")

    def log_of(self, name: str) -> str:
        """The text of its only log file with this in its name."""
        (file,) = (self.home / ".rbee" / "logs").glob(f"*{name}*.log")
        return file.read_text(encoding="utf-8", errors="replace")

    def put_program(
        self, name: str, script: str, folder: Path | None = None, shell: str = "/bin/sh"
    ) -> Path:
        """Write a shell script into a folder, by default one on its PATH."""
        folder = folder or self.bin
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / name
        program.write_text(f"#!{shell}\n{script}\n")
        program.chmod(0o755)
        return program

    def print_at_login(self, lines: Sequence[str]) -> None:
        """Let its .bashrc print these lines on both outputs."""
        text = " ".join(shlex.quote(line) for line in lines)
        (self.home / ".bashrc").write_text(f"printf '%s\\n' {text}\nprintf '%s\\n' {text} >&2\n")

    def close(self) -> None:
        self.server.close()

    def _replace_programs(self) -> None:
        """The same implementation is judged on every machine: `-D hive=…`."""
        for role in self.commands.replaced:
            judged = shlex.join(self.commands.argv(role))
            self.put_program(INSTALLED[role], f'exec {judged} "$@"')


def add_node(
    world: World,
    name: str,
    kind: str = "embedded",
    address: str | None = None,
    namespace: str | None = None,
    port: int | None = None,
) -> Node:
    """Add a machine with an SSH server, into which this world's user may log in.

    `kind` is embedded or sshd. Without an `address` it is on the world's network; without a `port`
    its SSH server is at 22, where that may be bound.
    """
    address = address or world.network.address(21 + len(world.nodes))
    root = world.root / "nodes" / name
    node = Node(
        name, address, root, world.own_processes, world.commands, world.user, kind, namespace, port
    )
    world.nodes[name] = node
    world.evidence.note(f"node {name} at {address}:{node.port}")
    return node
