"""What lies in the models folder, whoever put it there."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from rbee.contract.errors import StateNotWritable
from rbee.contract.model_ref import parse
from rbee.hive.models import inside
from rbee.hive.models.folder import Folder, Found, Removal
from rbee.hive.models.inside import LinkOnTheWayError
from rbee.hive.models.repository import place
from rbee.runtime.concurrency import in_thread

SUM = "ab" * 8


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "models")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A model that is somebody's own."""
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(bytes(9))
    return folder / "m.gguf"


def put(folder: Folder, place: str, size: int = 7) -> Path:
    path = folder.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def seen(folder: Folder) -> dict[str, Found]:
    found = folder.scan()
    by_reference = {str(each.reference): each for each in found}
    assert len(by_reference) == len(found)
    return by_reference


def test_a_folder_that_is_not_there_holds_nothing(folder: Folder) -> None:
    assert folder.scan() == []


def test_a_file_of_a_repository_is_found_by_its_place(folder: Folder) -> None:
    path = put(folder, "owner/repo/sub/m-Q8_0.gguf")
    [found] = folder.scan()
    assert (str(found.reference), found.path) == ("hf:owner/repo/sub/m-Q8_0.gguf", path)
    assert (found.size_bytes, found.bytes_there, found.partial) == (7, 7, False)
    assert found.quantization == "Q8_0"
    assert found.modified_unix == int(path.stat().st_mtime)


def test_a_revision_is_read_from_the_folders_name(folder: Folder) -> None:
    put(folder, "owner/repo@v1/m.gguf")
    assert list(seen(folder)) == ["hf:owner/repo@v1/m.gguf"]


@pytest.mark.parametrize(
    "where", ["m.gguf", "owner/m.gguf", "my models/r/m.gguf", "o/r@main/m.gguf"]
)
def test_a_file_elsewhere_in_the_folder_is_known_by_its_path(folder: Folder, where: str) -> None:
    path = put(folder, where)
    assert list(seen(folder)) == [f"file:{path}"]


def test_what_is_found_is_where_the_folder_would_put_it(folder: Folder) -> None:
    ref = parse("hf:owner/repo@v1/sub/m.gguf")
    path = folder.target(ref, "sub/m.gguf")
    assert path == folder.root / place(ref, "sub/m.gguf")
    assert folder.reference(path) == ref


def test_a_file_outside_is_known_by_its_path(folder: Folder, tmp_path: Path) -> None:
    path = tmp_path / "other" / "repo" / "m.gguf"
    assert str(folder.reference(path)) == f"file:{path}"


def test_other_files_are_no_models(folder: Folder) -> None:
    put(folder, "owner/repo/README.md")
    put(folder, "owner/repo/m.gguf.txt")
    (folder.root / "owner" / "repo" / "folder.gguf").mkdir()
    assert folder.scan() == []


def test_a_partial_file_stands_for_its_model(folder: Folder) -> None:
    put(folder, f"owner/repo/m-Q8_0.gguf.100-{SUM}.part", 40)
    [found] = folder.scan()
    assert str(found.reference) == "hf:owner/repo/m-Q8_0.gguf"
    assert found.path == folder.root / "owner/repo/m-Q8_0.gguf"
    assert (found.size_bytes, found.bytes_there, found.partial) == (100, 40, True)
    assert found.quantization == "Q8_0"


def test_a_partial_file_beside_the_whole_one_makes_it_no_less_whole(folder: Folder) -> None:
    put(folder, "owner/repo/m.gguf", 100)
    put(folder, f"owner/repo/m.gguf.200-{SUM}.part", 40)
    [found] = folder.scan()
    assert (found.size_bytes, found.bytes_there, found.partial) == (100, 100, False)


