"""The header of a file that is still on a server, from the bytes that came so far."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee.contract.errors import InvalidModelRef, ModelCorrupt, RbeeError, UnsupportedModelFormat
from rbee.gguf.reader import read, read_beginning

Make = Callable[..., Path]

STRING, ARRAY, UINT8 = 8, 9, 0
LARGE = 1 << 36


def begin(tensors: int, fields: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, fields)


def key(name: str, kind: int) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind)


def header_end(data: bytes) -> int:
    """Where the header ends: behind the offset of the last tensor, `blk.2.ffn.weight` of (7,)."""
    name = b"blk.2.ffn.weight"
    return data.index(name) + len(name) + struct.calcsize("<IQIQ")


@pytest.mark.parametrize("alignment", [None, 4096])
def test_every_beginning_is_too_short_or_gives_the_files_header(
    make: Make, alignment: int | None
) -> None:
    path = make(alignment=alignment)
    data = path.read_bytes()
    expected, end = read(path), header_end(data)
    assert 800 < end < 2000
    for length in range(end):
        assert read_beginning(data[:length], len(data), str(path)) is None, length
    for length in (*range(end, end + 100), len(data)):
        assert read_beginning(data[:length], len(data), str(path)) == expected, length


@settings(max_examples=200)
@given(
    flips=st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 255)), min_size=1, max_size=3),
    length=st.integers(0, 1500),
)
def test_what_a_beginning_says_the_whole_file_says_too(
    good: bytes, tmp_path: Path, flips: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(good)
    for at, mask in flips:
        data[at] ^= mask
    path = tmp_path / "m.gguf"
    path.write_bytes(data)

    def outcome(ask: Callable[[], object]) -> object:
        try:
            return repr(ask())  # as text: a flipped float may be no number, which equals nothing
        except RbeeError as error:
            return (error.code, error.message)

    found = outcome(lambda: read_beginning(bytes(data[:length]), len(data), str(path)))
    assert found in ("None", outcome(lambda: read(path)))
    if length >= len(data):
        assert found != "None"


def test_nothing_yet_is_too_short() -> None:
    assert read_beginning(b"", 100, "m.gguf") is None
    assert read_beginning(b"GG", 100, "m.gguf") is None


def test_an_empty_file_is_reported() -> None:
    with pytest.raises(ModelCorrupt, match="empty"):
        read_beginning(b"", 0, "m.gguf")


@pytest.mark.parametrize(
    ("data", "size"), [(b"<", 100), (b"<!doctype html>", 100), (b"GGU", 3), (b"", 3)]
)
def test_what_cannot_be_a_gguf_is_refused_by_name(data: bytes, size: int) -> None:
    with pytest.raises(UnsupportedModelFormat) as caught:
        read_beginning(data, size, "Q8/m.gguf")
    assert caught.value.details["value"] == "Q8/m.gguf"


@pytest.mark.parametrize(
    "lie",
    [
        begin(LARGE, 1),
        begin(1, 2**60),
        begin(1, 1) + struct.pack("<Q", 2**60),
        begin(1, 1) + struct.pack("<Q", 70_000),
        begin(1, 1) + key("a", STRING) + struct.pack("<Q", 2**60),
        begin(1, 1) + key("a", STRING) + struct.pack("<Q", LARGE),
        begin(1, 1) + key("a", ARRAY) + struct.pack("<IQ", UINT8, 2**60),
        begin(1, 1) + key("a", ARRAY) + struct.pack("<IQ", STRING, 2**60),
        begin(1, 1) + key("a", ARRAY) + struct.pack("<IQQ", STRING, 2, 2**60),
        begin(1, 1) + key("a", ARRAY) + struct.pack("<IQQ", STRING, 1, LARGE),
        begin(1, 0) + struct.pack("<Q", 2**60),
    ],
)
def test_what_does_not_fit_into_the_file_is_a_lie_at_once(lie: bytes) -> None:
    with pytest.raises(ModelCorrupt) as caught:
        read_beginning(lie, LARGE, "m.gguf")
    assert caught.value.details["file"] == "m.gguf"


def test_a_text_that_fits_into_the_file_is_waited_for() -> None:
    data = begin(1, 1) + key("a", STRING) + struct.pack("<Q", 1 << 20)
    assert read_beginning(data, LARGE, "m.gguf") is None


def test_a_header_that_ends_with_its_file_is_cut_short(good: bytes) -> None:
    for size in (300, header_end(good) - 1):
        with pytest.raises(ModelCorrupt, match="ends within its header"):
            read_beginning(good[:size], size, "m.gguf")


def test_a_file_that_the_server_has_cut_short_is_refused(good: bytes) -> None:
    with pytest.raises(ModelCorrupt, match="cut short"):
        read_beginning(good[:2000], len(good) - 100, "m.gguf")


def test_more_than_the_file_is_not_looked_at(good: bytes) -> None:
    assert read_beginning(good + b"more", len(good), "m.gguf") is not None


@pytest.mark.parametrize("bare_first", [False, True])
def test_the_first_part_of_a_split_model_is_read_alone(make: Make, bare_first: bool) -> None:
    first = make("m.gguf", each=3, bare_first=bare_first)
    whole, data = read(first), first.read_bytes()
    name = f"Q8_0/{first.name}"
    first.unlink()
    header = read_beginning(data, len(data), name)
    assert header is not None
    assert (header.file, header.files) == (Path(name), (Path(name),))
    assert header.size_bytes == len(data)
    assert header.fields == whole.fields
    assert header.tensors == whole.tensors[: 0 if bare_first else 3]


def test_a_later_part_asks_for_the_first(make: Make) -> None:
    second = make("m.gguf", each=3).with_name("m-00002-of-00003.gguf")
    data = second.read_bytes()
    with pytest.raises(InvalidModelRef) as caught:
        read_beginning(data, len(data), "Q8_0/m-00002-of-00003.gguf")
    assert caught.value.details["near"] == ["Q8_0/m-00001-of-00003.gguf"]


def test_a_part_that_llama_cpp_would_not_find_is_refused(make: Make) -> None:
    data = make("m.gguf", each=3).read_bytes()
    with pytest.raises(ModelCorrupt, match=r"must end with -00001-of-00003\.gguf"):
        read_beginning(data, len(data), "m.gguf")
