"""Hashes a model's files again, to see whether they are still what they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from rbee.contract.errors import (
    ChecksumMismatch,
    ModelCorrupt,
    ModelNotFound,
    RbeeError,
    RequestCanceled,
)
from rbee.contract.events import Verify
from rbee.contract.model_ref import ModelRef
from rbee.gguf import split
from rbee.hive.models import digest
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.stored_models import StoredModel
from rbee.runtime.broadcast import Progress
from rbee.runtime.concurrency import in_thread, stop

REPORT_EVERY_S = 0.1


async def verify(
    inventory: Inventory, ref: ModelRef, report_every_s: float = REPORT_EVERY_S
) -> AsyncIterator[Verify | None]:
    """Hash every file and report the progress; the last event says that the files are what the
    catalog says.

    A model without a known hash gets the one that is found. Raises MODEL_NOT_FOUND, and
    CHECKSUM_MISMATCH, which leaves the file where it is. When the reader leaves, the work ends.
    """
    model = await inventory.find_any(ref)
    if model is None:
        raise ModelNotFound(f"{ref} is not on this node.", model=str(ref), near=[])
    verification = _Verification(model, report_every_s)
    work = asyncio.create_task(verification.run(inventory))
    try:
        async for event in verification.progress.listen():
            yield event
    finally:
        verification.stop()
        await stop(work)


class _Verification:
    def __init__(self, model: StoredModel, report_every_s: float) -> None:
        self.progress: Progress[Verify] = Progress(lambda event: event.stage == "complete")
        self._model = model
        self._files = [model.path.with_name(name) for name in split.parts(model.path.name)]
        self._loop = asyncio.get_running_loop()
        self._report_every_s = report_every_s
        self._reported_at = 0.0
        self._stopped = False
        self._file = ""
        self._done = 0

    def stop(self) -> None:
        self._stopped = True

    async def run(self, inventory: Inventory) -> None:
        known = self._model.row.sha256 if self._model.row else None
        try:
            found = await in_thread(self._hash)
            self._compare(known, found)
            if known is None:
                await inventory.keep_sums(self._model, found)
            self.progress.tell(Verify("complete", sha256=found, compared=known is not None))
        except RbeeError as error:
            self.progress.fail(error)
        except OSError as error:
            path, reason = str(self._model.path), error.strerror or str(error)
            self.progress.fail(ModelCorrupt(file=path, reason=f"it can't be read: {reason}"))
        except digest.StoppedError:
            self.progress.fail(RequestCanceled())

    def _compare(self, known: str | None, found: list[str]) -> None:
        expected = known.split(",") if known is not None else found
        reference = str(self._model.reference)
        if len(expected) != len(found):
            raise ChecksumMismatch(
                f"The catalog has {len(expected)} hashes for {reference}, "
                f"which has {len(found)} files.",
                file=str(self._files[0]),
                expected=known,
                actual=",".join(found),
                kept=reference,
            )
        for file, wanted, actual in zip(self._files, expected, found, strict=True):
            if wanted != actual:
                raise ChecksumMismatch(
                    file=str(file), expected=wanted, actual=actual, kept=reference
                )

    def _hash(self) -> list[str]:
        total = sum(file.stat().st_size for file in self._files)
        sums = []
        for file in self._files:
            self._file = str(file)
            sums.append(digest.sha256(file, lambda size: self._report(size, total)))
            self._done += file.stat().st_size
        return sums

    def _report(self, size: int, total: int) -> None:
        if self._stopped:
            raise digest.StoppedError
        now = time.monotonic()
        if now - self._reported_at >= self._report_every_s:
            self._reported_at = now
            event = Verify("hashing", self._file, self._done + size, total)
            self._loop.call_soon_threadsafe(self.progress.tell, event)
