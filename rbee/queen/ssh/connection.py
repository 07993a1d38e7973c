"""The SSH connection of one node: opened when it is needed, shared by everything that needs it, and
known to be dead within seconds. `login` knows how to open it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn

import msgspec

from rbee.contract.errors import RbeeError, SshConnectionFailed
from rbee.contract.registry import NodeRow
from rbee.queen.ssh.login import (
    KEEPALIVE_S,
    NoAnswerError,
    connect_through_jump_hosts,
    log_in,
    options_of,
)
from rbee.runtime.concurrency import in_thread

if TYPE_CHECKING:
    import asyncssh


# A login shell that waits longer in its start-up files waits for a person.
_SHELL_WITHIN_S = 10.0
# Printed before a script, on a line of its own whatever the login shell prints.
_BEGUN = "rbee-ssh"
_BEGIN = f'echo; echo "{_BEGUN} $$ $SSH_CONNECTION"; '
# Characters of what a login shell printed, in an error.
_PRINTED = 300


class Result(msgspec.Struct, frozen=True):
    """How a script ended, and what it wrote."""

    code: int
    out: str
    err: str


class Started(NamedTuple):
    """A script that has begun: its process, its pid, which `exec` keeps, and the node's address
    that was connected to."""

    process: asyncssh.SSHClientProcess[bytes]
    pid: str
    address: str


class SshConnection:
    """To one node. `connect` may be called by many at once: they share one connection."""

    def __init__(
        self,
        row: NodeRow,
        connect_s: float,
        keepalive_s: float = KEEPALIVE_S,
        shell_within_s: float = _SHELL_WITHIN_S,
    ) -> None:
        self.node = row.node_name
        self._row = row
        self._connect_s = connect_s
        self._keepalive_s = keepalive_s
        self._shell_within_s = shell_within_s
        self._users = 0
        self._port = row.ssh_port or 22
        self._opening = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._through = row.tunnel
        self._forwards: dict[int, asyncssh.SSHListener] = {}

    @property
    def install_command(self) -> str:
        """The command that installs rbee there, as it is here or from the node's repository."""
        wheel = "" if self._row.git_repo_url else " --wheel"
        return f"rbee-keeper setup install --node {self.node}{wheel}"

    @property
    def host(self) -> str:
        return self._row.ssh_host or self.node

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    @property
    def is_direct(self) -> bool:
        """Whether other ports of the node can be reached as its SSH port is, which is known once
        connected. Through a jump host or a proxy command they can't."""
        return not self._through

    @property
    def peer(self) -> str:
        """The address that was connected to. Only while connected."""
        assert self._connection is not None
        peer = self._connection.get_extra_info("peername")
        return str(peer[0]) if peer else self.host

    async def port(self) -> int:
        """Of the SSH server: if the row has none, as ~/.ssh/config has it."""
        with contextlib.suppress(ValueError):  # `connect` raises it
            self._port = int((await self._options()).port)
        return self._port

    async def connect(self, accept: str | None = None) -> asyncssh.SSHClientConnection:
        """The connection, opened with one attempt if there is none. `accept` is the fingerprint of
        a host key to trust from now on.

        Raises NoAnswerError, and SSH_CONNECTION_FAILED for whatever the SSH server, or our own
        side, refuses.
        """
        async with self._opening:
            if self._connection is None or not self.is_connected:
                self._forwards.clear()
                self._connection = await self._open(accept)
            return self._connection

    async def run(
        self,
        script: str,
        *words: str,
        within_s: float = 30.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run the POSIX sh `script` there; `words` arrive as $1, $2 … unchanged. `on_line` hears
        each line of both outputs as it comes. Raises SSH_CONNECTION_FAILED."""
        with self.ssh_errors():
            process = (await self.start(script, *words)).process
            try:
                async with asyncio.timeout(within_s):
                    out, err = await asyncio.gather(
                        _all(process.stdout, on_line), _all(process.stderr, on_line)
                    )
                    await process.wait_closed()
            except TimeoutError:
                self._fail(f"{self.node} did not end what it was asked for within {within_s:g} s")
            finally:
                process.close()
        code = process.returncode
        if code is None:
            self._fail("the connection was lost")
        return Result(code, out, err)

    async def put(self, source: Path | bytes, path: str) -> None:
        """Write a file there; a relative `path` is relative to the home. Raises
        SSH_CONNECTION_FAILED."""
        with self.ssh_errors(f"{path} could not be written: "):
            connection = await self.connect()
            async with connection.start_sftp_client() as sftp:
                if isinstance(source, bytes):
                    async with sftp.open(path, "wb") as file:
                        await file.write(source)
                else:
                    await sftp.put(str(source), path)

    async def start(self, script: str, *words: str, stdin: IO[bytes] | None = None) -> Started:
        """A process that runs `script` with `words` as $1, $2 …; `stdin` is a pipe to read its
        input from, and is closed whatever happens. Raises as `connect` does, and
        SSH_CONNECTION_FAILED where the login shell does not come to run it."""
        try:
            connection = await self.connect()
        except BaseException:
            if stdin is not None:
                stdin.close()
            raise
        # Not before: `connect` imports it on a thread.
        import asyncssh

        # The person's login shell may be any: it sees words in quotes only.
        command = "exec " + shlex.join(["sh", "-c", _BEGIN + script, "rbee", *words])
        source = asyncssh.DEVNULL if stdin is None else stdin
        opening = asyncio.ensure_future(
            connection.create_process(command, stdin=source, encoding=None)
        )
        try:
            async with asyncio.timeout(self._shell_within_s):
                # Canceled halfway it would run on there, with nobody who could close its input.
                process = await asyncio.shield(opening)
                printed = b""
                while line := await process.stdout.readline():
                    mark, *place = line.decode(errors="replace").split() or [""]
                    if mark == _BEGUN and place:
                        address = place[3] if len(place) == 5 else "127.0.0.1"
                        return Started(process, place[0], address)
                    printed += line
                await process.wait_closed()
            self._fail_to_begin(
                f"ended with code {process.returncode} before it ran a command", printed
            )
        except TimeoutError:
            opening.add_done_callback(_close)
            self._fail_to_begin(
                f"did not run a command within {self._shell_within_s:g} s: its start-up files "
                "wait, or ask for input",
                b"",
            )
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise
        except (asyncssh.Error, OSError) as error:
            if stdin is not None:
                stdin.close()
            self._fail(str(error) or type(error).__name__)

    def _fail_to_begin(self, what: str, printed: bytes) -> NoReturn:
        words = " ".join(printed.decode(errors="replace").split())[-_PRINTED:]
        said = f"; it printed: {words}" if words else ""
        self._fail(
            f"the login shell of {self.node} {what}{said}",
            hint=f"`{self._login_details()['command']} true` must end at once, with code 0. See "
            "what the shell's start-up files there do (~/.bashrc, ~/.profile, "
            "~/.config/fish/config.fish): for a command they must not wait, ask for input, or "
            "start another program.",
        )

    async def forward(self, port: int) -> int:
        """The port on this machine's 127.0.0.1 that leads to `port` on the node's 127.0.0.1."""
        with self.ssh_errors(f"port {port} can't be forwarded: "):
            connection = await self.connect()
            known = self._forwards.get(port)
            if known is None:
                known = await connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", port)
                self._forwards[port] = known
            return known.get_port()

    async def forward_back(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """A port on the node's 127.0.0.1 that leads to `port` of `host`, as this machine reaches
        it, and what closes it."""
        with self.ssh_errors(f"port {port} can't be forwarded there: "):
            connection = await self.connect()
            listener = await connection.forward_remote_port("127.0.0.1", 0, host, port)
            return listener.get_port(), listener.close

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """In this block `close` leaves the connection open."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    async def close(self) -> None:
        """Close the connection, unless somebody uses it."""
        if self._users:
            return
        connection, self._connection = self._connection, None
        self._forwards.clear()
        if connection is not None:
            connection.abort()
            with contextlib.suppress(Exception):
                await connection.wait_closed()

    async def _options(self) -> asyncssh.SSHClientConnectionOptions:
        # On a thread: the import takes a fifth of a second, in which others' tokens would wait.
        await in_thread(__import__, "asyncssh")
        row = self._row
        return options_of(
            keepalive_s=self._keepalive_s,
            host=self.host,
            port=row.ssh_port,
            username=row.ssh_user,
        )

    async def _open(self, accept: str | None) -> asyncssh.SSHClientConnection:
        try:
            options = await self._options()
            self._port = int(options.port)
            async with asyncio.timeout(self._connect_s):
                return await self._log_in(options, accept)
        except TimeoutError:
            reason = f"timeout, no answer within {self._connect_s:g} s"
            silent = NoAnswerError(self.host, self._port, reason, timed_out=True)
            silent.details = self._login_details()
            raise silent from None
        except (NoAnswerError, RbeeError) as error:
            error.details |= self._login_details()
            raise
        except Exception as error:
            self._translate(error)

    async def _log_in(
        self, options: asyncssh.SSHClientConnectionOptions, accept: str | None
    ) -> asyncssh.SSHClientConnection:
        hop = await connect_through_jump_hosts(options, accept)
        try:
            self._through = self._row.tunnel or hop is not None or bool(options.proxy_command)
            return await log_in(options, accept, hop, self._row.ssh_key_path)
        except BaseException:  # also a time limit, which cancels
            if hop is not None:
                hop.abort()
            raise

    @contextlib.contextmanager
    def ssh_errors(self, before: str = "") -> Iterator[None]:
        """Whatever a connection raises in this block becomes SSH_CONNECTION_FAILED."""
        try:
            yield
        except NoAnswerError as error:
            raise error.as_rbee_error() from None
        except Exception as error:
            self._translate(error, before)

    def _translate(self, error: Exception, before: str = "") -> NoReturn:
        import asyncssh

        if isinstance(error, RbeeError) or not isinstance(
            error, asyncssh.Error | OSError | ValueError
        ):
            raise error
        self._fail(before + (str(error) or type(error).__name__))

    def _fail(self, reason: str, **details: str) -> NoReturn:
        details |= self._login_details()
        reason = reason.rstrip(".")
        raise SshConnectionFailed(host=self.host, port=self._port, reason=reason, **details)

    def _login_details(self) -> dict[str, str]:
        """The details of SSH_CONNECTION_FAILED for its advice: what this node sets over
        ~/.ssh/config, and the ssh command that logs in as this connection does."""
        row = self._row
        words = ["ssh"]
        with contextlib.suppress(ValueError):  # the config can't be read
            if row.ssh_port not in (None, options_of(host=self.host).port):
                words += ["-p", str(row.ssh_port)]
        if row.ssh_key_path:
            words += ["-i", row.ssh_key_path]
        words.append(f"{row.ssh_user}@{self.host}" if row.ssh_user else self.host)
        given = {"user": row.ssh_user, "key": row.ssh_key_path, "command": shlex.join(words)}
        return {name: value for name, value in given.items() if value}


def _close(opening: asyncio.Future[asyncssh.SSHClientProcess[bytes]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _all(reader: asyncssh.SSHReader[bytes], on_line: Callable[[str], None] | None) -> str:
    output = b""
    while line := await reader.readline():
        output += line
        if on_line is not None:
            on_line(line.decode(errors="replace").rstrip())
    return output.decode(errors="replace")
