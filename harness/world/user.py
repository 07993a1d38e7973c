"""The user of a world, as SSH knows them: their key, their ~/.ssh, their agent."""

import asyncio
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from harness.world.waiting import wait_until

_AGENT = "/usr/bin/ssh-agent"
_PASSPHRASE = "correct horse battery staple"


class User:
    """Has a key without a passphrase in the usual place."""

    def __init__(self, home: Path) -> None:
        self.folder = home / ".ssh"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.key_file = self.folder / "id_ed25519"
        self.key = asyncssh.generate_private_key("ssh-ed25519", "a user of the harness")
        self.key_file.touch(mode=0o600)
        self.key_file.write_bytes(self.key.export_private_key())
        self._config: list[str] = []

    @property
    def fingerprint(self) -> str:
        return self.key.get_fingerprint()

    def configure(self, host: str, lines: Sequence[str]) -> None:
        """Add a block to ~/.ssh/config. If two blocks differ, the earlier counts, as always."""
        self._config.append("\n".join([f"Host {host}", *(f"    {line}" for line in lines)]))
        (self.folder / "config").write_text("\n\n".join(self._config) + "\n")

    def move_key(self, name: str) -> Path:
        """Move it to a file where no program looks by itself."""
        self.key_file = self.key_file.rename(self.folder / name)
        return self.key_file

    def add_passphrase(self) -> None:
        """Protect the key with a passphrase, which no program of the scenario gets."""
        argv = ["ssh-keygen", "-q", "-p", "-f", str(self.key_file), "-P", "", "-N", _PASSPHRASE]
        subprocess.run(argv, check=True, capture_output=True, timeout=10)

    def add_known_host(self, host: str, port: int, key: asyncssh.SSHKey) -> None:
        """Add a line to ~/.ssh/known_hosts, as after an earlier visit.

        `host` is what ~/.ssh/config has as HostName.
        """
        host = host if port == 22 else f"[{host}]:{port}"
        public = key.export_public_key("openssh").decode().strip()
        with (self.folder / "known_hosts").open("a") as file:
            file.write(f"{host} {public}\n")


class SshAgent:
    """A running ssh-agent. It holds the user's key and was given the passphrase; or it `holds`
    another key."""

    def __init__(self, user: User, folder: Path, holds: asyncssh.SSHKey | None = None) -> None:
        self.socket = folder / "agent"
        self._process = subprocess.Popen(
            [_AGENT, "-D", "-a", str(self.socket)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until("ssh-agent to listen", self._answers, 5)
        _hand_over(str(self.socket), holds or user.key)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
        return True

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(5)


def _hand_over(agent: str, key: asyncssh.SSHKey) -> None:
    async def hand_over() -> None:
        async with asyncssh.connect_agent(agent) as connection:
            await connection.add_keys([key])

    asyncio.run(hand_over())
