"""One model on its way from the Hub to the disk: file by file, with retries and progress."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import msgspec

from rbee.contract import events as ev
from rbee.contract.errors import DownloadFailed
from rbee.hive.models.file_transfer import BUFFER_BYTES, FileTransfer
from rbee.hive.models.folder import BeingFetchedError, Folder
from rbee.hive.models.hub import Hub, with_retries
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.runtime.concurrency import finish, in_thread, stop

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
    ) -> None:
        """`report` is called with the progress, on the event loop."""
        self._hub = hub
        self._folder = folder
        self._model = model
        self._report = report
        self._settings = settings
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
        try:
            return await with_retries(
                self._model.reference,
                lambda: self._attempt(transfer),
                self._report,
                lambda: self._finished_bytes + transfer.size,
                self._model.size_bytes,
            )
        finally:
            transfer.close()

    async def _attempt(self, transfer: FileTransfer) -> str:
        """One attempt on a thread. When this ends, also by cancellation, the thread mostly has
        ended too: only one that still waits for the Hub's first byte can't be woken, and it does
        nothing afterwards."""
        held_size, since = -1, time.monotonic()
        while True:
            work = asyncio.create_task(in_thread(transfer.attempt))
            try:
                return await asyncio.shield(work)
            except BeingFetchedError as held:
                self._report_progress(self._finished_bytes + held.size)
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
            self._loop.call_soon_threadsafe(self._report_progress, self._finished_bytes + size)

    def _report_progress(self, size: int) -> None:
        speed = self._rate.mb_per_s(time.monotonic(), size)
        self._report(
            ev.Download(
                "downloading",
                bytes_downloaded=size,
                bytes_total=self._model.size_bytes,
                speed_mbps=round(speed, 1),
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
