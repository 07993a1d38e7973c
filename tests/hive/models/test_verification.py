"""Whether a model's files still are what they were."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from rbee.contract.errors import ChecksumMismatch, ModelNotFound
from rbee.contract.events import Verify
from rbee.contract.model_ref import parse
from rbee.hive.models.folder import Folder
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.verification import verify
from rbee.runtime.narration import Narrator

REF = parse("hf:owner/repo")
DATA = [b"GGUF, the first part", b"GGUF, the second part, which is longer"]


def total(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Made:
    def __init__(self, home: Path) -> None:
        self.root = home / "models"
        self.inventory = Inventory(home / "models.db", Folder(self.root), Narrator(lambda _: None))

    def put(self, *parts: bytes) -> list[Path]:
        """A model of one file, or of several."""
        names = [f"m-{n:05d}-of-{len(parts):05d}.gguf" for n in range(1, len(parts) + 1)]
        (self.root / "owner/repo").mkdir(parents=True)
        paths = [self.root / "owner/repo" / name for name in names]
        for path, data in zip(paths, parts, strict=True):
            path.write_bytes(data)
        return paths

    async def reported(self) -> list[Verify]:
        events = verify(self.inventory, REF, report_every_s=0.0)
        return [event async for event in events if event is not None]

    async def known(self, *sums: str) -> None:
        here = await self.inventory.find(REF)
        assert here is not None
        await self.inventory.keep_sums(here, list(sums))


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    one = Made(tmp_path)
    async with asyncio.timeout(10):
        yield one
    await one.inventory.close()


@pytest.mark.parametrize("count", [1, 2])
async def test_a_model_that_is_what_the_catalog_says_is_whole(made: Made, count: int) -> None:
    parts = DATA[:count]
    made.put(*parts)
    sums = [total(part) for part in parts]
    await made.known(*sums)
    assert (await made.reported())[-1] == Verify("complete", sha256=sums, compared=True)


async def test_how_far_it_is_goes_over_all_parts(made: Made) -> None:
    paths = made.put(*DATA)
    sizes = [len(part) for part in DATA]
    hashing = [event for event in await made.reported() if event.stage == "hashing"]
    assert [(event.file, event.bytes_hashed, event.bytes_total) for event in hashing] == [
        (str(paths[0]), sizes[0], sum(sizes)),
        (str(paths[1]), sum(sizes), sum(sizes)),
    ]


@pytest.mark.parametrize("broken", [0, 1])
async def test_a_flipped_bit_is_reported_with_its_file_which_stays(made: Made, broken: int) -> None:
    paths = made.put(*DATA)
    sums = [total(part) for part in DATA]
    await made.known(*sums)
    flipped = bytearray(DATA[broken])
    flipped[-1] ^= 1
    paths[broken].write_bytes(flipped)
    with pytest.raises(ChecksumMismatch) as caught:
        await made.reported()
    assert caught.value.details == {
        "file": str(paths[broken]),
        "expected": sums[broken],
        "actual": total(bytes(flipped)),
        "kept": "hf:owner/repo/m-00001-of-00002.gguf",
    }
    assert "rbee-keeper models delete hf:owner/repo/m-00001-of-00002.gguf" in caught.value.advice
    assert all(path.exists() for path in paths)
    [row] = await made.inventory.rows()
    assert row.sha256 == ",".join(sums)


async def test_an_unknown_hash_is_kept_and_compared_the_next_time(made: Made) -> None:
    [path] = made.put(DATA[0])
    assert (await made.reported())[-1] == Verify(
        "complete", sha256=[total(DATA[0])], compared=False
    )
    [row] = await made.inventory.rows()
    assert row.sha256 == total(DATA[0])
    assert (await made.reported())[-1].compared is True
    path.write_bytes(DATA[1])
    with pytest.raises(ChecksumMismatch):
        await made.reported()


async def test_a_model_that_is_not_here_is_reported(made: Made) -> None:
    with pytest.raises(ModelNotFound, match="not on this node"):
        await made.reported()


async def test_a_reader_that_leaves_ends_it(made: Made) -> None:
    [path] = made.put(DATA[0])
    os.truncate(path, 1 << 36)  # sparse, and too large to be hashed in ten seconds
    watching = verify(made.inventory, REF, report_every_s=0.01)
    async for event in watching:
        if event is not None:
            break
    assert _is_open(path)
    await watching.aclose()  # type: ignore[attr-defined]
    while _is_open(path):  # noqa: ASYNC110  what is waited for is a thread
        await asyncio.sleep(0.01)
    [row] = await made.inventory.rows()
    assert row.sha256 is None


def _is_open(path: Path) -> bool:
    return any(file.path == str(path) for file in psutil.Process().open_files())
