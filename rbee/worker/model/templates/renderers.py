"""The worker's end of the processes that render chat templates.

A template is a stranger's program. So each conversation is rendered in a process that is killed
when it takes too long, or when nobody waits for it any more. The next one is given another
process; one that has answered is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from rbee.contract.errors import ProgramFailed
from rbee.runtime.concurrency import finish, in_thread, stop
from rbee.worker.model.templates import process

DEADLINE_S = 10.0
# How many conversations are rendered at once, and how many processes are kept for the next ones.
_AT_ONCE, _KEPT = 4, 1
_READY_S = 30.0
# What ps shows last.
_NAME = "chat-templates"
# What Python needs to find its modules, and the time of day.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


class TemplateFailed(Exception):
    """No prompt came of it. The text goes on from "The model's chat template"."""


class Templates(msgspec.Struct, frozen=True):
    """What a process must know: the templates by their names, and the special tokens' texts by the
    names that templates have for them."""

    sources: Mapping[str, str]
    tokens: Mapping[str, str]


def start_ahead() -> None:
    """Start a process for the first `Renderers` of this process, which is not there yet. Where that
    is not possible, the first conversation tries again, and says why."""
    with contextlib.suppress(OSError):
        _started_ahead().append(_Renderer())


@functools.cache
def _started_ahead() -> list[_Renderer]:
    """At most one, as a worker has one model."""
    return []


class Renderers:
    """The processes for the templates of one model. Use it on the main thread: what ends a process
    with its parent is tied to the thread that starts it."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._kept: list[_Renderer] = []
        self._opening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have a process: what it imports can be imported while the model loads."""
        if not _started_ahead():
            start_ahead()
        self._kept += _started_ahead()
        _started_ahead().clear()

    def prepare(self, templates: Templates) -> None:
        """Let the process compile the templates before the first conversation."""
        for renderer in self._kept:
            opening = renderer.open(templates, self._deadline_s)
            self._opening = asyncio.create_task(_ignoring_failure(opening))

    async def ask(self, templates: Templates, request: Mapping[str, Any]) -> str:
        """What a process answers. Raises TemplateFailed, and PROGRAM_FAILED where no process can be
        started. However it ends, nothing works on the request any more."""
        async with self._turns:
            renderer = await self._renderer()
            reusable = False
            try:
                await renderer.open(templates, self._deadline_s)
                async with asyncio.timeout(self._deadline_s):
                    kind, text = await renderer.ask(request)
                reusable = kind != process.EXHAUSTED and len(self._kept) < _KEPT
            except TimeoutError:
                raise TemplateFailed(f"took longer than {self._deadline_s:g} s") from None
            except (OSError, EOFError):
                raise TemplateFailed("has ended the process that renders it") from None
            finally:
                if reusable:
                    self._kept.append(renderer)
                else:
                    await finish(renderer.kill())
        if kind != process.TEXT:
            raise TemplateFailed(text)
        return text

    async def close(self) -> None:
        """Kill the processes that are kept. Requests must have ended before."""
        if self._opening is not None:
            await stop(self._opening)
        while self._kept:
            await self._kept.pop().kill()

    async def _renderer(self) -> _Renderer:
        """One that is kept, unless something else has ended it, or a new one."""
        while self._kept:
            renderer = self._kept.pop()
            if renderer.is_running:
                return renderer
            await renderer.kill()
        try:
            return _Renderer()
        except OSError as error:
            raise _no_process(f"{error.strerror}.") from None


class _Renderer:
    """One process. It answers one request at a time."""

    def __init__(self) -> None:
        """Start it. Raises OSError."""
        self._sock, theirs = socket.socketpair()
        self._sock.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", process.__name__, _NAME],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
        self._opening = asyncio.Lock()
        self._is_ready = False
        self._knows: Templates | None = None

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    async def open(self, templates: Templates, deadline_s: float) -> None:
        """Wait until it listens, and tell it the templates, unless it knows them. Raises OSError,
        EOFError and PROGRAM_FAILED."""
        async with self._opening:
            if not self._is_ready:
                await self._wait_until_ready()
            if self._knows is not templates:
                await self._send({"templates": templates, "deadline_s": deadline_s})
                self._knows = templates

    async def ask(self, request: Mapping[str, Any]) -> tuple[bytes, str]:
        """The kind and the text of its answer. Raises OSError and EOFError if it ends."""
        await self._send(request)
        return await self._reply()

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self._process.kill()
        async with self._opening:  # who still reads there must see the end before it is closed
            self._sock.close()
        await in_thread(self._process.wait)

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_S):
                await self._reply()
        except TimeoutError:
            raise _no_process(f"it was not ready within {_READY_S:g} s.") from None
        except EOFError:
            raise _no_process(f"it ended with code {self._process.poll()}.") from None
        self._is_ready = True

    async def _send(self, message: Mapping[str, Any]) -> None:
        data = msgspec.json.encode(message)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sock, process.HEAD.pack(len(data)))
        await loop.sock_sendall(self._sock, data)

    async def _reply(self) -> tuple[bytes, str]:
        kind, size = process.REPLY.unpack(await self._receive(process.REPLY.size))
        if size > process.LONGEST:  # the template has got out of its sandbox
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
    """The first conversation meets it again, and says why."""
    with contextlib.suppress(OSError, EOFError, ProgramFailed):
        await opening


def _no_process(reason: str) -> ProgramFailed:
    return ProgramFailed(program="the renderer of chat templates", reason=reason)
