"""Our tables of the format against those of the `gguf` package."""

from __future__ import annotations

import struct

import gguf
import pytest

from rbee.gguf import constants

SIZES = {kind.value: size for kind, size in gguf.GGML_QUANT_SIZES.items()}


def test_magic_and_alignment_are_the_formats() -> None:
    assert struct.unpack("<I", constants.MAGIC)[0] == gguf.GGUF_MAGIC
    assert constants.DEFAULT_ALIGNMENT == gguf.GGUF_DEFAULT_ALIGNMENT


def test_the_packages_newest_version_is_one_that_we_read() -> None:
    assert gguf.GGUF_VERSION in constants.VERSIONS


@pytest.mark.parametrize("kind", constants.TENSOR_TYPES)
def test_a_tensor_type_has_the_packages_block(kind: int) -> None:
    assert constants.TENSOR_TYPES[kind] == SIZES[kind]


def test_every_tensor_type_up_to_our_newest_is_known() -> None:
    newest = max(constants.TENSOR_TYPES)
    assert {kind for kind in SIZES if kind <= newest} == set(constants.TENSOR_TYPES)


@pytest.mark.parametrize("kind", constants.QUANTIZATIONS)
def test_a_quantization_has_the_packages_name(kind: int) -> None:
    name = gguf.LlamaFileType(kind).name
    assert constants.QUANTIZATIONS[kind] == name.removeprefix("ALL_").removeprefix("MOSTLY_")


def test_every_quantization_up_to_our_newest_is_known() -> None:
    newest = max(constants.QUANTIZATIONS)
    known = {kind.value for kind in gguf.LlamaFileType if kind.value <= newest}
    assert known == set(constants.QUANTIZATIONS)


@pytest.mark.parametrize("kind", gguf.GGUFValueType, ids=lambda kind: kind.name)
def test_every_type_of_value_is_known(kind: gguf.GGUFValueType) -> None:
    special = {
        gguf.GGUFValueType.STRING: constants.STRING,
        gguf.GGUFValueType.ARRAY: constants.ARRAY,
    }
    assert kind.value == special.get(kind) or kind.value in constants.SCALARS


@pytest.mark.parametrize(
    ("kind", "size"),
    [("UINT8", 1), ("INT8", 1), ("UINT16", 2), ("INT16", 2), ("UINT32", 4), ("INT32", 4),
     ("FLOAT32", 4), ("BOOL", 1), ("UINT64", 8), ("INT64", 8), ("FLOAT64", 8)],
)  # fmt: skip
def test_a_scalar_has_the_size_that_its_name_says(kind: str, size: int) -> None:
    form = constants.SCALARS[gguf.GGUFValueType[kind].value]
    assert struct.calcsize(form) == size
