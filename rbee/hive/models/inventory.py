"""The models on this node: the catalog, checked against what lies on the disk."""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from rbee.contract.errors import InvalidRequest, ModelInUse, ModelNotFound, StateNotWritable
from rbee.contract.model_ref import ModelRef
from rbee.contract.models import Deleted, ModelRow, ModelRows
from rbee.gguf import split
from rbee.gguf.choice import choose
from rbee.hive.models import repository
from rbee.hive.models.catalog import Catalog
from rbee.hive.models.folder import BeingFetchedError, Folder, Found, Removal
from rbee.hive.models.inside import LinkOnTheWayError
from rbee.hive.models.stored_models import (
    BUNDLES,
    StoredModel,
    file_outside,
    has_files,
    is_whole,
    mark_damaged,
    of_row,
    row_of_partial,
    rows_of_found,
    same_repository,
)
from rbee.runtime.concurrency import in_thread
from rbee.runtime.narration import Narrator

_PROVISIONER = "model-provisioner"
_MB = 1_000_000
_NOTES = 20
_log = logging.getLogger(_PROVISIONER)


class Inventory:
    """The only writer of the catalog."""

    def __init__(self, database: Path, folder: Folder, narrator: Narrator) -> None:
        self.folder = folder
        self._say = narrator.say
        self._database = database
        self._catalog = Catalog(database, self._rebuild)
        self._reconciling = asyncio.Lock()
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._missing: set[str] = set()
        self._trouble = ""

    async def close(self) -> None:
        await self._catalog.close()

    async def find(self, ref: ModelRef) -> StoredModel | None:
        """The model that `ref` means, if it is on this node. A repository without a quantization
        means its best model that is here. Raises MODEL_NOT_FOUND for a file that is not here, and
        UNSUPPORTED_MODEL_FORMAT for one that is not a GGUF."""
        if ref.scheme != "hf":
            path = await in_thread(file_outside, ref)
            # The catalog has it only if it lies in the models folder.
            inside = await self.rows() if path.is_relative_to(self.folder.root) else []
            rows = {row.reference: row for row in inside}
            return StoredModel(ref, path, rows.get(str(self.folder.reference(path))))
        found = self._choose(await self._catalog_rows(), ref)
        if found is not None and await in_thread(is_whole, found):
            return found
        # Its files were added, removed or changed by hand.
        found = self._choose(await self.rows(), ref)
        return found if found is not None and await in_thread(is_whole, found) else None

    async def find_any(self, ref: ModelRef) -> StoredModel | None:
        """As `find`, but also a model that was damaged after it came."""
        if ref.scheme != "hf":
            return await self.find(ref)
        return self._choose(await self.rows(), ref)

    async def rows(self) -> list[ModelRow]:
        """Every whole model of the catalog and the folder. To look makes no catalog where there are
        no models."""
        return (await self._reconcile())[0]

    async def listing(self, running: Mapping[Path, int]) -> ModelRows:
        """Every model, also those that are not whole yet; `running` are the paths that are being
        fetched, with the sizes that they will have."""
        rows, found = await self._reconcile()
        sizes = {str(model.path): model.bytes_there for model in found}
        rows = [mark_damaged(row, sizes.get(row.local_path)) for row in rows]
        rows += [row_of_partial(model, running.get(model.path)) for model in found if model.partial]
        free, total = await in_thread(self._disk)
        rows.sort(key=lambda row: row.reference)
        notes = list(self._notes)
        self._notes.clear()
        return ModelRows(rows, str(self.folder.root), total, free, notes)

    async def add_downloaded(
        self, model: repository.RemoteModel, path: Path, quantization: str | None, sums: list[str]
    ) -> None:
        """Write a model that is whole now into the catalog. `quantization` is its header's."""
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

    async def keep_sums(self, model: StoredModel, sums: list[str]) -> None:
        """Remember the hash of a model that had none."""
        if model.row is not None:
            row = msgspec.structs.replace(model.row, sha256=",".join(sums))
            await self._catalog.put(row)

    async def delete(self, path: Path, holding: Callable[[Path], list[str]]) -> Deleted:
        """Remove a model's files, partial ones too, and its row; only the row if the files are not
        in the models folder. `path` comes from `deletable_path`; `holding` names the workers that
        have it in memory.

        Raises MODEL_IN_USE, INVALID_REQUEST for a model behind a link to a folder, and
        STATE_NOT_WRITABLE.
        """
        known = {row.local_path: row.reference for row in await self._catalog_rows()}
        reference = known.get(str(path), str(self.folder.reference(path)))
        if workers := await in_thread(holding, path):
            message = f"{reference} is in memory: {', '.join(workers)} holds it."
            raise ModelInUse(message, model=reference, workers=workers)
        if self.folder.holds(path):
            removal = await self._remove(reference, path)
            size = round((removal.freed_bytes + removal.held_bytes) / _MB)
            message = f"{reference} is deleted: {size} MB are free again"
            if removal.held_by:
                message += f" when what has it in memory ends: {', '.join(removal.held_by)}"
            if removal.stays:
                message += f". What it was linked to stays: {', '.join(removal.stays)}"
        else:  # a row of an earlier folder, or of whoever wrote into the catalog
            removal = Removal()
            message = f"{reference} is not listed any more; {path} is elsewhere, and stays"
        try:
            await self._catalog.remove(reference)
        except StateNotWritable as error:
            self._report(error)
        self._say(_PROVISIONER, "🗑️", message)
        return Deleted(message, removal.freed_bytes)

    async def _remove(self, reference: str, path: Path) -> Removal:
        try:
            return await in_thread(self.folder.delete, path)
        except BeingFetchedError:
            message = f"{reference} is being fetched."
            raise ModelInUse(message, model=reference, workers=[]) from None
        except LinkOnTheWayError as error:
            message = (
                f"{error.filename} is a link to {error.target}, and rbee deletes nothing through a "
                f"link. To take its models off the list, remove it: "
                f"{shlex.join(['rm', str(error.filename)])}"
            )
            raise InvalidRequest.of(
                "model", "a model of the models folder", message, reference
            ) from None
        except OSError as error:
            where, reason = str(error.filename or path), error.strerror or str(error)
            raise StateNotWritable(path=where, reason=reason) from None

    async def deletable_path(self, ref: ModelRef) -> Path:
        """The first file of a model that may be deleted, whole or partial. Raises MODEL_NOT_FOUND,
        and INVALID_REQUEST for files that rbee did not put where they are."""
        known = None
        if ref.scheme == "hf":
            known = await self.find_any(ref)
            path = known.path if known is not None else await self._partial_path(ref)
        elif ref.scheme == "file":
            path = Path(ref.name)  # which need not be a good model
        else:
            path = await in_thread(file_outside, ref)
            message = f"{ref} is a Python package, {path}, and not in the models folder"
            raise InvalidRequest.of(
                "model",
                "a model of the models folder",
                message,
                str(ref),
                f"To remove it: {shlex.quote(sys.executable)} -m pip uninstall {BUNDLES[ref.name]}",
            )
        if known is None and not self.folder.holds(path):
            message = f"{path} is not in the models folder {self.folder.root}, so it is not rbee's"
            raise InvalidRequest.of("model", "a model of the models folder", message, str(ref))
        path = path.with_name(split.parts(path.name)[0])
        is_file = await in_thread(path.is_file)
        if ref.scheme == "file" and not (is_file and path.name.lower().endswith(".gguf")):
            raise ModelNotFound(f"{path} is not a model on this node.", model=str(ref), near=[])
        return path

    async def _partial_path(self, ref: ModelRef) -> Path:
        found = await in_thread(self.folder.scan)
        partial = [model for model in found if model.partial]
        offered = [model for model in partial if same_repository(model.reference, ref)]
        chosen = choose(offered, ref)
        if chosen is None:
            known = [str(model.reference) for model in found]
            import difflib  # only a name that is not there needs it

            near = difflib.get_close_matches(str(ref), known, n=3, cutoff=0.4)
            raise ModelNotFound(f"{ref} is not on this node.", model=str(ref), near=near)
        return chosen.path

    def _choose(self, rows: list[ModelRow], ref: ModelRef) -> StoredModel | None:
        start = f"hf:{ref.name}".lower()
        stored = [of_row(row) for row in rows if row.reference.lower().startswith(start)]
        offered = [model for model in stored if same_repository(model.reference, ref)]
        return choose(offered, ref)

    async def _catalog_rows(self) -> list[ModelRow]:
        """None if the catalog can't be used."""
        try:
            return await self._catalog.rows()
        except StateNotWritable as error:
            self._report(error)
            return []

    async def _reconcile(self) -> tuple[list[ModelRow], list[Found]]:
        """Bring the catalog in line with the disk: add the files that were put there by hand, leave
        out those that were taken away. Returns the rows, and what lies in the folder, which also
        gives the rows if the catalog can't be used."""
        async with self._reconciling:
            found = await in_thread(self.folder.scan)
            whole = [model for model in found if not model.partial]
            if not whole and not await in_thread(self._database.exists):
                return [], found
            try:
                rows = await self._reconciled(whole)
            except StateNotWritable as error:
                self._report(error)
                return await in_thread(rows_of_found, whole), found
            self._trouble = ""
            return rows, found

    async def _reconciled(self, on_disk: list[Found]) -> list[ModelRow]:
        rows = {row.local_path: row for row in await self._catalog.rows()}
        whole = {str(model.path): model for model in on_disk}
        for path in [path for path in rows if path not in whole]:
            if await in_thread(has_files, Path(path)):
                self._missing.discard(path)
                continue
            # Its row stays: perhaps only the disk is away, and the hash is wanted again.
            del rows[path]
            if path not in self._missing:
                self._missing.add(path)
                self._note("❓", f"{path} is not there any more")
        known = {row.reference for row in rows.values()}
        new = [
            model
            for path, model in whole.items()
            if path not in rows and str(model.reference) not in known
        ]
        if not new:
            return list(rows.values())
        _log.info("found %d model(s) that nobody fetched: %s …", len(new), new[0].path)
        await self._catalog.add(*await in_thread(rows_of_found, new))
        present = {*rows, *whole}
        return [row for row in await self._catalog.rows() if row.local_path in present]

    def _report(self, error: StateNotWritable) -> None:
        """Of a catalog that can't be used, as on a full disk: that keeps nobody from looking which
        models there are, or from deleting one."""
        if error.message != self._trouble:
            self._trouble = error.message
            self._note("⚠️", f"{error.message} The files alone say what there is.")

    async def _rebuild(self, kept: Path) -> None:
        note = (
            f"the catalog was damaged; it is rebuilt from the files, the old one is kept as {kept}"
        )
        self._note("⚠️", note)
        found = await in_thread(self.folder.scan)
        whole = [model for model in found if not model.partial]
        await self._catalog.add(*await in_thread(rows_of_found, whole))

    def _note(self, emoji: str, text: str) -> None:
        """Narrate it now, and keep it for the next listing."""
        self._say(_PROVISIONER, emoji, f"model provisioning: {text}")
        self._notes.append(text)

    def _disk(self) -> tuple[int, int]:
        return self.folder.free_bytes(), self.folder.total_bytes()
