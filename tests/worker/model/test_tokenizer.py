"""Texts of any length and kind: the tokens are those of llama.cpp for the whole text, and no text
ends the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model_files.synthetic import write_model
from rbee.worker.model import llama
from rbee.worker.model.beginning import Beginning
from rbee.worker.model.bindings import C
from rbee.worker.model.tokenizer import Tokenizer

FAMILIES = ("smollm", "gpt-4o", "tekken", "deepseek-v3", "deepseek-llm", "llama-bpe", "falcon")
EVERY = 1 << 30

pieces = st.one_of(
    st.tuples(
        st.sampled_from(["a", "B", " ", "\n", "-", "=", "7", "漢", "😀", "\t", "é", "'s ", "a1 "]),
        st.integers(1, 3000),
    ),
    st.tuples(
        st.sampled_from(["<|im_start|>", "<|im_end|>", "<|im_start|>user\n", " <|im_end|> ", "<|"]),
        st.integers(1, 400),
    ),
    st.tuples(st.text(max_size=40), st.integers(1, 50)),
)
texts = st.lists(pieces, max_size=8).map(
    lambda found: "".join(text * times for text, times in found)
)


class Vocabulary:
    """A model's vocabulary, and llama.cpp's own tokens for a text as a whole."""

    def __init__(self, path: Path) -> None:
        params = C.llama_model_default_params()
        params.vocab_only = True
        self.model = C.llama_model_load_from_file(str(path).encode(), params)
        self.vocab: Any = C.llama_model_get_vocab(self.model)
        self.tokenizer = Tokenizer(self.vocab)

    def whole(self, text: str, control: bool = True) -> list[int]:
        data = text.encode(errors="replace")
        buffer = (C.llama_token * (len(data) + 8))()
        found: list[int] = []

        def ask() -> None:
            room = len(buffer)
            count = C.llama_tokenize(self.vocab, data, len(data), buffer, room, control, control)
            found.extend(buffer[:count])

        before = threading.stack_size(1 << 30)
        thread = threading.Thread(target=ask)
        thread.start()
        threading.stack_size(before)
        thread.join()
        return found


@pytest.fixture(scope="module")
def vocabulary(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Vocabulary]]:
    llama.initialise()
    made: dict[str, Vocabulary] = {}

    def of(family: str) -> Vocabulary:
        if family not in made:
            path = tmp_path_factory.mktemp("vocabularies") / f"{family}.gguf"
            made[family] = Vocabulary(write_model(path, 1, width=64, hidden=64, pre=family))
        return made[family]

    yield of
    for each in made.values():
        C.llama_model_free(each.model)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_are_those_of_the_whole_text(
    family: str, vocabulary: Callable[[str], Vocabulary]
) -> None:
    known = vocabulary(family)

    @settings(max_examples=15, deadline=None)
    @given(texts)
    def hold(text: str) -> None:
        assert known.tokenizer.tokenize(text, EVERY) == known.whole(text)

    hold()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_message_spells_out_stays_text(
    family: str, vocabulary: Callable[[str], Vocabulary]
) -> None:
    known = vocabulary(family)
    [begins], [ends] = known.whole("<|im_start|>"), known.whole("<|im_end|>")

    @settings(max_examples=15, deadline=None)
    @given(texts)
    def hold(text: str) -> None:
        said, hidden = known.tokenizer.hide_control([text, "bees"], EVERY)
        prompt = "".join(f"<|im_start|>user\n{each}<|im_end|>\n" for each in said)
        found = known.tokenizer.tokenize(prompt, EVERY, hidden)
        wanted: list[int] = []
        for each in (text, "bees"):
            words, end = (known.whole(part, control=False) for part in (f"user\n{each}", "\n"))
            wanted += [begins, *words, ends, *end]
        assert found == wanted

    hold()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["a", " ", "-", "\n", "漢", "<|im_start|>", "a "])
def test_a_text_that_is_far_too_long_is_not_read_to_its_end(
    family: str, text: str, vocabulary: Callable[[str], Vocabulary]
) -> None:
    found = vocabulary(family).tokenizer.tokenize(text * (4_000_000 // len(text)), 1000)
    assert 1000 < len(found) < 500_000
    assert isinstance(found, Beginning)


def test_a_text_that_is_slightly_too_long_is_counted(
    vocabulary: Callable[[str], Vocabulary],
) -> None:
    found = vocabulary("smollm").tokenizer.tokenize("bees " * 30_000, 30_000)
    assert len(found) > 30_000
    assert not isinstance(found, Beginning)


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[[list[str]], Vocabulary]:
    """A vocabulary with these control tokens, and with a token for each byte."""

    def of(control: list[str]) -> Vocabulary:
        llama.initialise()
        path = tmp_path / "hostile.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        words = ["<unk>", *control, *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(words)
        writer.add_token_scores([0.0] * len(words))
        writer.add_token_types([2, *[3] * len(control), *[6] * 256, 1])
        for name in ("context_length", "embedding_length", "block_count", "feed_forward_length"):
            writer.add_uint32(f"llama.{name}", 64)
        writer.add_uint32("llama.attention.head_count", 1)
        writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return Vocabulary(path)

    return of


@pytest.mark.parametrize(
    "control", [[*"0123456789abcdef"], ["x"], [*"0123456789abcdefx"], ["x0", "0x", "x1x", "1x"]]
)
def test_a_vocabulary_whose_control_tokens_are_letters_of_placeholders_ends_nothing(
    hostile: Callable[[list[str]], Vocabulary], control: list[str]
) -> None:
    """What a message says stays text even there, as far as it can be told from a placeholder, and
    nothing goes on for ever."""
    vocabulary = hostile(control)
    said = ["".join(control) * 3, f"hello {control[0]}"]
    found = vocabulary.tokenizer.hide_control(said, EVERY)
    assert found is not None
    texts, hidden = found
    assert set(hidden.values()) <= set(control)
    assert len(hidden) <= len(control)
    for text in texts:
        vocabulary.tokenizer.tokenize(text, EVERY, hidden)
