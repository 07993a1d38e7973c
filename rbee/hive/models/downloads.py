"""Downloads that run: one for each model, however many clients want it, and only as long as
somebody does."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from rbee.contract import events as ev
from rbee.contract.errors import Internal, RbeeError, RequestCanceled, ShuttingDown
from rbee.contract.model_ref import ModelRef
from rbee.contract.nodes import RunningDownload
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.node_source import NodeSource
from rbee.hive.models.repository import RemoteModel
from rbee.hive.models.transfer import DEFAULT_SETTINGS, ModelTransfer, TransferSettings
from rbee.runtime.broadcast import Progress
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Say

WATCHED_WITHIN_S = 10.0
_REMEMBERED = 256
_log = logging.getLogger("model-provisioner")

# Called with a model that has come: its path, its quantization, its sha256 file by file.
Arrived = Callable[[RemoteModel, Path, str | None, list[str]], Awaitable[None]]


class Download:
    """One model's download. It goes on while somebody watches it or has just asked for it; a
    detached one goes on by itself."""

    def __init__(
        self,
        reference: ModelRef,
        path: Path,
        size_bytes: int = 0,
        watched_within_s: float = WATCHED_WITHIN_S,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.reference = reference
        self.path = path
        self.size_bytes = size_bytes
        self.progress: Progress[ev.Download] = Progress(lambda event: event.stage == "complete")
        self.task: asyncio.Task[None] | None = None
        self._detached = False
        self._watched_within_s = watched_within_s
        self._watchers = 0
        self._expected: list[asyncio.TimerHandle] = []

    @property
    def missing_bytes(self) -> int:
        """What is still to come, as far as it was reported."""
        latest = self.progress.latest
        return self.size_bytes - ((latest and latest.bytes_downloaded) or 0)

    def request(self, detach: bool) -> None:
        """A client wants it, and is given ten seconds to start watching."""
        self._detached = self._detached or detach
        loop = asyncio.get_running_loop()
        self._expected.append(loop.call_later(self._watched_within_s, self._expire))

    async def watch(self) -> AsyncIterator[ev.Download | None]:
        """Its progress, up to `complete`; raises why it failed. The last watcher to leave ends
        it."""
        self._watchers += 1
        if self._expected:
            self._expected.pop(0).cancel()
        try:
            async for event in self.progress.listen():
                yield event
        finally:
            self._watchers -= 1
            self._end_if_unwanted()

    def end(self, reason: RbeeError) -> None:
        """Stop it; what has come stays on the disk."""
        self.progress.fail(reason)
        if self.task is not None:
            self.task.cancel()

    async def ended(self) -> None:
        """Wait until nothing writes any more."""
        if self.task is not None:
            await asyncio.wait({self.task})

    def _expire(self) -> None:
        self._expected.pop(0)
        self._end_if_unwanted()

    def _end_if_unwanted(self) -> None:
        if not (self._watchers or self._expected or self._detached or self.progress.is_over):
            _log.info("nobody waits for %s any more: its download ends", self.reference)
            self.end(RequestCanceled("The download was canceled: no client was waiting for it."))


class Downloads:
    """The only owner of the downloads."""

    def __init__(
        self,
        hub: Hub,
        folder: Folder,
        arrived: Arrived,
        settings: TransferSettings = DEFAULT_SETTINGS,
        watched_within_s: float = WATCHED_WITHIN_S,
        say: Say = lambda *_: None,
    ) -> None:
        """`say` narrates where the bytes come from, when that changes."""
        self._hub = hub
        self._folder = folder
        self._arrived = arrived
        self._settings = settings
        self._watched_within_s = watched_within_s
        self._say = say
        self._running: dict[Path, Download] = {}
        self._known: OrderedDict[str, Download] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        # Called when a download begins or ends.
        self.on_change: Callable[[], None] = lambda: None

    def find(self, download_id: str) -> Download | None:
        """A running download or one of the last 256 that have ended."""
        return self._known.get(download_id)

    def of(self, path: Path) -> Download | None:
        """The download to this path, unless it has begun to end."""
        found = self._running.get(path)
        return found if found is not None and not found.progress.is_over else None

    def running(self) -> list[RunningDownload]:
        """Those that run, with what has come so far."""
        return [
            RunningDownload(
                str(download.reference),
                download.size_bytes - download.missing_bytes,
                download.size_bytes,
            )
            for download in self._running.values()
        ]

    def sizes(self) -> dict[Path, int]:
        """The paths of the running downloads, with the bytes that their models will have."""
        return {path: download.size_bytes for path, download in self._running.items()}

    def missing_bytes(self, but: Path) -> int:
        """What all downloads but the one to that path still have to bring."""
        others = (download for path, download in self._running.items() if path != but)
        return sum(download.missing_bytes for download in others)

    def begin(
        self,
        model: RemoteModel,
        detach: bool,
        quantization: str | None = None,
        nodes: Sequence[NodeSource] = (),
    ) -> Download:
        """The model's download, which may run already. `quantization` comes from its header. The
        `nodes` are tried before the Hub."""
        if self._ending:
            raise ShuttingDown("The hive is shutting down.")
        path = self._folder.target(model.reference, model.files[0].path)
        download = self.of(path)
        # One that is ending still holds the file: the new one waits for it, as for another hive.
        if download is None:
            size = model.size_bytes
            download = Download(model.reference, path, size, self._watched_within_s)
            self._remember(download)
            self._running[path] = download
            self.on_change()
            download.task = asyncio.create_task(self._run(download, model, quantization, nodes))
            self._tasks.add(download.task)
            download.task.add_done_callback(self._tasks.discard)
        download.request(detach)
        return download

    def done(self, reference: ModelRef, path: Path) -> Download:
        """A download that is complete at once, for a model that is on the disk already."""
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

    async def _run(
        self,
        download: Download,
        model: RemoteModel,
        quantization: str | None,
        nodes: Sequence[NodeSource],
    ) -> None:
        """Fetch every file, then write the catalog, then report that the model is complete."""
        report = download.progress.tell
        transfer = ModelTransfer(
            self._hub, self._folder, model, report, self._settings, nodes, self._say
        )
        try:
            sums = await transfer.run()
            await self._arrived(model, download.path, quantization, sums)
            report(transfer.completed())
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
                self.on_change()
