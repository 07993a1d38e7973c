"""A good header says what the `gguf` package wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

from rbee.contract.errors import ModelNotFound
from rbee.gguf.header import context_length
from rbee.gguf.reader import read

Make = Callable[..., Path]


def test_the_facts_of_a_model_are_read(make: Make) -> None:
    path = make()
    header = read(path)
    assert header.size_bytes == path.stat().st_size
    assert (header.architecture, header.layers, header.context_length) == ("llama", 3, 2048)
    assert (header.vocabulary_size, header.quantization) == (5, "Q8_0")


def test_a_header_knows_its_file(make: Make) -> None:
    path = make()
    assert read(path).file == path


@pytest.mark.parametrize("token", [0, 1, 4])
def test_the_token_that_ends_a_sequence_is_one_of_the_vocabulary(make: Make, token: int) -> None:
    assert read(make(eos=token)).eos_token_id == token


def test_a_model_may_have_no_token_that_ends_a_sequence(make: Make) -> None:
    assert read(make()).eos_token_id is None


def test_a_vocabulary_size_that_is_true_is_taken(make: Make) -> None:
    assert read(make(vocab_size=5)).vocabulary_size == 5


def test_fields_of_every_kind_are_read(make: Make) -> None:
    fields = read(make()).fields
    assert fields["general.name"] == "Größe"
    assert fields["llama.rope.freq_base"] == 10_000.0
    assert fields["tokenizer.ggml.add_bos_token"] is True


@pytest.mark.parametrize("alignment", [None, 64, 4096])
def test_tensors_lie_where_the_package_says(make: Make, alignment: int | None) -> None:
    path = make(alignment=alignment)
    theirs = {
        tensor.name: (tensor.data_offset, tensor.data_offset + tensor.n_bytes)
        for tensor in gguf.GGUFReader(path).tensors
    }
    assert {tensor.name: (tensor.start, tensor.end) for tensor in read(path).tensors} == theirs


def test_a_layer_is_whole_at_the_end_of_its_last_tensor(make: Make) -> None:
    path = make()
    theirs: dict[str, int] = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name.startswith("blk."):
            layer = tensor.name.split(".")[1]
            theirs[layer] = max(theirs.get(layer, 0), tensor.data_offset + tensor.n_bytes)
    ends = read(path).layer_ends()
    assert ends == sorted(theirs.values())
    assert len(ends) == 3
    assert ends[-1] <= path.stat().st_size


def test_the_kv_cache_is_counted_by_the_kv_heads(make: Make) -> None:
    # 2 bytes × 3 layers × 2 heads × (8 + 8) values, for each of 100 tokens.
    assert read(make()).kv_bytes(100) == 2 * 3 * 2 * 16 * 100


def test_without_kv_heads_every_head_has_its_own(make: Make) -> None:
    header = read(make(**{"attention.head_count_kv": None}))
    assert header.kv_bytes(100) == 2 * 3 * 8 * 16 * 100


def test_without_heads_the_whole_width_is_one_head(make: Make) -> None:
    header = read(make(**{"attention.head_count": None, "attention.head_count_kv": None}))
    assert header.kv_bytes(100) == 2 * 3 * 1 * 128 * 100


def test_heads_may_say_how_wide_they_are(make: Make) -> None:
    header = read(make(**{"attention.key_length": 24, "attention.value_length": 16}))
    assert header.kv_bytes(10) == 2 * 3 * 2 * 40 * 10


def test_an_unknown_quantization_is_none(make: Make) -> None:
    path = make()
    newest = max(kind.value for kind in gguf.LlamaFileType) + 1
    key = b"general.file_type"
    data = bytearray(path.read_bytes())
    at = data.index(key) + len(key) + 4
    data[at : at + 4] = newest.to_bytes(4, "little")
    path.write_bytes(data)
    assert read(path).quantization is None


def test_a_tensor_type_that_is_too_new_is_left_to_llama_cpp(make: Make) -> None:
    path = make()
    name = b"token_embd.weight"
    data = bytearray(path.read_bytes())
    at = data.index(name) + len(name) + 4 + 2 * 8
    data[at : at + 4] = (9999).to_bytes(4, "little")
    path.write_bytes(data)
    tensor = read(path).tensors[0]
    assert tensor.name == name.decode()
    assert tensor.start == tensor.end  # its size is not known, so nothing is claimed of it


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        read(tmp_path / "none.gguf")
    assert caught.value.details["model"] == f"file:{tmp_path / 'none.gguf'}"


def test_a_path_through_a_file_is_not_found(make: Make) -> None:
    with pytest.raises(ModelNotFound):
        read(make() / "m.gguf")


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="folder"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_reported(make: Make) -> None:
    path = make()
    path.chmod(0)
    with pytest.raises(ModelNotFound, match="can't be read"):
        read(path)


def test_a_name_that_no_file_can_have_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        read(tmp_path / ("x" * 300))


def test_a_link_to_itself_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    with pytest.raises(ModelNotFound):
        read(tmp_path / "loop.gguf")


@pytest.mark.parametrize(
    ("wanted", "trained", "tokens"),
    [
        (None, 2048, 2048),
        (None, 8192, 8192),
        (None, 131_072, 8192),
        (512, 2048, 512),
        (16_384, 131_072, 16_384),
        (4096, 2048, 2048),
    ],
)
def test_the_context_is_as_wanted_but_never_beyond_the_training(
    wanted: int | None, trained: int, tokens: int
) -> None:
    assert context_length(wanted, trained) == tokens
