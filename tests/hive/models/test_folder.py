"""What lies in the models folder, whoever put it there."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from rbee.contract.model_ref import parse
from rbee.hive.models.folder import Folder, Found, make_folder
from rbee.hive.models.repository import place

SUM = "ab" * 8


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "models")


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
    assert folder.delete(path) == 100
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
    assert folder.delete(first) == 19
    assert folder.scan() == []


def test_deleting_takes_nothing_of_a_model_with_a_longer_name(folder: Folder) -> None:
    path = put(folder, "owner/repo/m.gguf")
    others = [
        put(folder, "owner/repo/m.gguf.gguf"),
        put(folder, "owner/repo/mm.gguf"),
        put(folder, f"owner/repo/xm.gguf.9-{SUM}.part"),
        put(folder, f"owner/repo/m.gguf2.gguf.9-{SUM}.part"),
    ]
    folder.delete(path)
    assert all(other.exists() for other in others)


def test_letters_that_mean_much_to_a_shell_mean_themselves(folder: Folder) -> None:
    odd = put(folder, f"owner/repo/m[1]*?.gguf.9-{SUM}.part", 5)
    other = put(folder, f"owner/repo/m1xx.gguf.9-{SUM}.part")
    assert folder.delete(folder.root / "owner/repo/m[1]*?.gguf") == 5
    assert not odd.exists()
    assert other.exists()


def test_deleting_what_is_not_there_frees_nothing(folder: Folder) -> None:
    assert folder.delete(folder.root / "owner/repo/m.gguf") == 0


def test_folders_above_and_beside_the_root_stay(folder: Folder, tmp_path: Path) -> None:
    folder.root.mkdir()
    outside = tmp_path / "outside" / "m.gguf"
    outside.parent.mkdir()
    outside.touch()
    folder.delete(outside)
    assert outside.parent.is_dir()


def test_the_disk_is_reported_before_the_folder_is_made(folder: Folder, tmp_path: Path) -> None:
    deep = Folder(folder.root / "not" / "there")
    assert deep.total_bytes() == shutil.disk_usage(tmp_path).total
    assert 0 < deep.free_bytes() <= deep.total_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_below_a_folder_that_a_group_shares_the_group_may_write(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    models.chmod(0o2775)
    make_folder(models / "lab" / "small")
    assert [mode(each) for each in (models / "lab", models / "lab" / "small")] == [0o2775] * 2


@pytest.mark.parametrize("above", [0o755, 0o775])
def test_elsewhere_the_umask_counts(tmp_path: Path, above: int) -> None:
    tmp_path.chmod(above)
    plain = tmp_path / "plain"
    plain.mkdir()
    make_folder(tmp_path / "lab" / "small")
    assert mode(tmp_path / "lab" / "small") == mode(plain)


def test_a_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "lab").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "lab")