def names(count: int) -> list[str]:
    return [f"owner/repo/m-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]


def test_a_split_model_is_one_model(folder: Folder) -> None:
    paths = [put(folder, name, 10) for name in names(3)]
    [found] = folder.scan()
    assert found.path == paths[0]
    assert (found.size_bytes, found.bytes_there, found.partial) == (30, 30, False)


@pytest.mark.parametrize("missing", range(3))
def test_a_split_model_without_a_part_is_partial(folder: Folder, missing: int) -> None:
    for number, name in enumerate(names(3)):
        if number != missing:
            put(folder, name, 10)
    [found] = folder.scan()
    assert str(found.reference) == f"hf:{names(3)[0]}"
    assert (found.bytes_there, found.partial) == (20, True)


def test_a_split_model_on_its_way_is_as_far_as_its_parts_are(folder: Folder) -> None:
    put(folder, names(3)[0], 10)
    put(folder, f"{names(3)[1]}.10-{SUM}.part", 4)
    [found] = folder.scan()
    assert (found.size_bytes, found.bytes_there, found.partial) == (20, 14, True)


def test_models_come_in_the_order_of_their_paths(folder: Folder) -> None:
    for name in ("b/r/m.gguf", "a/r/z.gguf", "a/r/m.gguf"):
        put(folder, name)
    assert list(seen(folder)) == ["hf:a/r/m.gguf", "hf:a/r/z.gguf", "hf:b/r/m.gguf"]


def test_a_name_that_is_not_text_hides_no_other_model(folder: Folder) -> None:
    path = put(folder, "owner/repo/m.gguf")
    Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff.gguf")).touch()
    assert list(seen(folder)) == ["hf:owner/repo/m.gguf"]


def test_a_link_to_a_file_elsewhere_is_a_model(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.gguf").write_bytes(bytes(9))
    put(folder, "owner/repo/other.gguf")
    (folder.root / "owner/repo/m.gguf").symlink_to(tmp_path / "elsewhere.gguf")
    assert seen(folder)["hf:owner/repo/m.gguf"].size_bytes == 9


def test_a_link_to_a_folder_is_followed(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "disk2").mkdir()
    (tmp_path / "disk2" / "m.gguf").write_bytes(bytes(9))
    (folder.root / "owner").mkdir(parents=True)
    (folder.root / "owner" / "repo").symlink_to(tmp_path / "disk2")
    assert list(seen(folder)) == ["hf:owner/repo/m.gguf"]


def test_a_link_to_nothing_is_not_a_model(folder: Folder) -> None:
    put(folder, "owner/repo/m.gguf")
    (folder.root / "owner/repo/gone.gguf").symlink_to(folder.root / "nowhere.gguf")
    assert list(seen(folder)) == ["hf:owner/repo/m.gguf"]


def test_links_that_go_round_are_followed_once(folder: Folder) -> None:
    put(folder, "owner/repo/m.gguf")
    put(folder, "owner/other/n.gguf")
    (folder.root / "owner/repo/self").symlink_to(folder.root / "owner/repo")
    (folder.root / "owner/repo/x").symlink_to(folder.root / "owner/other")
    (folder.root / "owner/other/y").symlink_to(folder.root / "owner/repo")
    assert set(seen(folder)) == {
        "hf:owner/repo/m.gguf",
        "hf:owner/repo/x/n.gguf",
        "hf:owner/other/n.gguf",
        "hf:owner/other/y/m.gguf",
    }


async def test_a_search_ends_with_its_asker(folder: Folder, tmp_path: Path) -> None:
    """Each pair of links doubles the ways: there are a billion."""
    for level in range(30):
        (tmp_path / f"{level}").mkdir()
        for name in ("a", "b"):
            (tmp_path / f"{level}" / name).symlink_to(tmp_path / f"{level + 1}")
    folder.root.symlink_to(tmp_path / "0")
    before = set(threading.enumerate())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(in_thread(folder.scan), 0.05)
    async with asyncio.timeout(5):
        while set(threading.enumerate()) - before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "name", ["m.gguf.part", "video.part", "m.gguf.12.part", f"m.txt.12-{SUM}.part"]
)
def test_a_partial_file_of_another_program_is_not_a_model(folder: Folder, name: str) -> None:
    put(folder, f"owner/repo/{name}")
    assert folder.scan() == []


def test_deleting_frees_what_the_file_took_and_the_folders_that_are_empty_then(
    folder: Folder,
) -> None:
    path = put(folder, "owner/repo/sub/m.gguf", 100)
    kept = put(folder, "owner/other/m.gguf")
    assert folder.delete(path) == Removal(100)
    assert not (folder.root / "owner/repo").exists()
    assert kept.exists()


def test_the_folder_itself_stays_when_it_is_empty(folder: Folder) -> None:
    folder.delete(put(folder, "owner/repo/m.gguf"))
    folder.delete(put(folder, "m.gguf"))
    assert list(folder.root.iterdir()) == []


def test_a_folder_in_which_something_else_lies_stays(folder: Folder) -> None:
    notes = put(folder, "owner/repo/notes.txt")
    folder.delete(put(folder, "owner/repo/m.gguf"))
    assert notes.exists()


def test_deleting_a_split_model_takes_every_part_whole_or_not(folder: Folder) -> None:
    first = put(folder, names(3)[0], 10)
    put(folder, f"{names(3)[1]}.10-{SUM}.part", 4)
    put(folder, f"{names(3)[1]}.12-{SUM}.part", 5)
    assert folder.delete(first) == Removal(19)
    assert folder.scan() == []


def test_deleting_takes_nothing_of_a_model_with_a_longer_name(folder: Folder) -> None:
    path = put(folder, "owner/repo/m.gguf")
    others = [
        put(folder, "owner/repo/m.gguf.gguf"),
        put(folder, "owner/repo/mm.gguf"),
        put(folder, f"owner/repo/xm.gguf.9-{SUM}.part"),
        put(folder, f"owner/repo/m.gguf2.gguf.9-{SUM}.part"),
        put(folder, "owner/repo/m.gguf.part"),  # another program's
    ]
    folder.delete(path)
    assert all(other.exists() for other in others)


def test_letters_that_mean_much_to_a_shell_mean_themselves(folder: Folder) -> None:
    odd = put(folder, f"owner/repo/m[1]*?.gguf.9-{SUM}.part", 5)
    other = put(folder, f"owner/repo/m1xx.gguf.9-{SUM}.part")
    assert folder.delete(folder.root / "owner/repo/m[1]*?.gguf") == Removal(5)
    assert not odd.exists()
    assert other.exists()


def test_deleting_what_is_not_there_frees_nothing(folder: Folder) -> None:
    assert folder.delete(folder.root / "owner/repo/m.gguf") == Removal()


@pytest.mark.parametrize("way", ["store", "models/../store", "models/owner/../../store"])
def test_what_lies_elsewhere_stays(folder: Folder, outside: Path, tmp_path: Path, way: str) -> None:
    put(folder, "owner/repo/m.gguf")
    with pytest.raises(ValueError, match="store"):
        folder.delete(tmp_path / way / "m.gguf")
    assert outside.exists()


def test_the_disk_is_reported_before_the_folder_is_made(folder: Folder, tmp_path: Path) -> None:
    deep = Folder(folder.root / "not" / "there")
    assert deep.total_bytes() == shutil.disk_usage(tmp_path).total
    assert 0 < deep.free_bytes() <= deep.total_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(root: Path, folder: Path) -> Path:
    with inside.opened(root, folder, make=True):
        return folder


def test_below_a_folder_that_a_group_shares_the_group_may_write(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    models.chmod(0o2775)
    made(models, models / "lab" / "small")
    assert [mode(each) for each in (models / "lab", models / "lab" / "small")] == [0o2775] * 2


@pytest.mark.parametrize("above", [0o700, 0o755, 0o775])
@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_elsewhere_others_may_read_whatever_the_umask(
    tmp_path: Path, above: int, umask: int
) -> None:
    tmp_path.chmod(above)
    before = os.umask(umask)
    try:
        Folder(tmp_path / "models").make()
        folder = made(tmp_path / "models", tmp_path / "models" / "lab" / "small")
    finally:
        os.umask(before)
    assert [mode(each) for each in (tmp_path / "models", folder.parent, folder)] == [0o755] * 3


def test_of_a_link_to_a_model_only_itself_is_deleted(folder: Folder, outside: Path) -> None:
    link = folder.root / "owner/repo/m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    assert folder.delete(link) == Removal(0, (str(outside),))
    assert outside.exists()
    assert not os.path.lexists(link)
    assert list(folder.root.iterdir()) == []


def test_of_a_split_model_a_part_may_be_a_link(folder: Folder, outside: Path) -> None:
    first, second, _ = (put(folder, name) for name in names(3))
    second.unlink()
    second.symlink_to(outside)
    assert folder.delete(first) == Removal(14, (str(outside),))
    assert outside.exists()


def test_a_partial_file_may_be_a_link(folder: Folder, outside: Path) -> None:
    path = put(folder, "owner/repo/m.gguf")
    path.with_name(f"m.gguf.9-{SUM}.part").symlink_to(outside)
    assert folder.delete(path) == Removal(7, (str(outside),))
    assert outside.exists()


def test_a_partial_file_that_is_a_pipe_holds_nobody_up(folder: Folder) -> None:
    path = put(folder, "owner/repo/m.gguf")
    os.mkfifo(path.with_name(f"m.gguf.9-{SUM}.part"))
    assert folder.delete(path).freed_bytes == 7
    assert list(folder.root.iterdir()) == []


def test_a_link_to_nothing_is_deleted(folder: Folder, tmp_path: Path) -> None:
    link = put(folder, "owner/repo/m.gguf")
    link.unlink()
    link.symlink_to(tmp_path / "gone.gguf")
    assert folder.delete(link) == Removal(0, (str(tmp_path / "gone.gguf"),))
    assert not os.path.lexists(link)


def test_another_name_of_a_file_frees_nothing(folder: Folder, outside: Path) -> None:
    path = put(folder, "owner/repo/m.gguf")
    path.unlink()
    path.hardlink_to(outside)
    assert folder.delete(path) == Removal(0)
    assert outside.exists()


@pytest.mark.parametrize("above", ["owner", "owner/repo"])
@pytest.mark.parametrize("within", [True, False])
def test_nothing_is_deleted_through_a_link_to_a_folder(
    folder: Folder, outside: Path, above: str, within: bool
) -> None:
    """Not even if it leads to another folder of models: that is another model's."""
    target = put(folder, "other/repo/m.gguf").parent if within else outside.parent
    place = target if above == "owner/repo" else target.parent
    link = folder.root / above
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(place)
    path = folder.root / "owner" / ("repo" if within or above == "owner/repo" else "store")
    with pytest.raises(LinkOnTheWayError) as caught:
        folder.delete(path / "m.gguf")
    assert (caught.value.filename, caught.value.target) == (str(link), str(place))
    assert (target / "m.gguf").exists()
    assert link.is_symlink()


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    disk = Folder(tmp_path / "disk2")
    put(disk, "owner/repo/m.gguf")
    (tmp_path / "models").symlink_to(disk.root)
    folder = Folder(tmp_path / "models")
    assert folder.delete(folder.root / "owner/repo/m.gguf").freed_bytes == 7
    assert list(disk.root.iterdir()) == []
    assert (tmp_path / "models").is_symlink()


def test_a_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "lab").touch()
    with pytest.raises(NotADirectoryError):
        made(tmp_path, tmp_path / "lab" / "small")
    with pytest.raises(StateNotWritable, match="lab"):
        Folder(tmp_path / "lab").make()


def test_a_models_folder_that_leads_nowhere_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(tmp_path / "away")
    with pytest.raises(StateNotWritable, match=r"link to .*away, which is not there") as caught:
        Folder(tmp_path / "models").make()
    assert "remove the link" in caught.value.advice
