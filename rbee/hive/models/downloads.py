"""Downloads that run: one of each model, however many ask for it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from rbee.contract import events as ev
from rbee.contract.errors import Internal, RbeeError, RequestCanceled, ShuttingDown
from rbee.contract.model_ref import ModelRef
from rbee.hive.models.download import Download
from rbee.hive.models.fetching import Fetching
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.repository import RemoteModel
from rbee.runtime.log import correlation_id

_REMEMBERED = 256
_log = logging.getLogger("model-provisioner")

# What becomes of a model that has come: its quantization, and its sha256 file by file.
Arrived = Callable[[RemoteModel, Path, str | None, list[str]], Awaitable[None]]


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
            fetching = Fetching(download, model, self._hub, self._folder)
            sums = await fetching.fetch()
            await self._arrived(model, download.path, quantization, sums)
            download.progress.tell(fetching.complete())
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
