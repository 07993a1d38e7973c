"""What the Hub is asked before a download: what a repository holds, what a model's header says."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import msgspec

from rbee.contract.errors import DownloadFailed, ModelNotFound, RbeeError
from rbee.contract.events import Download
from rbee.contract.model_ref import ModelRef
from rbee.gguf.header import Header
from rbee.gguf.reader import read_beginning
from rbee.hive.models import repository
from rbee.hive.models.hub import ATTEMPTS, Hub, Source, read_range, with_retries
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.hub_replies import MOST_FILES, Match
from rbee.hive.models.repository import Listing, RemoteFile, RemoteModel
from rbee.runtime.concurrency import go_on, in_thread
from rbee.runtime.error_text import retrying
from rbee.runtime.narration import Say

T = TypeVar("T")

_PROVISIONER = "model-provisioner"
_HEADER_CHUNK, _LARGEST_CHUNK = 4 << 20, 32 << 20
# Less than the queen waits, so that the queen gets the reason.
_QUERIES_S = 150.0
_LISTED_AT_ONCE = 4
_REMEMBERED = 32
_REMEMBERED_FILES = 2 * MOST_FILES


class HubQueries:
    """Asks with retries, which it narrates, and remembers the last listings."""

    def __init__(self, hub: Hub, say: Say) -> None:
        self._hub = hub
        self._say = say
        self._listings: OrderedDict[ModelRef, Listing] = OrderedDict()

    def last_listing(self, ref: ModelRef) -> Listing | None:
        """What the Hub last said of the repository, if it was asked."""
        return self._listings.get(_repository(ref))

    async def model(self, ref: ModelRef, attempts: int = ATTEMPTS) -> tuple[Listing, RemoteModel]:
        """The repository, and the model in it that `ref` means."""
        listing = await self._ask(ref, lambda: self._hub.listing(ref), attempts)
        self._remember(ref, listing)
        model = await self._measured(repository.pick(listing, ref))
        offered = repository.quantizations(repository.models(listing, ref))
        if ref.file is None and ref.quantization is None and len(offered) > 1:
            choice = f"{model.quantization} is chosen of {', '.join(offered)}"
            self._say(_PROVISIONER, "🎯", f"model provisioning: {choice}")
        return listing, model

    async def search(self, words: str, limit: int) -> list[tuple[Match, Listing | None]]:
        """The repositories that the Hub finds, each with what it holds; None for one that the Hub
        does not list. Raises DOWNLOAD_FAILED."""
        try:
            async with self.deadline(ModelRef("hf", words)):
                found = await self._ask(
                    ModelRef("hf", words), lambda: self._hub.search(words, limit)
                )
                at_once = asyncio.Semaphore(_LISTED_AT_ONCE)
                listings = await asyncio.gather(*(self._listed(each, at_once) for each in found))
        except ModelNotFound:
            raise _not_searched(words, 1, "what answers there has no search") from None
        except DownloadFailed as error:
            attempts, reason = error.details["attempts"], error.details["reason"]
            raise _not_searched(words, attempts, reason) from None
        return list(zip(found, listings, strict=True))

    async def _listed(self, match: Match, at_once: asyncio.Semaphore) -> Listing | None:
        ref = ModelRef("hf", match.id)
        async with at_once:
            try:
                listing = await in_thread(lambda: self._hub.listing(ref))
            except (RbeeError, TransientError):
                return None
        self._remember(ref, listing)
        return listing

    async def _measured(self, model: RemoteModel) -> RemoteModel:
        """The model with the size of each of its files, which not every mirror lists."""
        files = [
            file if file.is_measured else await self._measure(model, file) for file in model.files
        ]
        return msgspec.structs.replace(model, files=tuple(files))

    async def _measure(self, model: RemoteModel, file: RemoteFile) -> RemoteFile:
        return await self._ask(model.reference, lambda: self._hub.measured(model, file))

    async def header(self, model: RemoteModel, node: Source | None = None) -> Header:
        """The model's header, read without the rest of its file: from the Hub, with retries, or
        from a `node`. Raises TransientError if the node does not send it."""
        size, name = model.files[0].size_bytes, str(model.reference)
        data = bytearray()
        # Ends at the latest where a header must end.
        while (header := await in_thread(read_beginning, data, size, name, go_on)) is None:
            data += await self._range(
                model, len(data), min(max(len(data), _HEADER_CHUNK), _LARGEST_CHUNK), node
            )
        return header

    @contextlib.asynccontextmanager
    async def deadline(self, ref: ModelRef) -> AsyncIterator[None]:
        """The deadline for all queries before a download. Raises DOWNLOAD_FAILED."""
        try:
            async with asyncio.timeout(_QUERIES_S):
                yield
        except TimeoutError:
            reason = f"the Hub did not answer within {_QUERIES_S:g} s"
            raise DownloadFailed(
                model=str(ref), attempts=1, bytes_downloaded=0, bytes_total=None, reason=reason
            ) from None

    def _remember(self, ref: ModelRef, listing: Listing) -> None:
        self._listings[_repository(ref)] = listing
        while len(self._listings) > _REMEMBERED or self._files() > _REMEMBERED_FILES:
            self._listings.popitem(last=False)

    def _files(self) -> int:
        return sum(len(listing.files) for listing in self._listings.values())

    async def _range(
        self, model: RemoteModel, start: int, length: int, node: Source | None
    ) -> bytes:
        """Bytes of the model's first file, as many as there are."""
        length = min(length, model.files[0].size_bytes - start)
        if node is not None:
            return await in_thread(read_range, node, model, start, length)
        return await self._ask(model.reference, lambda: read_range(self._hub, model, start, length))

    async def _ask(self, ref: ModelRef, ask: Callable[[], T], attempts: int = ATTEMPTS) -> T:
        """Ask the Hub on a thread, with retries."""

        def report(event: Download) -> None:
            self._say(_PROVISIONER, "🔁", retrying(event))

        return await with_retries(ref, lambda: in_thread(ask), report, attempts=attempts)


def _not_searched(words: str, attempts: int, reason: str) -> DownloadFailed:
    return DownloadFailed(
        f"The Hub could not be searched for {words!r}: {reason}.",
        model=words,
        attempts=attempts,
        bytes_downloaded=0,
        bytes_total=None,
        reason=reason,
    )


def _repository(ref: ModelRef) -> ModelRef:
    """The repository at its revision."""
    return ModelRef(ref.scheme, ref.name.lower(), ref.revision)
