"""Starts a worker's process: its command line, a free port, and what it gets on its lifeline."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec

from rbee.contract.config import Config
from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import AddressInUse, Internal, ProgramFailed, ShuttingDown
from rbee.hive.workers.standby import Standby
from rbee.hive.workers.worker_program import worker_command
from rbee.runtime import bind, child
from rbee.runtime.client import Client, address
from rbee.runtime.lifecycle import Lifecycle

_FIRST_PORT, _PORTS = 8001, 200
# One that has not even got ready by now hangs, maybe in a driver: another one may not.
_STANDBY_READY_S = 15.0
_log = logging.getLogger("rbee-hive")

StartChild: TypeAlias = Callable[[Sequence[str], Hello], Awaitable[tuple[child.Child, Listening]]]


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is started with; fixed for its lifetime. `context` in tokens, if the request
    names one; `context_in_use` is what the worker then has. `is_hash_known`: whether the file had
    the sha256 that the catalog has. `memory_bytes` are its weights and KV cache, and `frees_bytes`
    what its device gets back of them when it ends."""

    worker_id: str
    model_ref: str
    file: str
    backend: str
    device: int
    slots: int
    correlation_id: str
    context: int | None = None
    is_hash_known: bool = False
    memory_bytes: int = 0
    frees_bytes: int = 0
    context_in_use: int = 0


class LaunchedWorker(msgspec.Struct, frozen=True):
    """A worker's process that listens. `url` is its address for others, `client` the hive's own
    way to it."""

    child: child.Child
    url: str
    client: Client


class Launcher:
    """Starts workers, each on a port of its own."""

    def __init__(
        self,
        config: Config,
        lifecycle: Lifecycle,
        key: str,
        standby: Standby,
        start_child: StartChild = child.start,
        is_free: Callable[[str, int], bool] = bind.is_free,
    ) -> None:
        self._config = config
        self._lifecycle = lifecycle
        self._key = key
        self._standby = standby
        self._start_child = start_child
        self._is_free = is_free
        self._command = worker_command(config)
        # Ports of workers that do not listen yet.
        self._reserved: set[int] = set()

    async def launch(self, spec: WorkerSpec) -> LaunchedWorker:
        """Start a worker and wait until it listens. Raises INTERNAL if no port is free,
        SHUTTING_DOWN, and the error that the worker reports."""
        own_url = self._lifecycle.own_url
        hello_to_hive = self._lifecycle.hello
        host = self._config.hive.worker_host or address(own_url)[0]
        if hello_to_hive and hello_to_hive.bind:
            host = hello_to_hive.bind
        hello = Hello(
            self._key,
            child.owner("rbee-hive"),
            announce=hello_to_hive.announce if hello_to_hive else None,
            correlation_id=spec.correlation_id,
        )
        for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
            if port in self._reserved or not self._is_free(host, port):
                continue
            self._reserved.add(port)
            arguments = [*_arguments(spec, own_url), "--host", host, "--port", str(port)]
            try:
                process, listening = await self._start(arguments, hello)
            except AddressInUse:  # another program was faster
                continue
            finally:
                self._reserved.discard(port)
            if self._lifecycle.draining.is_set():
                process.lifeline.close()
                await process.end(self._config.times.grace_s)
                raise ShuttingDown("The hive is shutting down.")
            times = self._config.times
            url = bind.url(host, address(listening.url)[1])
            client = Client(url, self._key, times.connect_s, times.stream_silence_s)
            return LaunchedWorker(process, listening.url, client)
        raise Internal(
            f"No port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free on {host}.",
            correlation_id=spec.correlation_id,
        )

    async def _start(self, arguments: list[str], hello: Hello) -> tuple[child.Child, Listening]:
        """With a standby worker, if one waits; one that ends instead of starting is no reason to
        give up."""
        taken = self._standby.take(arguments)
        if taken is not None:
            try:
                return await child.begin(taken, hello, ready_s=_STANDBY_READY_S)
            except ProgramFailed as error:
                _log.warning("a standby worker did not start: %s", error.message)
        return await self._start_child([*self._command, *arguments], hello)


def _arguments(spec: WorkerSpec, hive_url: str) -> list[str]:
    arguments = {
        "--model": spec.file,
        "--model-ref": spec.model_ref,
        "--worker-id": spec.worker_id,
        "--backend": spec.backend,
        "--device": str(spec.device),
        "--slots": str(spec.slots),
        "--callback-url": hive_url,
    }
    if spec.context is not None:
        arguments["--context"] = str(spec.context)
    return [*(word for pair in arguments.items() for word in pair), "--lifeline"]
