"""A model whose results are not numbers: the requests concerned end, and the worker says it is ill.

One weight is spoiled: of the last control token's embedding, so that only prompts that spell it out
can't be computed; or one that every token is computed with.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.model_files import zoo
from rbee.contract.errors import ComputeFailed, UnsupportedModelFormat
from rbee.worker.model.finite_logits import FiniteLogits

BAD = "a <|control 60|> b"
GOOD = "what comes of this?"


@pytest.fixture
def partly(tmp_path: Path) -> Path:
    return zoo.write(tmp_path / "partly.gguf", "qwen2moe", spoiled="token_embd.weight")


async def test_the_error_says_what_is_wrong_with_which_file(
    tmp_path: Path, open_worker: Any
) -> None:
    path = zoo.write(tmp_path / "model.gguf", "llama", spoiled="blk.1.ffn_down.weight")
    worker = open_worker(path)
    await worker.load()
    for temperature in (0, 1):
        with pytest.raises(ComputeFailed, match="not numbers") as caught:
            await worker.ask("hello", temperature=temperature)
        assert caught.value.details["file"] == str(path)
        assert "models verify" in caught.value.advice


async def test_a_single_logit_that_is_not_a_number_is_seen(
    tmp_path: Path, open_worker: Any
) -> None:
    """llama.cpp's greedy sampler would pass over it, and the others would choose nonsense."""
    path = zoo.write(tmp_path / "model.gguf", "qwen2moe", spoiled="output.weight")
    worker = open_worker(path)
    await worker.load()
    with pytest.raises(ComputeFailed, match="not numbers"):
        await worker.ask("hello")


async def test_only_the_requests_concerned_end(partly: Path, open_worker: Any) -> None:
    worker = open_worker(partly)
    await worker.load()
    alone, _ = await worker.ask(GOOD, 40, ignore_eos=True)
    good = asyncio.create_task(worker.ask(GOOD, 40, ignore_eos=True))
    with pytest.raises(ComputeFailed):
        await worker.ask(BAD, 40)
    assert (await good)[0] == alone
    assert (await worker.ask(GOOD, 40, ignore_eos=True))[0] == alone


async def test_a_text_without_a_vector_is_an_error(partly: Path, open_worker: Any) -> None:
    worker = open_worker(partly)
    await worker.load()
    with pytest.raises(ComputeFailed, match="not numbers"):
        await worker.embed(GOOD, BAD)
    assert all(map(math.isfinite, (await worker.embed(GOOD))[0]))


async def test_the_second_failure_in_a_row_makes_the_worker_unhealthy(
    partly: Path, open_worker: Any
) -> None:
    worker = open_worker(partly)
    await worker.load()
    states = []
    for prompt in (BAD, GOOD, BAD, BAD, GOOD):
        with contextlib.suppress(ComputeFailed):
            await worker.ask(prompt)
        states.append(worker.status.state)
    assert states == ["idle", "idle", "idle", "unhealthy", "idle"]


async def test_a_model_with_encoder_and_decoder_is_refused(
    tmp_path: Path, open_worker: Any
) -> None:
    """llama.cpp ends the process if such a model is asked as others are."""
    path = zoo.write(tmp_path / "model.gguf", "t5")
    with pytest.raises(UnsupportedModelFormat, match="encoder"):
        await open_worker(path).load()


def row(*values: float) -> Any:
    array = (ctypes.c_float * len(values))(*values)
    return ctypes.cast(array, ctypes.POINTER(ctypes.c_float))


@pytest.mark.parametrize(
    ("values", "fine"),
    [
        ((0.5, -1e30, 1e30), True),
        ((math.nan, 1, 2), False),
        ((1, 2, math.nan), False),
        ((1, math.inf, 2), False),
        ((1, -math.inf, 2), True),
        ((-math.inf, math.nan, 2), False),
        ((-math.inf, -math.inf, -math.inf), False),
    ],
)
def test_what_a_token_can_be_chosen_from(values: tuple[float, ...], fine: bool) -> None:
    check: Callable[[Any], bool] = FiniteLogits(len(values)).check
    assert check(row(*values)) is fine
    assert check(row(*values)) is fine


def test_a_model_that_forbids_tokens_is_still_checked() -> None:
    finite = FiniteLogits(2)
    assert finite.check(row(-math.inf, 1))
    assert not finite.check(row(1, math.nan))
