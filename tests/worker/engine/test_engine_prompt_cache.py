"""Prompts that left llama.cpp's KV cache for main memory, and what they are worth once back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.engine.conftest import Open

_MB = 1_000_000
_HOW = {"max_tokens": 12, "ignore_eos": True}
_PROMPTS = ("abcdefgh", "nopqrst", "zyxwvu", "mlkjih")


async def test_prompts_that_do_not_fit_into_the_context_together_are_not_read_again(
    desk: Open, noise: Path
) -> None:
    at = desk(noise, tokens=40, slots=2, prompt_cache_bytes=_MB)
    at.engine.start()
    await at.opened()
    at.let()
    for prompt in _PROMPTS:
        at.begin(prompt, prompt, **_HOW)
        assert (await at.done(prompt)).cached_tokens == 0
        at.begin("fresh " + prompt, prompt + "!!", cache_prompt=False, **_HOW)
        await at.done("fresh " + prompt)
    assert at.engine.counts.saved_bytes > 0
    for prompt in _PROMPTS:
        at.begin("again " + prompt, prompt + "!!", **_HOW)
        assert (await at.done("again " + prompt)).cached_tokens >= len(prompt)
        assert at.text("again " + prompt) == at.text("fresh " + prompt)


async def test_what_others_read_is_not_beside_a_new_prompt(desk: Open, noise: Path) -> None:
    at = desk(noise, prompt_cache_bytes=_MB)
    at.engine.start()
    await at.opened()
    at.let()
    at.begin("x", _PROMPTS[0], **_HOW)
    await at.done("x")
    at.begin("y", _PROMPTS[1], **_HOW)
    await at.done("y")
    await at.engine.stop()
    assert at.engine.counts.held == len(_PROMPTS[1]) + 11
    assert at.engine.counts.saved == len(_PROMPTS[0]) + 11


@pytest.mark.parametrize("between", [1, 3])
async def test_the_same_seed_gives_the_same_text_from_main_memory(
    desk: Open, noise: Path, between: int
) -> None:
    at = desk(noise, prompt_cache_bytes=_MB)
    at.engine.start()
    await at.opened()
    at.let()
    how = {**_HOW, "temperature": 5.0, "top_p": 1.0, "min_p": 0.0, "seed": 3}
    at.begin("first", _PROMPTS[0], **how)
    await at.done("first")
    for prompt in _PROMPTS[1 : 1 + between]:
        at.begin(prompt, prompt, **_HOW)
        await at.done(prompt)
    at.begin("again", _PROMPTS[0], **how)
    assert (await at.done("again")).stop_reason == "MAX_TOKENS"
    assert at.text("again") == at.text("first")
