"""OpenSSH's own sshd as a node's SSH server, for the scenarios tagged @sshd.

It runs as the user who runs the harness, so every login is theirs; what makes it a login on the
node (HOME, PATH, the marks) is set for each session by SetEnv.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import asyncssh
import psutil

from harness.ssh.connection_log import Authentication, Command, Connection, SshLog
from harness.ssh.session import Account
from harness.world.user import User
from harness.world.waiting import wait_until

_PROGRAMS = ("/usr/sbin/sshd", "/usr/bin/sshd")
_PRIVILEGES = Path("/run/sshd")
_CONNECTED = re.compile(r"^Connection from (\S+) port")
_ACCEPTED = re.compile(r"^Accepted publickey for (\S+) from \S+ port \d+ ssh2: \S+ (\S+)")
_SESSION = re.compile(r"^Starting session: (.*) for \S+ from")


class OpenSshServer:
    """Serves from its creation on; `log` is read from sshd's own log."""

    def __init__(
        self,
        address: str,
        port: int,
        account: Account,
        user: User,
        folder: Path,
        namespace: str | None,
    ) -> None:
        self.address = address
        self.port = port
        self._account = account
        self._folder = folder
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        (folder / "authorized_keys").write_bytes(user.key.export_public_key())
        self.open()

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint()

    def open(self) -> None:
        self.refuse()
        key = self._folder / "host_key"
        key.touch(mode=0o600)
        key.write_bytes(self.host_key.export_private_key())
        (self._folder / "sshd_config").write_text(self._config())
        if os.geteuid() == 0:
            _PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
        with (self._folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until("sshd to listen", self._answers, 10)

    def refuse(self) -> None:
        """Stop listening; open connections stay."""
        if self._process:
            self._process.terminate()
            self._process.wait(5)
            self._process = None

    def change_host_key(self) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.open()

    def drop_connections(self) -> None:
        assert self._process
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.Error):
                child.send_signal(signal.SIGKILL)

    def close(self) -> None:
        if self._process:
            self.drop_connections()
        self.refuse()

    @property
    def log(self) -> SshLog:
        """The times are those of the reading, since sshd writes none that are precise enough."""
        log, now = SshLog(), time.monotonic()
        for line in (self._folder / "sshd.log").read_text(errors="replace").splitlines():
            if found := _CONNECTED.match(line):
                log.connections.append(Connection(found[1]))
            elif found := _ACCEPTED.match(line):
                log.authentications.append(Authentication(now, found[1], found[2], True))
            elif found := _SESSION.match(line):
                log.commands.append(Command(now, found[1], 0))
        return log

    def _argv(self) -> Sequence[str]:
        (program, *_) = [path for path in _PROGRAMS if os.access(path, os.X_OK)]
        within = ["ip", "netns", "exec", self._namespace] if self._namespace else []
        return [*within, program, "-D", "-e", "-f", str(self._folder / "sshd_config")]

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "sshd.log").read_text()
        with socket.create_connection((self.address, self.port), timeout=1) as probe:
            return probe.recv(4) == b"SSH-"

    def _config(self) -> str:
        # Without SHLVL bash believes that sshd started it and reads the harness's ~/.bashrc.
        environment = {**self._account.environment(), "SHLVL": "1"}
        values = " ".join(f'"{name}={value}"' for name, value in environment.items())
        return "\n".join(
            [
                f"ListenAddress {self.address}:{self.port}",
                f"HostKey {self._folder / 'host_key'}",
                f"AuthorizedKeysFile {self._folder / 'authorized_keys'}",
                f"Subsystem sftp internal-sftp -d {self._account.home}",
                f"SetEnv {values}",
                "PidFile none",
                "LogLevel VERBOSE",
                "StrictModes no",
                "UsePAM no",
                "PermitRootLogin yes",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "",
            ]
        )
