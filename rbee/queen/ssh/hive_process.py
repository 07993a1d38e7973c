"""A hive that the queen starts over SSH, tied to it by the same lifeline as a local one; and what
the program there tells of its machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import (
    AddressInUse,
    ConfigInvalid,
    Internal,
    ProgramFailed,
    RbeeError,
    StateNotWritable,
)
from rbee.contract.nodes import Detected
from rbee.queen.ssh.connection import SshConnection
from rbee.runtime import child
from rbee.runtime.lifeline import Lifeline

if TYPE_CHECKING:
    import asyncssh

_READY_S = 30.0
_LAST_WORDS_S = 2.0
_KILLED_WITHIN_S = 5.0
_DETECTED_WITHIN_S = 60.0
_NOT_FOUND = 127

# $1 is a program, the rest are its arguments. A bare name is looked for where `setup install` puts
# it, on PATH, and where a person installs programs, which the PATH over SSH mostly lacks.
# On one line: csh takes no other in quotes.
RUN = (
    "program=$1; shift; case $program in "
    '"~/"*) program=$HOME/${program#"~/"};; '
    "/*) ;; "
    "*/*) program=$HOME/$program;; "
    "*) PATH=$HOME/rbee/.venv/bin:$PATH:$HOME/.local/bin;; "
    'esac; exec "$program" "$@"'
)
_STARTED = 'echo; ps -o lstart= -p "$1"'
# With all that is in its group.
_KILL = 'kill -KILL -- "-$1" || kill -KILL "$1"'
# A pid may have been given to another process meanwhile.
_KILL_IF_SAME = f'[ "$(ps -o lstart= -p "$1")" = "$2" ] && {{ {_KILL}; }}'


class SshHiveProcess:
    """The process on the other machine, with the methods of `child.Child`; made by `start`."""

    def __init__(
        self,
        ssh: SshConnection,
        process: asyncssh.SSHClientProcess[bytes],
        lifeline: Lifeline,
        pid: str,
        last_words_s: float,
    ) -> None:
        self._ssh = ssh
        self._process = process
        self._lifeline = lifeline
        self._pid = pid
        self._last_words_s = last_words_s
        self._ended = asyncio.create_task(self._wait())
        self._began = asyncio.create_task(self._note_began())

    @property
    def is_running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> int | None:
        """The exit code, as soon as it has ended; None if the connection was lost."""
        return await asyncio.shield(self._ended)

    def cut_lifeline(self) -> None:
        """Close the lifeline: it ends at once, without grace."""
        self._lifeline.close()

    async def end(self, within_s: float) -> int | None:
        """Wait `within_s` seconds for the end that was asked for, then end it."""
        await asyncio.wait({self._ended}, timeout=within_s)
        return await self.kill()

    async def kill(self) -> int | None:
        """Close the lifeline. A process that does not end then is killed by its pid, if that is
        still its own. Behind a lost connection the lease does the same."""
        self._lifeline.close()
        if self.is_running:
            await asyncio.wait({self._ended}, timeout=self._last_words_s)
        # What was asked of its machine meanwhile is not left running there either.
        await asyncio.wait({self._began}, timeout=self._last_words_s)
        if self.is_running and self._began.done() and (began := self._began.result()):
            with contextlib.suppress(RbeeError):
                await self._ssh.run(_KILL_IF_SAME, self._pid, began, within_s=_KILLED_WITHIN_S)
            await asyncio.wait({self._ended}, timeout=self._last_words_s)
        self._process.close()
        self._began.cancel()
        ended = self._ended.done() and not self._ended.cancelled()
        code = self._ended.result() if ended else None
        self._ended.cancel()
        return code

    async def _wait(self) -> int | None:
        await self._process.wait_closed()
        self._lifeline.close()
        return self._process.returncode

    async def _note_began(self) -> str | None:
        """When the process began, as its own machine prints it."""
        with contextlib.suppress(RbeeError):
            lines = (await self._ssh.run(_STARTED, self._pid)).out.splitlines()
            return lines[-1] if lines else None  # past what a login shell prints
        return None


async def start(
    ssh: SshConnection,
    command: Sequence[str],
    hello: Hello,
    heartbeat_s: float,
    *,
    ready_s: float = _READY_S,
    last_words_s: float = _LAST_WORDS_S,
) -> tuple[SshHiveProcess, Listening]:
    """Start `command` on the node, say `hello`, and wait for its ready line.

    If `hello` does not say what to bind, it is the address under which the node was reached.
    `last_words_s` is how long the end of a process that should end is waited for, before it is
    killed. Raises the error that the hive names itself, SSH_CONNECTION_FAILED, else PROGRAM_FAILED
    with its last words; then nothing is left running.
    """
    reading, writing = os.pipe()
    # A file object knows whether it is closed. Its number alone may belong to another by then.
    source, sink = os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0)
    with contextlib.ExitStack() as undo:
        undo.callback(sink.close)
        process: asyncssh.SSHClientProcess[bytes] | None = None
        pid, lifeline = None, None
        try:
            async with asyncio.timeout(ready_s):
                with ssh.ssh_errors():
                    process, pid, address = await ssh.start(RUN, *command, stdin=source)
                    undo.callback(process.close)
                    if hello.bind is None:
                        hello = msgspec.structs.replace(hello, bind=address, announce=ssh.peer)
                    lifeline = Lifeline(os.dup(sink.fileno()), hello, heartbeat_s)
                    sink.close()
                    undo.callback(lifeline.close)
                    listening = await child.ready(process.stdout)
        except AddressInUse:  # another port will do
            raise
        except (ConfigInvalid, StateNotWritable, Internal) as error:  # of that machine
            raise _failed_there(ssh.node, error) from None
        except (TimeoutError, EOFError) as error:
            if process is not None and pid is not None and isinstance(error, TimeoutError):
                if lifeline is not None:
                    lifeline.close()
                await _give_up(ssh, process, pid, last_words_s)
            raise await _failed(ssh, command[0], process, error) from None
        undo.pop_all()
        return SshHiveProcess(ssh, process, lifeline, pid, last_words_s), listening


def _failed_there(node: str, error: RbeeError) -> ProgramFailed:
    """A fault of the other machine must not be looked for on this one."""
    message = f"rbee-hive did not start on {node}, where it says: {error.message}"
    hint = f"On {node}: {error.advice}"
    return ProgramFailed(message, program="rbee-hive", reason=error.message, hint=hint)


async def _give_up(
    ssh: SshConnection, process: asyncssh.SSHClientProcess[bytes], pid: str, last_words_s: float
) -> None:
    """End a process that does not get ready. Its lifeline is closed, but maybe not watched yet."""
    try:
        async with asyncio.timeout(last_words_s):
            await process.wait_closed()
    except TimeoutError:
        with contextlib.suppress(RbeeError):
            await ssh.run(_KILL, pid, within_s=_KILLED_WITHIN_S)


async def _failed(
    ssh: SshConnection,
    program: str,
    process: asyncssh.SSHClientProcess[bytes] | None,
    error: TimeoutError | EOFError,
) -> ProgramFailed:
    node, words, code = ssh.node, "", None
    if process is not None and isinstance(error, EOFError):
        with ssh.ssh_errors():
            words = await child.last_output(process.stderr)
        with contextlib.suppress(TimeoutError):  # its exit status comes after its outputs end
            await asyncio.wait_for(process.wait_closed(), _LAST_WORDS_S)
        code = process.returncode
    if code == _NOT_FOUND:
        message = f"rbee is not installed on {node}: there is no {program} there."
        hint = f"Install it: {ssh.install_command}"
        return ProgramFailed(message, program="rbee-hive", reason="not installed", hint=hint)
    reason = words[-2000:] or ("no ready line came in time" if code is None else f"code {code}")
    return ProgramFailed(
        f"rbee-hive did not start on {node}: {reason}", program="rbee-hive", reason=reason
    )


async def detect(ssh: SshConnection, program: str) -> Detected | None:
    """What `program` on the node tells of the machine, with the `rbee-hive detect` of any version;
    None if it is not there. Raises as `SshConnection.run`."""
    found = await ssh.run(RUN, program, "detect", "--json", within_s=_DETECTED_WITHIN_S)
    return parse_detected(found.out)


def parse_detected(output: str) -> Detected | None:
    """The JSON of `rbee-hive detect --json`, on one line or on many, past what a login shell prints
    before it."""
    lines = output.splitlines()
    for turn, line in enumerate(lines):
        if line.startswith("{"):
            for text in (line, "\n".join(lines[turn:])):
                with contextlib.suppress(msgspec.MsgspecError):
                    return msgspec.json.decode(text, type=Detected)
    return None
