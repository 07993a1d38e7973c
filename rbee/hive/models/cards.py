"""What the headers of this node's models tell. Reading one takes some milliseconds, and there may
be a thousand: each is read once, and again if its file has changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace

from rbee.contract.errors import RbeeError
from rbee.contract.model_ref import DEFAULT, parse
from rbee.contract.models import ModelCard, ModelMetadata, ModelRow
from rbee.gguf.capabilities import CHAT_TEMPLATE, capabilities, chat_template
from rbee.gguf.header import Header
from rbee.gguf.reader import read
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.stored_models import file_outside
from rbee.runtime.concurrency import go_on, in_thread

# Size and time of a file: with others it is another file.
_Stamp: TypeAlias = tuple[int, int]


class Cards:
    """One for each whole model of the inventory, and for the bundled one."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[Path, tuple[_Stamp, ModelCard | None]] = {}
        self._reading = asyncio.Lock()

    async def cards(self, loaded: Mapping[str, Path]) -> list[ModelCard]:
        """By reference. `loaded` are the files that workers have in memory, which need not be in
        the inventory. A model whose header can't be read has none."""
        async with self._reading:
            rows = {row.reference: row for row in await self._inventory.rows()}
            files = {reference: Path(row.local_path) for reference, row in rows.items()}
            return await in_thread(self._read, files | dict(loaded), rows)

    async def metadata(self, path: Path) -> ModelMetadata:
        """The header of a file. Raises what reading it does."""
        header = await in_thread(read, path, go_on)
        fields = {key: value for key, value in header.fields.items() if CHAT_TEMPLATE not in key}
        return ModelMetadata(fields, chat_template(header))

    def _read(self, files: dict[str, Path], rows: Mapping[str, ModelRow]) -> list[ModelCard]:
        with contextlib.suppress(RbeeError):  # not installed on this node
            files.setdefault(DEFAULT, file_outside(parse(DEFAULT)))
        self._known = {path: self._known[path] for path in files.values() if path in self._known}
        found = (self._card(name, path, rows.get(name)) for name, path in sorted(files.items()))
        return [card for card in found if card is not None]

    def _card(self, reference: str, path: Path, row: ModelRow | None) -> ModelCard | None:
        try:
            state = path.stat()
        except OSError:
            return None
        stamp = state.st_size, state.st_mtime_ns
        known, card = self._known.get(path, (None, None))
        if known != stamp:
            card = None
            with contextlib.suppress(RbeeError):
                card = card_of(reference, read(path, go_on), int(state.st_mtime))
            self._known[path] = stamp, card
        return card if card is None or row is None else _with_row(card, row)


def card_of(reference: str, header: Header, modified_at_unix: int) -> ModelCard:
    """What a header tells of a model."""
    return ModelCard(
        reference=reference,
        size_bytes=header.size_bytes,
        modified_at_unix=modified_at_unix,
        sha256=None,
        architecture=header.architecture,
        quantization=header.quantization,
        parameters=header.parameters,
        context_length=header.context_length,
        embedding_length=header.embedding_length,
        capabilities=capabilities(header),
    )


def _with_row(card: ModelCard, row: ModelRow) -> ModelCard:
    return replace(
        card,
        modified_at_unix=row.downloaded_at_unix or card.modified_at_unix,
        sha256=row.sha256,
        quantization=row.quantization or card.quantization,
    )
