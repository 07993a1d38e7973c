"""A machine behind SSH: a real server on this one, whose commands a real shell runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import asyncssh


async def until(true: Callable[[], object], within_s: float = 5) -> None:
    """For what has no event to wait for."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Sshd:
    """Serves from `begin` on. `home` is the account's; `commands`, `logins` and `offered` are
    what came."""

    def __init__(self, home: Path, authorized: list[asyncssh.SSHKey]) -> None:
        self.home = home
        self.authorized = authorized
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.commands: list[str] = []
        self.logins: list[str] = []
        # The public parts of the keys that were offered, in order.
        self.offered: list[bytes] = []
        # After how many keys that do not fit it hangs up, as MaxAuthTries of OpenSSH does.
        self.tries = 6
        self.forwards = True
        self.forwarded: list[tuple[str, int]] = []
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.environment = {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin"}
        # What the login shell does before each command.
        self.login_script = ""
        self.children: list[asyncio.subprocess.Process] = []
        # How long after the end of its outputs a command's code is told.
        self.late_s = 0.0
        # Which are open at this moment.
        self.sessions = 0
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def begin(self, port: int = 0) -> None:
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_host_keys=[self.host_key],
            server_factory=lambda: _Owner(self),
            process_factory=self._run,
            sftp_factory=self._files,
            encoding=None,
        )

    @property
    def port(self) -> int:
        assert self._acceptor is not None
        return self._acceptor.get_port()

    @property
    def codes(self) -> list[int | None]:
        """How each command ended; None for one that runs, or is only about to."""
        codes = [child.returncode for child in self.children]
        return codes + [None] * (len(self.commands) - len(codes))

    @property
    def is_idle(self) -> bool:
        return None not in self.codes

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint()

    def write(self, path: str, text: str, mode: int = 0o755) -> Path:
        """A file in the home there, mostly a program."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def hang(self) -> None:
        """Hear and say nothing more on the connections that are open."""
        for connection in self.connections:
            connection._transport.pause_reading()  # type: ignore[union-attr]

    def drop(self) -> None:
        """Break the connections that are open."""
        for connection in self.connections:
            connection.abort()

    async def close(self) -> None:
        self.drop()
        if self._acceptor is not None:
            self._acceptor.close()
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            await asyncio.gather(*(child.wait() for child in self.children))

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.sessions += 1
        closing = asyncio.ensure_future(process.wait_closed())
        closing.add_done_callback(self._note_closed)
        self.commands.append(process.command or "")
        client = process.get_extra_info("peername")
        server = process.get_extra_info("sockname")
        child = await asyncio.create_subprocess_exec(
            *("sh", "-c", f"{self.login_script}\n{process.command or ''}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "SSH_CONNECTION": f"{client[0]} {client[1]} {server[0]} {server[1]}",
                **self.environment,
            },
            cwd=self.home,
            start_new_session=True,
        )
        self.children.append(child)
        pumps = asyncio.gather(
            _pump_in(process, child), _pump(child.stdout, process.stdout),
            _pump(child.stderr, process.stderr), return_exceptions=True,
        )  # fmt: skip
        code = await child.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pumps, 0.5)
        if self.late_s:
            process.channel.write_eof()
            await asyncio.sleep(self.late_s)
        if code < 0:
            process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
        else:
            process.exit(code)

    def _note_closed(self, _: object) -> None:
        self.sessions -= 1

    def _files(self, channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return _Files(channel, self.home)


class _Owner(asyncssh.SSHServer):
    def __init__(self, sshd: Sshd) -> None:
        self._sshd = sshd

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._sshd.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._sshd.logins.append(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if key.public_data not in self._sshd.offered:
            self._sshd.offered.append(key.public_data)
        if len(self._sshd.offered) > self._sshd.tries:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_PROTOCOL_ERROR, "Too many authentication failures"
            )
        return any(key.public_data == known.public_data for known in self._sshd.authorized)

    def connection_requested(self, dest_host: str, dest_port: int, *_: object) -> bool:
        self._sshd.forwarded.append((dest_host, dest_port))
        return self._sshd.forwards


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], home: Path) -> None:
        super().__init__(channel)
        self._home = home

    def map_path(self, path: bytes) -> bytes:
        return os.fsencode(self._home / os.fsdecode(path))


async def _pump_in(
    process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process
) -> None:
    assert child.stdin is not None
    try:
        while data := await process.stdin.read(65_536):
            child.stdin.write(data)
    finally:
        child.stdin.close()


async def _pump(source: asyncio.StreamReader | None, sink: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    while data := await source.read(65_536):
        sink.write(data)
