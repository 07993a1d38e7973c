"""The worker's end of processes that work on what a stranger has sent, and may be killed for it.

A chat template is a program, and a grammar can take hours to compile. So each is worked on in a
process that is killed when it takes too long, or when nobody waits for it any more. The next
request is given another process; one that has answered is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from rbee.contract.errors import ProgramFailed
from rbee.runtime.concurrency import finish, in_thread, stop
from rbee.worker.model import killable_process

# How many processes are kept for the next requests.
_KEPT = 1
_READY_S = 30.0
# Bytes of an answer.
LONGEST = 64 << 20
# What Python needs to find its modules, and the time of day.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


class Failed(Exception):
    """No answer came of it. The text says why, and goes on from what was asked for."""


class Interrupted(Failed):
    """It need not be what was asked for that has prevented an answer: the machine may be busy, or
    have no memory left, or something else has ended the process."""


class Kind(msgspec.Struct, frozen=True):
    """What processes do: they run `module`, whose `main` calls `killable_process.serve`. `ps` shows
    `name` last; in an error each of them is `what`, and it `does` something."""

    module: str
    name: str
    what: str
    does: str


class Processes:
    """Processes of a kind. Use it on the main thread: what ends a process with its parent is tied
    to the thread that starts it."""

    def __init__(self, kind: Kind, at_once: int, deadline_s: float, compute_s: float) -> None:
        """So many requests are worked on `at_once`, each for at most `deadline_s`, of which it may
        compute for `compute_s`."""
        self._kind = kind
        self._deadline_s = deadline_s
        self._compute_s = compute_s
        self._turns = asyncio.Semaphore(at_once)
        self._kept: list[Process] = []
        self._opening: asyncio.Task[None] | None = None

    def keep(self, process: Process) -> None:
        """Have a process that was started ahead."""
        self._kept.append(process)

    def prepare(self, knowledge: Any) -> None:
        """Let a process that is kept learn this before the first request."""
        for process in self._kept:
            self._opening = asyncio.create_task(_ignoring_failure(process.open(knowledge)))

    async def ask(self, knowledge: Any, request: Mapping[str, Any]) -> str:
        """What a process answers that has learned `knowledge`. Raises Failed, and PROGRAM_FAILED
        where no process can be started. However it ends, nothing works on the request any more."""
        async with self._turns:
            process = await self._process()
            reusable = False
            try:
                await process.open(knowledge)
                async with asyncio.timeout(self._deadline_s):
                    kind, text = await process.ask(request, self._compute_s)
                reusable = kind != killable_process.EXHAUSTED and len(self._kept) < _KEPT
            except TimeoutError:
                raise Interrupted(f"took longer than {self._deadline_s:g} s") from None
            except (OSError, EOFError):
                raise Interrupted(f"has ended the process that {self._kind.does}") from None
            finally:
                if reusable:
                    self._kept.append(process)
                else:
                    await finish(process.kill())
        if kind != killable_process.TEXT:
            raise Failed(text)
        return text

    async def close(self) -> None:
        """Kill the processes that are kept. Requests must have ended before."""
        if self._opening is not None:
            await stop(self._opening)
        while self._kept:
            await self._kept.pop().kill()

    def end(self) -> None:
        """The same where no event loop runs, if nothing was prepared."""
        while self._kept:
            self._kept.pop().end()

    async def _process(self) -> Process:
        """One that is kept, unless something else has ended it, or a new one."""
        while self._kept:
            process = self._kept.pop()
            if process.is_running:
                return process
            await process.kill()
        try:
            return Process(self._kind)
        except OSError as error:
            raise ProgramFailed(program=self._kind.what, reason=f"{error.strerror}.") from None


class Process:
    """One process. It answers one request at a time."""

    def __init__(self, kind: Kind) -> None:
        """Start it. Raises OSError."""
        self._kind = kind
        self._sock, theirs = socket.socketpair()
        self._sock.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", kind.module, kind.name],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
        self._opening = asyncio.Lock()
        self._is_ready = False
        self._knows: Any = None

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    async def open(self, knowledge: Any) -> None:
        """Wait until it listens, and tell it what it must know, unless it does. Raises OSError,
        EOFError and PROGRAM_FAILED."""
        async with self._opening:
            if not self._is_ready:
                await self._wait_until_ready()
            if self._knows is not knowledge:
                await self._send({"learn": knowledge}, _READY_S)
                self._knows = knowledge

    async def ask(self, request: Mapping[str, Any], compute_s: float) -> tuple[bytes, str]:
        """The kind and the text of its answer. Raises OSError and EOFError if it ends."""
        await self._send(request, compute_s)
        return await self._reply()

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self._process.kill()
        async with self._opening:  # who still reads there must see the end before it is closed
            self._sock.close()
        await in_thread(self._process.wait)

    def end(self) -> None:
        """The same for one that nobody reads from."""
        self._process.kill()
        self._sock.close()
        self._process.wait()

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_S):
                await self._reply()
        except TimeoutError:
            raise self._did_not_start(f"it was not ready within {_READY_S:g} s.") from None
        except EOFError:
            raise self._did_not_start(f"it ended with code {self._process.poll()}.") from None
        self._is_ready = True

    def _did_not_start(self, reason: str) -> ProgramFailed:
        return ProgramFailed(program=self._kind.what, reason=reason)

    async def _send(self, message: Mapping[str, Any], compute_s: float) -> None:
        data = msgspec.json.encode(message)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sock, killable_process.HEAD.pack(compute_s, len(data)))
        await loop.sock_sendall(self._sock, data)

    async def _reply(self) -> tuple[bytes, str]:
        head = await self._receive(killable_process.REPLY.size)
        kind, size = killable_process.REPLY.unpack(head)
        if size > LONGEST:  # it does not do what we have written any more
            raise EOFError
        return kind, (await self._receive(size)).decode(errors="replace")

    async def _receive(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        loop = asyncio.get_running_loop()
        while view:
            count = await loop.sock_recv_into(self._sock, view)
            if not count:
                raise EOFError
            view = view[count:]
        return data


async def _ignoring_failure(opening: Awaitable[None]) -> None:
    """The first request meets it again, and says why."""
    with contextlib.suppress(OSError, EOFError, ProgramFailed):
        await opening
