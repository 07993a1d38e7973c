"""Files that lie, that are cut short, or that are not models: an error in words, never a crash."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee.contract.errors import ModelCorrupt, RbeeError, UnsupportedModelFormat
from rbee.gguf.header import Header
from rbee.gguf.reader import read

Make = Callable[..., Path]

STRING, ARRAY, UINT32, INT32, BOOL = 8, 9, 4, 5, 7


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def begin(tensors: int, fields: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, fields)


def tensor(name: str, shape: tuple[int, ...] = (1,), kind: int = 0, offset: int = 0) -> bytes:
    head = text(name) + struct.pack("<I", len(shape))
    return head + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)


def number_field(key: str, number: int) -> bytes:
    return field(key, UINT32, struct.pack("<I", number))


FIELDS = {
    "general.architecture": field("general.architecture", STRING, text("llama")),
    "llama.block_count": number_field("llama.block_count", 2),
    "llama.context_length": number_field("llama.context_length", 64),
    "tokenizer.ggml.tokens": field(
        "tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("b")
    ),
}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes], str]:
    """The reason that MODEL_CORRUPT gives for a file of these bytes."""

    def reason(data: bytes) -> str:
        path = tmp_path / "m.gguf"
        path.write_bytes(data)
        with pytest.raises(ModelCorrupt) as caught:
            read(path)
        assert caught.value.details["file"] == str(path)
        return str(caught.value.details["reason"])

    return reason


Refused = Callable[[bytes], str]


def model(
    tensors: bytes | None = None, count: int = 1, but: Mapping[str, bytes | None] | None = None
) -> bytes:
    """A whole small file; `but` replaces fields, with None leaves them out."""
    chosen = {**FIELDS, **(but or {})}
    present = [value for value in chosen.values() if value is not None]
    named = tensor("blk.0.weight") if tensors is None else tensors
    return begin(count, len(present)) + b"".join(present) + named + bytes(64)


def extended(more: bytes) -> bytes:
    """The small file with one field more."""
    present = b"".join(FIELDS.values())
    return begin(1, len(FIELDS) + 1) + present + more + tensor("blk.0.weight") + bytes(64)


def test_the_small_file_that_these_tests_break_is_good(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(model())
    assert read(tmp_path / "m.gguf").layers == 2


def test_an_empty_file_is_called_empty(refused: Refused) -> None:
    assert "empty" in refused(b"")


@pytest.mark.parametrize("data", [b"G", b"GGU", b"\x7fELF" + bytes(100), b"PK\x03\x04", b"FUGG"])
def test_a_file_of_another_kind_is_not_a_gguf(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(UnsupportedModelFormat, match="GGUF"):
        read(tmp_path / "m.gguf")


@pytest.mark.parametrize("version", [0, 1, 4, 0x0300_0000])
def test_an_unknown_version_is_named(refused: Refused, version: int) -> None:
    assert str(version) in refused(begin(0, 0, version) + bytes(64))


@pytest.mark.parametrize("part", range(50))
def test_a_file_that_is_cut_short_anywhere_is_corrupt(
    tmp_path: Path, good: bytes, part: int
) -> None:
    path = tmp_path / "cut.gguf"
    # From behind the magic to one byte less than the last tensor's end.
    end = read(tmp_path / "good.gguf").tensors[-1].end
    path.write_bytes(good[: 4 + part * (end - 5) // 49])
    with pytest.raises(ModelCorrupt) as caught:
        read(path)
    assert caught.value.details["reason"]


def test_a_file_that_lacks_its_last_byte_says_how_much_there_should_be(
    tmp_path: Path, good: bytes, refused: Refused
) -> None:
    end = max(tensor.end for tensor in read(tmp_path / "good.gguf").tensors)
    assert f"{end - 1} bytes of {end}" in refused(good[: end - 1])


def test_a_file_that_ends_with_its_last_tensor_is_whole(tmp_path: Path, good: bytes) -> None:
    end = max(tensor.end for tensor in read(tmp_path / "good.gguf").tensors)
    (tmp_path / "m.gguf").write_bytes(good[:end])
    assert read(tmp_path / "m.gguf").size_bytes == end


def test_the_smallest_and_the_largest_that_can_be_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    for key, number in (
        ("block_count", 1),
        ("block_count", 16_384),
        ("context_length", 1),
        ("context_length", 16_777_216),
    ):
        path.write_bytes(model(but={f"llama.{key}": number_field(f"llama.{key}", number)}))
        assert read(path).fields[f"llama.{key}"] == number


def test_a_tensor_may_have_four_dimensions(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(model(tensor("t", (1, 2, 2, 1))))
    [found] = read(tmp_path / "m.gguf").tensors
    assert found.end - found.start == 16


def test_an_alignment_of_one_leaves_no_gap(tmp_path: Path) -> None:
    data = extended(number_field("general.alignment", 1))
    (tmp_path / "m.gguf").write_bytes(data)
    assert read(tmp_path / "m.gguf").tensors[0].start == len(data) - 64


@pytest.mark.parametrize(("tensors", "fields"), [(2**63, 1), (1, 2**63), (2**64 - 1, 0), (50, 0)])
def test_a_count_that_the_file_has_no_room_for_is_a_lie(
    refused: Refused, tensors: int, fields: int
) -> None:
    assert refused(begin(tensors, fields) + bytes(100))


@pytest.mark.parametrize(
    "lie",
    [
        struct.pack("<Q", 2**63) + b"key",
        struct.pack("<Q", 70_000) + b"k" * 70_000,
        field("a.b", STRING, struct.pack("<Q", 2**64 - 1)),
        field("a.b", ARRAY, struct.pack("<IQ", UINT32, 2**62)),
        field("a.b", ARRAY, struct.pack("<IQ", STRING, 2**62)),
        field("a.b", ARRAY, struct.pack("<IQQ", STRING, 1, 2**63)),
        field("a.b", ARRAY, struct.pack("<IQ", STRING, 9) + bytes(40)),
        field("a.b", ARRAY, struct.pack("<IQ", 99, 1)),
        field("a.b", 99, bytes(8)),
    ],
    ids=["key's length", "long key", "text's length", "numbers", "texts", "text in array",
         "texts beyond the end", "array's type", "type"],
)  # fmt: skip
def test_a_field_that_lies_is_refused(refused: Refused, lie: bytes) -> None:
    assert refused(begin(0, 1) + lie)


@pytest.mark.parametrize(
    "lie",
    [
        tensor("t", (2**62,)),
        tensor("t", (2**63, 2**63, 2**63, 2**63)),
        tensor("t", (1, 1, 1, 1, 1)),
        tensor("t", offset=2**63),
        text("t") + struct.pack("<I", 2**32 - 1),
    ],
    ids=["size", "sizes", "5 dimensions", "offset", "dimensions"],
)
def test_a_tensor_that_lies_is_refused(refused: Refused, lie: bytes) -> None:
    assert refused(model(lie))


@pytest.mark.parametrize("layers", [0, 16_385, 2**32 - 1])
def test_an_impossible_number_of_layers_is_named(refused: Refused, layers: int) -> None:
    lie = number_field("llama.block_count", layers)
    assert str(layers) in refused(model(but={"llama.block_count": lie}))


@pytest.mark.parametrize("tokens", [0, 16_777_217, 2**32 - 1])
def test_an_impossible_context_is_named(refused: Refused, tokens: int) -> None:
    lie = number_field("llama.context_length", tokens)
    assert str(tokens) in refused(model(but={"llama.context_length": lie}))


@pytest.mark.parametrize("key", ["block_count", "context_length"])
def test_a_boolean_is_not_a_number(refused: Refused, key: str) -> None:
    lie = field(f"llama.{key}", BOOL, b"\x01")
    assert key in refused(model(but={f"llama.{key}": lie}))


@pytest.mark.parametrize("claimed", [0, 1, 3, 2**32 - 1])
def test_a_vocabulary_of_another_size_than_claimed_is_refused_with_both_sizes(
    refused: Refused, claimed: int
) -> None:
    reason = refused(extended(number_field("llama.vocab_size", claimed)))
    assert f"vocabulary of {claimed}" in reason
    assert "2 words" in reason


@pytest.mark.parametrize("token", [2, 3, 2**32 - 1])
def test_an_end_of_sequence_token_beyond_the_words_is_refused(refused: Refused, token: int) -> None:
    reason = refused(extended(number_field("tokenizer.ggml.eos_token_id", token)))
    assert f"{token} of 2" in reason


def test_a_negative_end_of_sequence_token_is_refused(refused: Refused) -> None:
    lie = field("tokenizer.ggml.eos_token_id", INT32, struct.pack("<i", -1))
    assert "-1 of 2" in refused(extended(lie))


def test_a_number_of_layers_that_is_not_a_number_is_refused(refused: Refused) -> None:
    assert "block_count" in refused(
        model(but={"llama.block_count": field("llama.block_count", STRING, text("2"))})
    )


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("general.architecture", "architecture"),
        ("llama.block_count", "block_count"),
        ("llama.context_length", "context_length"),
        ("tokenizer.ggml.tokens", "vocabulary"),
    ],
)
def test_what_is_missing_is_named(refused: Refused, key: str, reason: str) -> None:
    assert reason in refused(model(but={key: None}))


def test_an_empty_architecture_is_refused(refused: Refused) -> None:
    nameless = field("general.architecture", STRING, text(""))
    assert "architecture" in refused(model(but={"general.architecture": nameless}))


def test_an_empty_vocabulary_is_refused(refused: Refused) -> None:
    empty = field("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 0))
    assert "vocabulary" in refused(model(but={"tokenizer.ggml.tokens": empty}))


def test_a_file_without_tensors_is_refused(refused: Refused) -> None:
    assert "tensors" in refused(model(tensors=b"", count=0))


def test_an_alignment_of_zero_is_refused(refused: Refused) -> None:
    assert "alignment" in refused(extended(number_field("general.alignment", 0)))


def use(header: Header) -> None:
    """Whatever a program asks of a header that was read."""
    assert header.architecture
    assert header.layers >= 1
    assert header.context_length >= 1
    assert header.vocabulary_size >= 1
    assert header.quantization is None or header.quantization
    assert header.layer_ends() == sorted(header.layer_ends())
    assert all(end <= header.size_bytes for end in header.layer_ends())
    assert header.eos_token_id is None or 0 <= header.eos_token_id < header.vocabulary_size
    header.kv_bytes(4096)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_random_bytes_behind_the_magic_are_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.gguf"
    for start in (b"GGUF", begin(1, 1), begin(1, 4) + b"".join(FIELDS.values())):
        path.write_bytes(start + data)
        try:
            use(read(path))
        except RbeeError as error:
            assert error.code in ("MODEL_CORRUPT", "UNSUPPORTED_MODEL_FORMAT")


@settings(max_examples=300)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4)
)
def test_a_header_with_flipped_bytes_is_read_or_an_error_of_ours(
    good: bytes, tmp_path: Path, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(good)
    for at, mask in flips:
        data[at % 1200] ^= mask
    path = tmp_path / "flipped.gguf"
    path.write_bytes(data)
    try:
        use(read(path))
    except RbeeError as error:
        assert error.code in ("MODEL_CORRUPT", "UNSUPPORTED_MODEL_FORMAT")


def test_a_layer_with_an_endless_number_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(model(tensor(f"blk.{'9' * 5000}.weight")))
    try:
        read(path).layer_ends()
    except RbeeError as error:
        assert error.code == "MODEL_CORRUPT"
