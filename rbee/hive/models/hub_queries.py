"""What the Hub is asked before a download: what a repository has, what a model's header says."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from rbee.contract.errors import DownloadFailed, ModelCorrupt
from rbee.contract.events import Download as DownloadNews
from rbee.contract.model_ref import ModelRef
from rbee.gguf.header import Header
from rbee.gguf.reading import read_beginning
from rbee.hive.models import repository
from rbee.hive.models.hub import Hub
from rbee.hive.models.hub_retry import persist
from rbee.hive.models.repository import Listing, RemoteModel
from rbee.runtime.error_text import retrying
from rbee.runtime.narration import Say
from rbee.runtime.threads import in_thread

T = TypeVar("T")

_PROVISIONER = "model-provisioner"
_HEADER_PIECE = 4 << 20
_LONGEST_HEADER = 256 << 20
# Less than the queen waits, so that she hears what is wrong.
_ASKING_S = 150.0
_MB = 1_000_000
_REMEMBERED = 32


class Asking:
    """Asks again where that may help, and says so. Remembers what it was told last."""

    def __init__(self, hub: Hub, say: Say) -> None:
        self._hub = hub
        self._say = say
        self._listings: OrderedDict[ModelRef, Listing] = OrderedDict()

    def known(self, ref: ModelRef) -> Listing | None:
        """What the Hub said last of the repository, if it was asked."""
        return self._listings.get(_repository(ref))

    async def model(self, ref: ModelRef) -> tuple[Listing, RemoteModel]:
        """The repository, and the model in it that is meant."""
        listing = await self._persist(ref, lambda: self._hub.listing(ref))
        self._remember(ref, listing)
        model = repository.pick(listing, ref)
        there = repository.quantizations(repository.models(listing, ref))
        if ref.file is None and ref.quantization is None and len(there) > 1:
            told = f"{model.quantization} is chosen of {', '.join(there)}"
            self._say(_PROVISIONER, "🎯", f"model provisioning: {told}")
        return listing, model

    async def header(self, model: RemoteModel) -> Header:
        """The model's header, and nothing more of its file."""
        size, name = model.files[0].size_bytes, str(model.reference)
        data = b""
        while (header := await asyncio.to_thread(read_beginning, data, size, name)) is None:
            if len(data) >= _LONGEST_HEADER:
                reason = f"its header does not end within {_LONGEST_HEADER // _MB} MB"
                raise ModelCorrupt(file=name, reason=reason)
            data += await self._piece(model, len(data), max(len(data), _HEADER_PIECE))
        return header

    @contextlib.asynccontextmanager
    async def in_time(self, ref: ModelRef) -> AsyncIterator[None]:
        """What the Hub is asked before a download, all of it. Raises DOWNLOAD_FAILED."""
        try:
            async with asyncio.timeout(_ASKING_S):
                yield
        except TimeoutError:
            reason = f"the Hub had not told what it has after {_ASKING_S:g} s"
            raise DownloadFailed(
                model=str(ref), attempts=1, bytes_downloaded=0, bytes_total=None, reason=reason
            ) from None

    def _remember(self, ref: ModelRef, listing: Listing) -> None:
        self._listings[_repository(ref)] = listing
        while len(self._listings) > _REMEMBERED:
            self._listings.popitem(last=False)

    async def _piece(self, model: RemoteModel, start: int, length: int) -> bytes:
        """Bytes of the model's first file, as many as there are."""
        length = min(length, model.files[0].size_bytes - start)
        return await self._persist(model.reference, lambda: self._hub.piece(model, start, length))

    async def _persist(self, ref: ModelRef, ask: Callable[[], T]) -> T:
        """Ask the Hub on a thread, again where that may help, and say so."""

        def tell(news: DownloadNews) -> None:
            self._say(_PROVISIONER, "🔁", retrying(news))

        return await persist(ref, lambda: in_thread(ask), tell)


def _repository(ref: ModelRef) -> ModelRef:
    """At its revision."""
    return ModelRef(ref.scheme, ref.name.lower(), ref.revision)
