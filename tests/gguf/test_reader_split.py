"""A model that is split over several files is read as one, and a bad part is reported."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

from rbee.contract.errors import InvalidModelRef, ModelCorrupt, ModelNotFound
from rbee.gguf.reader import read

Make = Callable[..., Path]


@pytest.fixture
def whole(make: Make) -> Path:
    """The first of three parts, of 3, 3 and 1 tensors."""
    return make("m.gguf", each=3)


def part(first: Path, number: int) -> Path:
    return first.with_name(f"m-{number:05d}-of-00003.gguf")


def patch(path: Path, key: str, form: str, number: int) -> None:
    """Write another number into a field of the header."""
    data = bytearray(path.read_bytes())
    at = data.index(key.encode()) + len(key) + 4
    struct.pack_into(form, data, at, number)
    path.write_bytes(data)


def rename_key(path: Path, key: str) -> None:
    """Take a field from the header, by giving it another name of the same length."""
    data = path.read_bytes()
    path.write_bytes(data.replace(key.encode(), key.replace("split", "spilt").encode()))


def reason(path: Path, file: Path | None = None) -> str:
    """Why `path` is refused. `file` is the part that is at fault, else the first."""
    with pytest.raises(ModelCorrupt) as caught:
        read(path)
    assert caught.value.details["file"] == str(file or path)
    return str(caught.value.details["reason"])


@pytest.mark.parametrize(
    ("each", "bare_first", "parts"), [(3, False, 3), (3, True, 4), (1, False, 7), (4, True, 3)]
)
def test_a_split_model_is_as_large_as_its_parts_together(
    make: Make, tmp_path: Path, each: int, bare_first: bool, parts: int
) -> None:
    header = read(make("m.gguf", each=each, bare_first=bare_first))
    assert header.files == tuple(sorted(tmp_path.glob("m-*.gguf")))
    assert len(header.files) == parts
    assert header.file == header.files[0]
    assert header.size_bytes == sum(file.stat().st_size for file in header.files)


@pytest.mark.parametrize("bare_first", [False, True])
def test_a_split_model_says_of_itself_what_the_whole_one_says(make: Make, bare_first: bool) -> None:
    one, split = read(make("o.gguf")), read(make("m.gguf", each=2, bare_first=bare_first))
    assert {key: split.fields.get(key) for key in one.fields} == one.fields
    assert split.lengths == one.lengths
    assert [tensor.name for tensor in split.tensors] == [tensor.name for tensor in one.tensors]
    assert split.kv_bytes(100) == one.kv_bytes(100)


@pytest.mark.parametrize("bare_first", [False, True])
def test_tensors_are_counted_as_if_the_parts_stood_one_after_another(
    make: Make, bare_first: bool
) -> None:
    header = read(make("m.gguf", each=2, bare_first=bare_first))
    theirs: dict[str, tuple[int, int]] = {}
    before = 0
    for file in header.files:
        for tensor in gguf.GGUFReader(file).tensors:
            start = before + tensor.data_offset
            theirs[tensor.name] = (start, start + tensor.n_bytes)
        before += file.stat().st_size
    assert {tensor.name: (tensor.start, tensor.end) for tensor in header.tensors} == theirs
    assert len(header.layer_ends()) == 3
    assert header.layer_ends() == sorted(theirs[f"blk.{layer}.ffn.weight"][1] for layer in range(3))


def test_an_ordinary_file_is_its_only_part(make: Make) -> None:
    path = make("m.gguf")
    assert read(path).files == (path,)


@pytest.mark.parametrize("number", [2, 3])
def test_a_missing_part_is_named(whole: Path, number: int) -> None:
    part(whole, number).unlink()
    assert reason(whole) == f"part {number} of 3 is missing: m-0000{number}-of-00003.gguf"


def test_all_missing_parts_are_named_at_once(make: Make) -> None:
    first = make("m.gguf", each=1)
    names = [f"m-{number:05d}-of-00007.gguf" for number in range(1, 8)]
    for name in (names[1], names[4]):
        first.with_name(name).unlink()
    assert reason(first) == f"2 of its 7 parts are missing: {names[1]}, {names[4]}"
    for name in (names[2], names[6]):
        first.with_name(name).unlink()
    told = f"{names[1]}, {names[2]}, {names[4]}, and 1 more"
    assert reason(first) == f"4 of its 7 parts are missing: {told}"


def test_a_link_to_nowhere_is_a_missing_part(whole: Path) -> None:
    part(whole, 2).unlink()
    part(whole, 2).symlink_to(whole.with_name("nowhere"))
    assert "part 2 of 3 is missing" in reason(whole)


@pytest.mark.parametrize("named", [1, 2, 3])
def test_a_missing_first_part_is_named_whichever_part_was_asked_for(
    whole: Path, named: int
) -> None:
    whole.unlink()
    asked = part(whole, named)
    assert reason(asked) == f"part 1 of 3 is missing: {whole.name}"


def test_a_split_model_of_which_nothing_is_there_is_not_found(whole: Path) -> None:
    for number in (1, 2, 3):
        part(whole, number).unlink()
    with pytest.raises(
        ModelNotFound, match=r"There is no file .*00001-of-00003\.gguf on this node"
    ):
        read(whole)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("rest", [100, -33])
def test_a_part_that_is_cut_short_is_named(whole: Path, number: int, rest: int) -> None:
    cut = part(whole, number)
    cut.write_bytes(cut.read_bytes()[:rest])  # within the header, or within the last tensor
    assert reason(whole, cut)


def test_an_empty_part_is_named(whole: Path) -> None:
    part(whole, 2).write_bytes(b"")
    assert "empty" in reason(whole, part(whole, 2))


def test_a_part_of_another_kind_makes_the_model_corrupt(whole: Path) -> None:
    part(whole, 3).write_bytes(b"milk, bread")
    assert reason(whole, part(whole, 3)) == "part 3 of 3 is not a GGUF file"
    part(whole, 3).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "it is the Git LFS pointer" in reason(whole, part(whole, 3))


@pytest.mark.parametrize("number", [2, 3])
def test_a_later_part_asks_for_the_first(whole: Path, number: int) -> None:
    with pytest.raises(InvalidModelRef, match=f"part {number} of 3") as caught:
        read(part(whole, number))
    assert caught.value.details["value"] == f"file:{part(whole, number)}"
    assert caught.value.details["near"] == [f"file:{whole}"]


def test_parts_in_each_others_places_are_refused(whole: Path) -> None:
    second, third = part(whole, 2).read_bytes(), part(whole, 3).read_bytes()
    part(whole, 2).write_bytes(third)
    part(whole, 3).write_bytes(second)
    told = reason(whole, part(whole, 2))
    assert "part 3 of 3" in told
    assert "-00003-of-00003.gguf" in told


def test_a_first_part_that_is_another_is_refused(whole: Path) -> None:
    whole.write_bytes(part(whole, 2).read_bytes())
    assert "part 2 of 3" in reason(whole)


@pytest.mark.parametrize("number", [1, 2])
def test_a_count_that_is_not_the_names_is_refused(whole: Path, number: int) -> None:
    patch(part(whole, number), "split.count", "<H", 4)
    told = reason(whole, part(whole, number))
    assert f"part {number} of 4" in told
    assert f"-0000{number}-of-00004.gguf" in told


@pytest.mark.parametrize("number", [1, 2])
def test_a_part_by_its_name_alone_is_refused(whole: Path, number: int) -> None:
    rename_key(part(whole, number), "split.count")
    told = reason(whole, part(whole, number))
    assert f"part {number} of 3" in told
    assert "header" in told


@pytest.mark.parametrize("number", [3, 65_535])
def test_a_part_beyond_the_last_is_refused(whole: Path, number: int) -> None:
    patch(whole, "split.no", "<H", number)
    assert reason(whole) == f"its split.no is {number} of 3"


def test_a_part_without_a_number_is_refused(whole: Path) -> None:
    rename_key(part(whole, 2), "split.no")
    assert reason(whole, part(whole, 2)) == "its split.no is None of 3"


@pytest.mark.parametrize(
    ("key", "told"),
    [("split.count", "its split.count is True"), ("split.no", "its split.no is True of 3")],
)
def test_a_boolean_is_not_the_number_of_a_part(whole: Path, key: str, told: str) -> None:
    data = bytearray(whole.read_bytes())
    at = data.index(key.encode()) + len(key)
    data[at : at + struct.calcsize("<IH")] = struct.pack("<I?", 7, True)
    whole.write_bytes(data + bytes(32))
    assert reason(whole) == told


@pytest.mark.parametrize("claimed", [-1, 0, 6, 8])
def test_another_number_of_tensors_than_claimed_is_refused(whole: Path, claimed: int) -> None:
    patch(whole, "split.tensors.count", "<i", claimed)
    assert reason(whole) == f"it claims {claimed} tensors in 3 parts, but they have 7"


def test_a_split_model_that_does_not_count_its_tensors_is_refused(whole: Path) -> None:
    rename_key(whole, "split.tensors.count")
    assert "claims None tensors" in reason(whole)


@pytest.mark.parametrize("name", ["plain.gguf", "m-00001-of-00002.gguf", "m-00001-of-00003.GGUF"])
def test_a_part_that_llama_cpp_would_not_find_is_refused(whole: Path, name: str) -> None:
    renamed = whole.rename(whole.with_name(name))
    assert "must end with -00001-of-00003.gguf" in reason(renamed)


@pytest.mark.parametrize("count", [0, 1])
def test_parts_that_were_put_together_again_are_an_ordinary_file(make: Make, count: int) -> None:
    # What llama-gguf-split --merge leaves: the fields, with a count of 0.
    first = make("m.gguf", each=4)
    merged = first.with_name("merged.gguf")
    merged.write_bytes(first.read_bytes())
    patch(merged, "split.count", "<H", count)
    assert len(read(merged).tensors) == 4
    assert read(merged).files == (merged,)


def test_the_only_part_of_one_is_an_ordinary_file(make: Make) -> None:
    path = make("m.gguf").rename(make("m.gguf").with_name("m-00001-of-00001.gguf"))
    assert read(path).files == (path,)


def test_a_split_model_without_any_tensor_has_none(make: Make) -> None:
    first = make("m.gguf", each=7, bare_first=True)
    second = first.with_name("m-00002-of-00002.gguf")
    data = bytearray(second.read_bytes())
    struct.pack_into("<Q", data, 8, 0)
    second.write_bytes(data)
    patch(first, "split.tensors.count", "<i", 0)
    assert reason(first) == "it has no tensors"
