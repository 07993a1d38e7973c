"""One session at the embedded SSH server: a command as a real process, or files by SFTP."""

import asyncio
import contextlib
import inspect
import os
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from harness.ssh.connection_log import Command, SshLog

_SFTP_VERSION = 3
_HEARD_BYTES = 8192


@dataclass(frozen=True)
class Account:
    """Where a node's sessions begin, and with which environment.

    `environment` is called for each session. Every session is started as `sh -c COMMAND`, as sshd
    does with the login shell; like bash under sshd it reads ~/.bashrc first, if there is one.
    """

    home: Path
    environment: Callable[[], Mapping[str, str]]

    def argv(self, command: str) -> Sequence[str]:
        bashrc = self.home / ".bashrc"
        first = f". {bashrc}\n" if bashrc.exists() else ""
        return ["sh", "-c", first + command]


class Session(asyncssh.SSHServerProcess[bytes]):
    """Started in a session and process group of its own, like sshd's.

    When the connection is lost the process goes on: its standard input ends, and nothing reads its
    output any more.
    """

    def __init__(self, account: Account, log: SshLog) -> None:
        super().__init__(self._run, self._files, _SFTP_VERSION, False)
        self._account = account
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._received = bytearray()
        self._beats: list[float] = []

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Keep the beginning, and when heartbeats came; pass everything to the command."""
        if not data.strip(b"\n"):
            self._beats.append(time.monotonic())
        self._received += data[: _HEARD_BYTES - len(self._received)]
        super().data_received(data, datatype)

    def signal_received(self, signal: str) -> None:
        """Send it to the whole group. OpenSSH does the same, but silently not for root."""
        self._send(f"SIG{signal}")

    def add_cleanup_task(self, task: Awaitable[Any]) -> None:
        """Nothing waits for a session to be closed."""
        if inspect.iscoroutine(task):
            task.close()

    def _send(self, name: str) -> None:
        if self._child and self._child.poll() is None:
            os.killpg(self._child.pid, signal.Signals[name])

    def _files(self, channel: Any) -> asyncssh.SFTPServer:
        return _Files(channel, self._account.home)

    def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> Awaitable[None]:
        """Start the command without asyncio's subprocesses, which would end with the loop.

        It is spawned on the server's thread: PDEATHSIG is tied to the thread that spawns.
        """
        text = str(process.command or "")
        if agent := process.channel.get_agent_path():
            self._log.agents.append(agent)
        self._child = subprocess.Popen(
            self._account.argv(text),
            env={**self._account.environment(), "SSH_CONNECTION": self._ends()},
            cwd=self._account.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        command = Command(
            time.monotonic(), text, self._child.pid, received=self._received, beats=self._beats
        )
        self._log.commands.append(command)
        return self._serve(process, self._child, command)

    def _ends(self) -> str:
        """As sshd writes it: the client's address and port, then the server's."""
        client = self.get_extra_info("peername")
        server = self.get_extra_info("sockname")
        return f"{client[0]} {client[1]} {server[0]} {server[1]}"

    async def _serve(
        self,
        process: asyncssh.SSHServerProcess[bytes],
        child: subprocess.Popen[bytes],
        command: Command,
    ) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def reap() -> None:
            command.code = child.wait()
            with contextlib.suppress(RuntimeError):  # the server is closed
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=reap, daemon=True).start()
        await process.redirect(child.stdin, child.stdout, child.stderr, send_eof=False)
        await ended.wait()
        await process.stdout.drain()
        await process.stderr.drain()
        code = command.code or 0
        if code < 0:
            process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
        else:
            process.exit(code)


class _Files(asyncssh.SFTPServer):
    """The whole disk; relative paths begin at the node's home."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], home: Path) -> None:
        super().__init__(channel)
        self._home = os.fsencode(home)

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self._home, path)  # noqa: PTH118 - bytes
