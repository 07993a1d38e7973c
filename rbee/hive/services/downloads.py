"""Downloads that run: one of each model, however many ask for it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from rbee.contract import events as ev
from rbee.contract.errors import (
    DownloadFailed,
    Internal,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.model_ref import ModelRef
from rbee.hive.adapters.folder import Folder
from rbee.hive.adapters.hub import Hub
from rbee.hive.adapters.transfer import HeldError, Transfer
from rbee.hive.core.rate import Rate
from rbee.hive.core.repository import RemoteFile, RemoteModel
from rbee.hive.services.persistence import persist
from rbee.runtime.log import correlation_id
from rbee.runtime.progress import Progress
from rbee.runtime.tasks import finish, stop
from rbee.runtime.threads import apart

_REMEMBERED = 256
_WATCHED_WITHIN_S = 10.0
_TELL_EVERY_S = 0.1
_LOOK_AGAIN_S = 0.5
_STOPS_WITHIN_S = 1.0
_log = logging.getLogger("model-provisioner")

# What becomes of a model that has come: its quantization, and its sha256 file by file.
Arrived = Callable[[RemoteModel, Path, str | None, list[str]], Awaitable[None]]


class Download:
    """One model on its way. It goes on while somebody watches or has just asked; detached, it goes
    on without anybody."""

    def __init__(self, reference: ModelRef, path: Path, size_bytes: int = 0) -> None:
        self.id = secrets.token_hex(8)
        self.reference = reference
        self.path = path
        self.size_bytes = size_bytes
        self.detached = False
        self.progress: Progress[ev.Download] = Progress(lambda news: news.stage == "complete")
        self.task: asyncio.Task[None] | None = None
        self._watchers = 0
        self._asked: list[asyncio.TimerHandle] = []

    @property
    def missing_bytes(self) -> int:
        """What is still to come, as far as it was told."""
        told = self.progress.latest
        return self.size_bytes - ((told and told.bytes_downloaded) or 0)

    def ask(self, detach: bool) -> None:
        """Somebody wants it, and is given ten seconds to watch."""
        self.detached = self.detached or detach
        loop = asyncio.get_running_loop()
        self._asked.append(loop.call_later(_WATCHED_WITHIN_S, self._expire))

    async def watch(self) -> AsyncIterator[ev.Download | None]:
        """Its progress, up to `complete`; raises why it failed. The last to leave ends it."""
        self._watchers += 1
        if self._asked:
            self._asked.pop(0).cancel()
        try:
            async for news in self.progress.listen():
                yield news
        finally:
            self._watchers -= 1
            self._end_if_unwanted()

    def end(self, why: RbeeError) -> None:
        """Stop it; what has come stays on the disk."""
        self.progress.fail(why)
        if self.task is not None:
            self.task.cancel()

    async def ended(self) -> None:
        """Wait until nothing writes any more."""
        if self.task is not None:
            await asyncio.wait({self.task})

    def _expire(self) -> None:
        self._asked.pop(0)
        self._end_if_unwanted()

    def _end_if_unwanted(self) -> None:
        if not (self._watchers or self._asked or self.detached or self.progress.is_over):
            _log.info("nobody waits for %s any more: its download ends", self.reference)
            self.end(RequestCanceled("Nobody waited for the download any more."))


class Downloads:
    """The only owner of the downloads."""

    def __init__(self, hub: Hub, folder: Folder, arrived: Arrived) -> None:
        self._hub = hub
        self._folder = folder
        self._arrived = arrived
        self._running: dict[Path, Download] = {}
        self._known: OrderedDict[str, Download] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    def find(self, download_id: str) -> Download | None:
        """One of the last 256, also after its end."""
        return self._known.get(download_id)

    def of(self, path: Path) -> Download | None:
        """The download that runs to this path, and has not begun to end."""
        found = self._running.get(path)
        return found if found is not None and not found.progress.is_over else None

    def sizes(self) -> dict[Path, int]:
        """Where what runs will lie, and how large it will be."""
        return {path: download.size_bytes for path, download in self._running.items()}

    def missing_bytes(self, but: Path) -> int:
        """What all of them still have to bring, but the one to that path."""
        others = (download for path, download in self._running.items() if path != but)
        return sum(download.missing_bytes for download in others)

    def begin(self, model: RemoteModel, detach: bool, quantization: str | None = None) -> Download:
        """The model's download, which may run already. `quantization` is what its header says."""
        if self._ending:
            raise ShuttingDown("The hive is shutting down.")
        path = self._folder.target(model.reference, model.files[0].path)
        download = self.of(path)
        # One that is ending still holds the file: the new one waits for that, as for another hive.
        if download is None:
            download = Download(model.reference, path, model.size_bytes)
            self._remember(download)
            self._running[path] = download
            download.task = asyncio.create_task(self._run(download, model, quantization))
            self._tasks.add(download.task)
            download.task.add_done_callback(self._tasks.discard)
        download.ask(detach)
        return download

    def done(self, reference: ModelRef, path: Path) -> Download:
        """What stands for a model that is on the disk already: whoever asks hears so."""
        download = Download(reference, path)
        download.progress.tell(ev.Download("complete", local_path=str(path)))
        self._remember(download)
        return download

    async def end_all(self) -> None:
        """Stop them all; what has come stays on the disk."""
        self._ending = True
        for download in self._running.values():
            download.end(ShuttingDown("The hive is shutting down."))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _remember(self, download: Download) -> None:
        self._known[download.id] = download
        over = [known for known in self._known.values() if known.progress.is_over]
        for old in over[: max(0, len(over) - _REMEMBERED)]:
            del self._known[old.id]

    async def _run(self, download: Download, model: RemoteModel, quantization: str | None) -> None:
        """Every file, then the catalog, then the word that it is there."""
        try:
            course = _Course(download, model, self._hub, self._folder)
            sums = await course.fetch()
            await self._arrived(model, download.path, quantization, sums)
            download.progress.tell(course.complete())
        except asyncio.CancelledError:
            download.progress.fail(RequestCanceled())
        except RbeeError as error:
            download.progress.fail(error)
        except Exception:
            _log.exception("the download of %s failed", model.reference)
            download.progress.fail(Internal(correlation_id=correlation_id.get()))
        finally:
            if self._running.get(download.path) is download:
                del self._running[download.path]


class _Course:
    """The files of one model, one after the other."""

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
            work = asyncio.create_task(apart(transfer.attempt))
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
