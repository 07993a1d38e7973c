"""Headers that claim more than any model has: refused before they cost time or memory."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee.contract.errors import ModelCorrupt, RbeeError
from rbee.gguf import limits
from rbee.gguf.limits import Allowance
from rbee.gguf.parser import parse
from rbee.gguf.reader import read, read_beginning

UINT8, UINT32, STRING, ARRAY = 0, 4, 8, 9
TB = 1 << 40


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def number(key: str, value: int) -> bytes:
    return field(key, UINT32, struct.pack("<I", value))


def begin(tensors: int, fields: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, fields)


def tensor(name: str, shape: tuple[int, ...] = (1,), kind: int = 0) -> bytes:
    head = text(name) + struct.pack("<I", len(shape))
    return head + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, 0)


FIELDS = [
    field("general.architecture", STRING, text("llama")),
    number("llama.block_count", 2),
    number("llama.context_length", 64),
    field("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 1) + text("a")),
]


def model(*more: bytes, tensors: bytes = tensor("t"), count: int = 1) -> bytes:
    """A good small model, with these fields as well."""
    return begin(count, len(FIELDS) + len(more)) + b"".join([*FIELDS, *more]) + tensors


class Sparse:
    """A file of a terabyte: its `pieces`, a number being as many zeros, and then only zeros. Counts
    what is read of it."""

    def __init__(self, *pieces: bytes | int) -> None:
        self._placed: list[tuple[int, bytes]] = []
        at = 0
        for piece in pieces:
            if isinstance(piece, bytes):
                self._placed.append((at, piece))
            at += piece if isinstance(piece, int) else len(piece)
        self.size = TB
        self.bytes_read = self.reads = 0

    def fetch(self, offset: int, length: int) -> bytes:
        found = bytearray(length)
        for at, piece in self._placed:
            here = piece[max(0, offset - at) : max(0, offset - at + length)]
            start = max(0, at - offset)
            found[start : start + len(here)] = here[: length - start]
        self.bytes_read += length
        self.reads += 1
        return bytes(found[:length])


def reason(file: Sparse) -> str:
    with pytest.raises(ModelCorrupt) as caught:
        parse(file.fetch, file.size, "m.gguf", Allowance())
    return str(caught.value.details["reason"])


def array(kind: int, count: int) -> bytes:
    return text("k") + struct.pack("<IIQ", ARRAY, kind, count)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([begin(1, limits.FIELDS + 1)], f"{limits.FIELDS} fields"),
        ([begin(limits.TENSORS + 1, 1)], f"{limits.TENSORS} tensors"),
        ([begin(2_000_000, 0)], f"{limits.TENSORS} tensors: 2000000"),
        ([begin(0, 1), struct.pack("<Q", limits.KEY_BYTES + 1)], "bytes in a key"),
        ([begin(0, 1), text("k"), struct.pack("<IQ", STRING, 2 << 30)], "the text 'k'"),
        ([begin(0, 1), array(UINT8, 2 << 30)], "bytes in an array"),
        ([begin(0, 1), array(STRING, limits.TEXTS + 1)], f"{limits.TEXTS} texts in its arrays"),
        ([begin(0, 1), array(ARRAY, 1)], "cannot be read"),
        ([begin(0, 3), *([array(UINT8, 60 << 20), 60 << 20] * 3)], "its header has more than"),
        ([begin(0, 1), array(STRING, 9), struct.pack("<Q", 1 << 39)], "its header has more than"),
        ([begin(1, 0), struct.pack("<Q", limits.TENSOR_NAME_BYTES + 1)], "a tensor's name"),
        ([begin(1, 0), tensor("t", (1, 1, 1, 1, 1))], "5 dimensions"),
        ([begin(1, 0), tensor("t", (1 << 32, 1 << 32), 999)], "size of the tensor 't'"),
        ([model(number("general.alignment", 65_537))], "alignment"),
    ],
    ids=["fields", "tensors", "two million", "key", "text", "numbers", "texts", "nested",
         "header", "long text in an array", "tensor's name", "dimensions", "elements",
         "alignment"],
)  # fmt: skip
def test_a_limit_is_named_after_a_few_reads(data: list[bytes | int], said: str) -> None:
    file = Sparse(*data)
    assert said in reason(file)
    assert file.reads <= 4


def test_the_texts_of_all_arrays_are_counted_together() -> None:
    each = limits.TEXTS // 3
    file = Sparse(begin(0, 4), *([array(STRING, each), 8 * each] * 4))
    assert f"{limits.TEXTS} texts in its arrays" in reason(file)
    assert file.bytes_read < limits.HEADER_BYTES


def test_what_is_long_but_allowed_is_passed_over(tmp_path: Path) -> None:
    tokenizer = field("tokenizer.huggingface.json", STRING, text("x" * 100_000))
    (tmp_path / "m.gguf").write_bytes(model(tokenizer) + bytes(64))
    header = read(tmp_path / "m.gguf")
    assert "tokenizer.huggingface.json" not in header.fields
    assert header.architecture == "llama"


def test_a_chat_template_is_kept_if_it_is_not_beyond_all_limits(tmp_path: Path) -> None:
    for length, kept in ((100_000, True), (limits.TEMPLATE_BYTES + 1, False)):
        template = field("tokenizer.chat_template", STRING, text("x" * length))
        (tmp_path / "m.gguf").write_bytes(model(template) + bytes(64))
        assert ("tokenizer.chat_template" in read(tmp_path / "m.gguf").fields) is kept


def test_as_large_a_vocabulary_as_any_model_has_is_read(tmp_path: Path) -> None:
    words = b"".join(text(f"word {number}") for number in range(300_000))
    merges = field("tokenizer.ggml.merges", ARRAY, struct.pack("<IQ", STRING, 300_000) + words)
    (tmp_path / "m.gguf").write_bytes(model(merges) + bytes(64))
    assert read(tmp_path / "m.gguf").lengths["tokenizer.ggml.merges"] == 300_000


def test_as_many_tensors_as_allowed_take_little_memory(tmp_path: Path) -> None:
    names = "".join(chr(0x1F600 + number % 50) for number in range(60))
    many = tensor(names) * limits.TENSORS
    (tmp_path / "m.gguf").write_bytes(model(tensors=many, count=limits.TENSORS) + bytes(64))
    tracemalloc.start()
    try:
        assert len(read(tmp_path / "m.gguf").tensors) == limits.TENSORS
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_parts_share_their_allowance(tmp_path: Path) -> None:
    """Each of two parts alone has no more tensors than allowed."""
    half = limits.TENSORS // 2 + 1
    split = [number("split.count", 2), number("split.tensors.count", 2 * half)]
    for part in (0, 1):
        content = model(*split, number("split.no", part), tensors=tensor("t") * half, count=half)
        (tmp_path / f"m-0000{part + 1}-of-00002.gguf").write_bytes(content + bytes(64))
    with pytest.raises(ModelCorrupt, match=f"{limits.TENSORS} tensors: {2 * half}"):
        read(tmp_path / "m-00001-of-00002.gguf")


def test_more_parts_than_any_model_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-05000.gguf"
    path.write_bytes(model(number("split.count", 5000), number("split.no", 0)) + bytes(64))
    with pytest.raises(ModelCorrupt, match="5000 parts"):
        read(path)


class Gone(Exception):
    pass


def test_reading_ends_with_its_asker(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    with path.open("wb") as file:
        file.write(begin(0, 1) + array(STRING, limits.TEXTS))
        file.truncate(TB)
    calls = iter(range(100))

    def go_on() -> None:
        if next(calls) == 3:
            raise Gone

    with pytest.raises(Gone):
        read(path, go_on)
    assert next(calls) == 4
    calls = iter(range(3, 100))
    with pytest.raises(Gone):
        read_beginning(path.open("rb").read(1 << 20), TB, "m.gguf", go_on)


def test_a_disk_that_is_too_slow_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(model() + bytes(64))

    def clock() -> Iterator[float]:
        yield 0.0
        while True:
            yield limits.WITHIN_S + 1

    with pytest.raises(ModelCorrupt, match="within 60 s"):
        read(path, clock=clock().__next__)


@pytest.mark.parametrize("key", ["embedding_length", "attention.head_count"])
def test_a_size_that_no_model_has_is_refused(tmp_path: Path, key: str) -> None:
    """The memory that it would need could not be told in 64 bits."""
    path = tmp_path / "m.gguf"
    path.write_bytes(model(number(f"llama.{key}", 2**32 - 1)) + bytes(64))
    with pytest.raises(ModelCorrupt, match=key):
        read(path)


def test_the_memory_that_a_model_needs_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    sizes = ["embedding_length", "attention.head_count_kv", "attention.key_length"]
    path.write_bytes(model(*[number(f"llama.{key}", 1 << 24) for key in sizes]) + bytes(64))
    assert read(path).kv_bytes(1 << 24) < 2**63


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(4, 1200),
            st.sampled_from(
                [b"\xff" * 8, b"\0" * 8, struct.pack("<Q", 1 << 31), struct.pack("<Q", 4_000_000),
                 struct.pack("<I", STRING), struct.pack("<I", ARRAY), b"\x7f", b"\x80"]
            ),
        ),
        min_size=1,
        max_size=4,
    )
)  # fmt: skip
def test_no_header_costs_more_than_the_limits(
    good: bytes, changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(good)
    for at, value in changes:
        data[at : at + len(value)] = value
    file = Sparse(bytes(data))
    tracemalloc.start()
    try:
        parse(file.fetch, file.size, "m.gguf", Allowance())
    except RbeeError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert file.bytes_read <= limits.HEADER_BYTES + (1 << 20)
    assert file.reads <= 1000
    assert peak < 60_000_000


def test_the_small_model_of_these_tests_is_good(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(model() + bytes(64))
    assert read(tmp_path / "m.gguf").layers == 2
