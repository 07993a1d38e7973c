"""One model on its way to the disk, from other nodes or the Hub: file by file, with retries and
progress."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from rbee.contract import events as ev
from rbee.contract.errors import ChecksumMismatch, DownloadFailed
from rbee.hive.models.file_transfer import BUFFER_BYTES, FileTransfer
from rbee.hive.models.folder import BeingFetchedError, Folder
from rbee.hive.models.hub import PROGRESS_BYTES, Hub, Source, with_retries
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.node_source import NodeSource
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.runtime.concurrency import finish, in_thread, stop
from rbee.runtime.narration import Say

_MB = 1_000_000
_STOPS_WITHIN_S = 1.0
_RATE_WINDOW_S = 3.0


class TransferSettings(msgspec.Struct, frozen=True):
    """`look_again_s` is how often a file that another process fetches is looked at."""

    buffer_bytes: int = BUFFER_BYTES
    report_every_s: float = 0.1
    look_again_s: float = 0.5


DEFAULT_SETTINGS = TransferSettings()


class ModelTransfer:
    """Fetches the files of one model one after the other, each attempt on a thread."""

    def __init__(
        self,
        hub: Hub,
        folder: Folder,
        model: RemoteModel,
        report: Callable[[ev.Download], None],
        settings: TransferSettings = DEFAULT_SETTINGS,
        nodes: Sequence[NodeSource] = (),
        say: Say = lambda *_: None,
    ) -> None:
        """`report` is called with the progress, on the event loop. The `nodes` are tried before the
        Hub, each until it fails, which is narrated."""
        self._hub = hub
        self._folder = folder
        self._model = model
        self._report = report
        self._settings = settings
        self._nodes = deque(nodes)
        self._say = say
        self._node: str | None = None
        self._loop = asyncio.get_running_loop()
        self._rate = Rate()
        self._finished_bytes = 0
        self._reported_at = 0.0

    async def run(self) -> list[str]:
        """Fetch every file; returns their sha256, in their order."""
        sums = []
        for file in self._model.files:
            sums.append(await self._fetch(file))
            self._finished_bytes += file.size_bytes
        return sums

    def completed(self) -> ev.Download:
        """The last event of a transfer that has succeeded."""
        size = self._model.size_bytes
        first = self._folder.target(self._model.reference, self._model.files[0].path)
        return ev.Download(
            "complete",
            bytes_downloaded=size,
            bytes_total=size,
            local_path=str(first),
            checked="sha256" if all(file.sha256 for file in self._model.files) else "size",
        )

    async def _fetch(self, file: RemoteFile) -> str:
        target = self._folder.target(self._model.reference, file.path)
        buffer_bytes = self._settings.buffer_bytes
        transfer = FileTransfer(
            self._hub,
            self._model,
            file,
            self._folder.root,
            target,
            self._on_growth,
            buffer_bytes=buffer_bytes,
        )
        before = transfer.size
        try:
            found = await self._from_nodes(transfer)
            if found is not None:
                return found
            is_mixed = transfer.size > before
            try:
                return await self._from_hub(transfer)
            except ChecksumMismatch:
                if not is_mixed:
                    raise
                self._say_next("what other nodes sent was wrong")
                return await self._from_hub(transfer)
        finally:
            transfer.close()

    async def _from_nodes(self, transfer: FileTransfer) -> str | None:
        """The sha256 of the file, if one of the nodes brings it to its end. One that fails is asked
        no more, unless it has brought a megabyte."""
        while self._nodes:
            source, before = self._nodes[0], transfer.size
            self._node = source.node
            try:
                return await self._attempt(transfer, source)
            except (TransientError, ChecksumMismatch) as error:
                if transfer.size - before < PROGRESS_BYTES:
                    self._nodes.popleft()
                wrong = "its sha256 is wrong"
                reason = error.reason if isinstance(error, TransientError) else wrong
                self._say_next(f"the node {source.node} broke off ({reason})")
            finally:
                self._node = None
        return None

    async def _from_hub(self, transfer: FileTransfer) -> str:
        return await with_retries(
            self._model.reference,
            lambda: self._attempt(transfer, self._hub),
            self._report,
            lambda: self._finished_bytes + transfer.size,
            self._model.size_bytes,
        )

    def _say_next(self, what: str) -> None:
        next_source = f"the node {self._nodes[0].node}" if self._nodes else "the Hub"
        self._say(
            "model-provisioner", "↪️", f"model provisioning: {what}: continuing from {next_source}"
        )

    async def _attempt(self, transfer: FileTransfer, source: Source) -> str:
        """One attempt on a thread. When this ends, also by cancellation, the thread mostly has
        ended too: only one that still waits for the Hub's first byte can't be woken, and it does
        nothing afterwards."""
        held_size, since = -1, time.monotonic()
        while True:
            work = asyncio.create_task(in_thread(transfer.attempt, source))
            try:
                return await asyncio.shield(work)
            except BeingFetchedError as held:
                self._report_progress(self._finished_bytes + held.size, time.monotonic())
                if held.size != held_size:
                    held_size, since = held.size, time.monotonic()
                elif time.monotonic() - since > 2 * self._hub.stall_s:
                    raise self._stuck(held.size) from None
                await asyncio.sleep(self._settings.look_again_s)
            except asyncio.CancelledError:
                transfer.stop()
                await finish(asyncio.wait({work}, timeout=_STOPS_WITHIN_S))
                await stop(work)
                raise

    def _stuck(self, size: int) -> DownloadFailed:
        return DownloadFailed(
            model=str(self._model.reference),
            attempts=1,
            bytes_downloaded=self._finished_bytes + size,
            bytes_total=self._model.size_bytes,
            reason="another program holds the partial file and adds nothing to it",
        )

    def _on_growth(self, size: int) -> None:
        """Called on the attempt's thread for every chunk, so most calls report nothing."""
        now = time.monotonic()
        if now - self._reported_at >= self._settings.report_every_s:
            self._reported_at = now
            whole = self._finished_bytes + size
            self._loop.call_soon_threadsafe(self._report_progress, whole, now)

    def _report_progress(self, size: int, at: float) -> None:
        """`at` is when there was so much of it: a busy loop learns of it later."""
        speed = self._rate.mb_per_s(at, size)
        self._report(
            ev.Download(
                "downloading",
                bytes_downloaded=size,
                bytes_total=self._model.size_bytes,
                speed_mbps=round(speed, 1),
                from_node=self._node,
            )
        )


class Rate:
    """Bytes per second over the last three seconds, so that a pause shows and a single read does
    not."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def mb_per_s(self, now: float, size: int) -> float:
        """MB per second, when `size` bytes are there at `now` (seconds on any clock)."""
        self._samples.append((now, size))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _RATE_WINDOW_S:
            self._samples.popleft()
        began, before = self._samples[0]
        # Fewer bytes than before: the file was started again.
        return max(0.0, (size - before) / (now - began) / _MB) if now > began else 0.0
