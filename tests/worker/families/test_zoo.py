"""A zoo of architectures: each is loaded, asked, canceled, asked by two at once, and embedded, and
says what llama.cpp says when it is called directly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.model_files import zoo
from harness.model_files.plain_llama import PlainLlama
from rbee.contract.tasks import Message

Directly = Callable[[Path], PlainLlama]

PROMPT = "The quick brown fox <|control 3|> jumps, déjà vu 🦊!"
TEXTS = ("a short text", "another one, which is longer: 0123456789")
COUNT = 12
QUANTIZATIONS = (
    *("TQ1_0", "TQ2_0", "IQ4_NL", "IQ4_XS", "IQ3_S", "Q2_K", "Q3_K_M", "Q4_0", "Q4_K_M"),
    *("Q5_0", "Q5_K_S", "Q6_K", "Q8_0", "BF16", "F16"),
)


@pytest.fixture
def directly() -> Iterator[Directly]:
    opened: list[PlainLlama] = []

    def build(path: Path) -> PlainLlama:
        opened.append(PlainLlama(path))
        return opened[-1]

    yield build
    for each in opened:
        each.close()


async def compare(path: Path, open_worker: Any, judge: PlainLlama, quantized: bool = False) -> Any:
    """Ask in every way, and compare with what llama.cpp says by itself. Sums of quantized weights
    depend on how wide the batch is, so two at once may say something else."""
    worker = open_worker(path)
    loaded = await worker.load()
    assert loaded.model.tokenizer.tokenize(PROMPT, 1000) == judge.tokenize(PROMPT)
    wanted = judge.greedy(PROMPT, COUNT)
    text, done = await worker.ask(PROMPT, COUNT)
    assert text == wanted
    assert done.prompt_tokens == len(judge.tokenize(PROMPT))

    await worker.ask_and_cancel("something else")
    both = await asyncio.gather(worker.ask(PROMPT, COUNT), worker.ask("b" + PROMPT, COUNT))
    if quantized:
        assert all(text for text, _ in both)
        assert (await worker.ask(PROMPT, COUNT, seed=1))[0] == wanted
    else:
        assert [text for text, _ in both] == [wanted, judge.greedy("b" + PROMPT, COUNT)]

    for vector, said in zip(await worker.embed(*TEXTS), TEXTS, strict=True):
        assert float(np.dot(vector, judge.mean_vector(said))) >= 0.99999
    assert worker.status.state == "idle"
    return worker


@pytest.mark.parametrize("architecture", zoo.ARCHITECTURES)
async def test_a_worker_says_what_llama_cpp_says(
    architecture: str, tmp_path: Path, open_worker: Any, directly: Directly
) -> None:
    path = zoo.write(tmp_path / "model.gguf", architecture)
    await compare(path, open_worker, directly(path))


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
async def test_a_quantized_model_says_what_llama_cpp_says(
    quantization: str, tmp_path: Path, open_worker: Any, directly: Directly
) -> None:
    path = zoo.write_quantized(tmp_path / "model.gguf", quantization)
    await compare(path, open_worker, directly(path), quantized=True)


@pytest.mark.parametrize("template", [zoo.TEMPLATE, None], ids=["template", "no template"])
@pytest.mark.parametrize("bos", [True, False], ids=["bos", "no bos"])
@pytest.mark.parametrize("eos", [True, False], ids=["eos", "no eos"])
@pytest.mark.parametrize("tokenizer", ["gpt2", "llama"])
async def test_a_model_may_lack_a_template_and_either_special_token(
    tokenizer: zoo.Tokenizer,
    eos: bool,
    bos: bool,
    template: str | None,
    tmp_path: Path,
    open_worker: Any,
    directly: Directly,
) -> None:
    path = zoo.write(tmp_path / "model.gguf", "llama", tokenizer, "gpt-2", template, eos, bos)
    judge = directly(path)
    worker = await compare(path, open_worker, judge)
    text, done = await worker.ask(messages=[Message("user", "hello")], max_tokens=8)
    assert done.prompt_tokens > len("user" + "hello")
    if template is not None:
        said = "<|begin|>user: hello<|over|><|begin|>assistant: "
        # The template writes the first token, so the tokenizer adds none.
        prompt = said.removeprefix("<|begin|>") if bos else said
        assert done.prompt_tokens == len(judge.tokenize(prompt))
        assert text == judge.greedy(prompt, 8)
