"""The files of one model, fetched one after the other, each attempt on a thread."""

from __future__ import annotations

import asyncio
import time

from rbee.contract import events as ev
from rbee.contract.errors import DownloadFailed
from rbee.hive.models.download import Download
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.hub_retry import persist
from rbee.hive.models.rate import Rate
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.hive.models.transfer import HeldError, Transfer
from rbee.runtime.cancellation import finish, stop
from rbee.runtime.threads import in_thread

_TELL_EVERY_S = 0.1
_LOOK_AGAIN_S = 0.5
_STOPS_WITHIN_S = 1.0


class Fetching:
    """The course of one download; it tells how far it is."""

    def __init__(
        self,
        download: Download,
        model: RemoteModel,
        hub: Hub,
        folder: Folder,
    ) -> None:
        self._download = download
        self._model = model
        self._hub = hub
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._rate = Rate()
        self._before = 0
        self._told_at = 0.0

    async def fetch(self) -> list[str]:
        """Their sha256, in their order, when all are whole."""
        sums = []
        for file in self._model.files:
            sums.append(await self._file(file))
            self._before += file.size_bytes
        return sums

    def complete(self) -> ev.Download:
        size = self._model.size_bytes
        return ev.Download(
            "complete",
            bytes_downloaded=size,
            bytes_total=size,
            local_path=str(self._download.path),
            checked="sha256" if all(file.sha256 for file in self._model.files) else "size",
        )

    async def _file(self, file: RemoteFile) -> str:
        target = self._folder.target(self._model.reference, file.path)
        transfer = Transfer(self._hub, self._model, file, target, self._grown)
        try:
            return await persist(
                self._model.reference,
                lambda: self._attempt(transfer),
                self._download.progress.tell,
                lambda: self._before + transfer.size,
                self._model.size_bytes,
            )
        finally:
            transfer.close()

    async def _attempt(self, transfer: Transfer) -> str:
        """One attempt on a thread, which mostly has ended when this has, also when it is canceled:
        only one that still waits for the Hub's first word can't be woken, and does nothing then."""
        held_at, since = -1, time.monotonic()
        while True:
            work = asyncio.create_task(in_thread(transfer.attempt))
            try:
                return await asyncio.shield(work)
            except HeldError as held:
                self._news(self._before + held.size)
                if held.size != held_at:
                    held_at, since = held.size, time.monotonic()
                elif time.monotonic() - since > 2 * self._hub.stall_s:
                    raise self._stuck(held.size) from None
                await asyncio.sleep(_LOOK_AGAIN_S)
            except asyncio.CancelledError:
                transfer.stop()
                await finish(asyncio.wait({work}, timeout=_STOPS_WITHIN_S))
                await stop(work)
                raise

    def _stuck(self, size: int) -> DownloadFailed:
        return DownloadFailed(
            model=str(self._model.reference),
            attempts=1,
            bytes_downloaded=self._before + size,
            bytes_total=self._model.size_bytes,
            reason="another program holds its partial file and brings nothing",
        )

    def _grown(self, size: int) -> None:
        """On the attempt's thread, for every piece: so mostly nothing is said."""
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            self._loop.call_soon_threadsafe(self._news, self._before + size)

    def _news(self, there: int) -> None:
        speed = self._rate.mb_per_s(time.monotonic(), there)
        self._download.progress.tell(
            ev.Download(
                "downloading",
                bytes_downloaded=there,
                bytes_total=self._model.size_bytes,
                speed_mbps=round(speed, 1),
            )
        )
