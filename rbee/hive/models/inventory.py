"""The models on this node: what the catalog says of them, held against what lies on the disk."""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from rbee.contract.errors import InvalidRequest, ModelInUse, ModelNotFound
from rbee.contract.model_ref import ModelRef
from rbee.contract.models import Deleted, ModelRow, ModelRows
from rbee.gguf import split
from rbee.hive.models import local_files as local_models
from rbee.hive.models import repository
from rbee.hive.models.catalog import Catalog
from rbee.hive.models.folder import Folder, Found
from rbee.hive.models.on_disk import (
    OnDisk,
    is_there,
    is_whole,
    of_found,
    of_partial,
    on_disk,
    same_repository,
    sized,
)
from rbee.hive.models.transfer import HeldError
from rbee.runtime.narration import Narrator

_PROVISIONER = "model-provisioner"
_MB = 1_000_000
_NOTES = 20
_log = logging.getLogger(_PROVISIONER)


class Models:
    """The only one who writes the catalog."""

    def __init__(self, database: Path, folder: Folder, narrator: Narrator) -> None:
        self.folder = folder
        self._say = narrator.say
        self._catalog = Catalog(database, self._rebuild)
        self._looking = asyncio.Lock()
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._missed: set[str] = set()

    async def close(self) -> None:
        await self._catalog.close()

    async def find(self, ref: ModelRef) -> OnDisk | None:
        """The model that `ref` means, if it is here; asks nobody else. Of a repository without a
        quantization the best that is here is meant. Raises MODEL_NOT_FOUND for a file that is not
        here, and UNSUPPORTED_MODEL_FORMAT for one that is no GGUF."""
        if ref.scheme != "hf":
            path = await asyncio.to_thread(local_models.find, ref)
            rows = {row.reference: row for row in await self._known_rows(path)}
            return OnDisk(ref, path, rows.get(str(self.folder.reference(path))))
        found = self._choose(await self._catalog.rows(), ref)
        if found is not None and await asyncio.to_thread(is_whole, found):
            return found
        # Put there, taken away or changed by hand.
        found = self._choose((await self._look())[0], ref)
        return found if found is not None and await asyncio.to_thread(is_whole, found) else None

    async def known(self, ref: ModelRef) -> OnDisk | None:
        """As `find`, but also what was damaged since it came."""
        if ref.scheme != "hf":
            return await self.find(ref)
        return self._choose(await self.rows(), ref)

    async def rows(self) -> list[ModelRow]:
        """Every whole model of the catalog and the folder."""
        return (await self._look())[0]

    async def listing(self, running: Mapping[Path, int]) -> ModelRows:
        """With what is not whole yet; `running` are the paths that are just being fetched, with the
        sizes that they will have."""
        rows, found = await self._look()
        sizes = {str(model.path): model.bytes_there for model in found}
        rows = [sized(row, sizes.get(row.local_path)) for row in rows]
        rows += [of_partial(model, running.get(model.path)) for model in found if model.partial]
        free, total = await asyncio.to_thread(self._disk)
        rows.sort(key=lambda row: row.reference)
        notes = list(self._notes)
        self._notes.clear()
        return ModelRows(rows, str(self.folder.root), total, free, notes)

    async def arrived(
        self, model: repository.RemoteModel, path: Path, quantization: str | None, sums: list[str]
    ) -> None:
        """A download is whole: from now on it is in the catalog. `quantization` is the header's."""
        row = ModelRow(
            id=None,
            provider="hf",
            reference=str(model.reference),
            local_path=str(path),
            size_bytes=model.size_bytes,
            downloaded_at_unix=int(time.time()),
            quantization=quantization or model.quantization,
            sha256=",".join(sums),
        )
        await self._catalog.put(row)
        _log.info("%s is whole", path)

    async def keep_sums(self, model: OnDisk, sums: list[str]) -> None:
        """Remember the hash of a model that had none."""
        if model.row is not None:
            row = msgspec.structs.replace(model.row, sha256=",".join(sums))
            await self._catalog.put(row)

    async def delete(self, path: Path, holding: Callable[[Path], list[str]]) -> Deleted:
        """Remove the files of a model, or what there is of a partial one, and its row. `path` is
        what `path_of` says; `holding` names the workers that have it.

        Raises MODEL_IN_USE.
        """
        reference = await self._known_as(path)
        if workers := holding(path):
            told = f"{reference} is in memory: {', '.join(workers)} holds it."
            raise ModelInUse(told, model=reference, workers=workers)
        try:
            freed = await asyncio.to_thread(self.folder.delete, path)
        except HeldError:
            told = f"{reference} is just being fetched."
            raise ModelInUse(told, model=reference, workers=[]) from None
        await self._catalog.remove(reference)
        told = f"{reference} is deleted: {round(freed / _MB)} MB are free again"
        self._say(_PROVISIONER, "🗑️", told)
        return Deleted(told, freed)

    async def _known_as(self, path: Path) -> str:
        """The reference under which the catalog has the file; else the one of its place."""
        known = {row.local_path: row.reference for row in await self._catalog.rows()}
        return known.get(str(path), str(self.folder.reference(path)))

    async def path_of(self, ref: ModelRef) -> Path:
        """Where the model lies that may be deleted, whole or partial: its first file. Raises
        MODEL_NOT_FOUND, and INVALID_REQUEST for files that rbee did not put where they are."""
        known = None
        if ref.scheme == "hf":
            known = await self.known(ref)
            path = known.path if known is not None else await self._partial_path(ref)
        elif ref.scheme == "file":
            path = Path(ref.name)  # which need not be a good model
        else:
            path = await asyncio.to_thread(local_models.find, ref)
        if known is None and not self.folder.holds(path):
            told = f"{path} is not in the models folder {self.folder.root}, so it is not rbee's"
            raise InvalidRequest.of("model", "a model of the models folder", told, str(ref))
        path = path.with_name(split.parts(path.name)[0])
        is_file = await asyncio.to_thread(path.is_file)
        if ref.scheme == "file" and not (is_file and path.name.lower().endswith(".gguf")):
            raise ModelNotFound(f"{path} is no model on this node.", model=str(ref), near=[])
        return path

    async def _partial_path(self, ref: ModelRef) -> Path:
        found = await asyncio.to_thread(self.folder.scan)
        partial = [model for model in found if model.partial]
        mine = [model for model in partial if same_repository(model.reference, ref)]
        chosen = repository.choose(mine, ref)
        if chosen is None:
            known = [str(model.reference) for model in found]
            near = difflib.get_close_matches(str(ref), known, n=3, cutoff=0.4)
            raise ModelNotFound(f"{ref} is not on this node.", model=str(ref), near=near)
        return chosen.path

    def _choose(self, rows: list[ModelRow], ref: ModelRef) -> OnDisk | None:
        start = f"hf:{ref.name}".lower()
        offered = [on_disk(row) for row in rows if row.reference.lower().startswith(start)]
        mine = [model for model in offered if same_repository(model.reference, ref)]
        return repository.choose(mine, ref)

    async def _known_rows(self, path: Path) -> list[ModelRow]:
        """The catalog, where the file lies in the models folder."""
        return await self.rows() if path.is_relative_to(self.folder.root) else []

    async def _look(self) -> tuple[list[ModelRow], list[Found]]:
        """Hold the catalog against the disk: what was put there by hand comes in, what was taken
        away goes. Returns the rows then, and what lies in the folder."""
        async with self._looking:
            rows = {row.local_path: row for row in await self._catalog.rows()}
            found = await asyncio.to_thread(self.folder.scan)
            whole = {str(model.path): model for model in found if not model.partial}
            for path in [path for path in rows if path not in whole]:
                if await asyncio.to_thread(is_there, Path(path)):
                    self._missed.discard(path)
                    continue
                # Its row stays: the disk may only be away, and the hash be wanted again.
                del rows[path]
                if path not in self._missed:
                    self._missed.add(path)
                    self._tell("❓", f"{path} is not there any more")
            known = {row.reference for row in rows.values()}
            new = [
                model
                for path, model in whole.items()
                if path not in rows and str(model.reference) not in known
            ]
            if not new:
                return list(rows.values()), found
            _log.info("found %d model(s) that nobody fetched: %s …", len(new), new[0].path)
            await self._catalog.add(*await asyncio.to_thread(of_found, new))
            there = {*rows, *whole}
            return [row for row in await self._catalog.rows() if row.local_path in there], found

    async def _rebuild(self, kept: Path) -> None:
        told = f"the catalog was damaged: it is made again from the files, the old one is {kept}"
        self._tell("⚠️", told)
        found = await asyncio.to_thread(self.folder.scan)
        whole = [model for model in found if not model.partial]
        await self._catalog.add(*await asyncio.to_thread(of_found, whole))

    def _tell(self, emoji: str, told: str) -> None:
        """To whoever is listening now, and to whoever asks for a listing next."""
        self._say(_PROVISIONER, emoji, f"model provisioning: {told}")
        self._notes.append(told)

    def _disk(self) -> tuple[int, int]:
        return self.folder.free_bytes(), self.folder.total_bytes()
