"""Answers that are held to a form, pushed by biases and penalties, and told with likelihoods.

In the alphabet model the next letter is the likeliest by far, and all others are equal. What the
random model says of a place is computed again, alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.events import Done, Prefill, Token

Open = Callable[..., Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["<unk>", "<s>", "</s>", *LETTERS, "▁", "<0x0A>", "!"]


def at(word: str) -> str:
    return str(WORDS.index(word))


@pytest.fixture
async def open_desk(desk: Open) -> Any:
    found = desk()
    found.engine.start()
    await found.opened()
    found.let()
    return found


# A grammar


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        ('root ::= "xyz" | "b" [c-e]{2} "!"', "bcd!"),
        ("root ::= [^c] . [^e-z]", "bcd"),
        ('root ::= "(" root ")" | "b" "c"', "bc"),
        ('root ::= "" | "!"', ""),
    ],
)
async def test_an_answer_is_the_likeliest_that_its_grammar_allows(
    open_desk: Any, grammar: str, text: str
) -> None:
    await open_desk.begin_held("x", "a", max_tokens=20, grammar=grammar)
    done = await open_desk.done("x")
    assert open_desk.text("x") == text
    assert (done.stop_reason, done.total_tokens) == ("EOS", len(text))
    assert open_desk.engine.counts.made == len(text)


async def test_it_ends_at_once_where_nothing_may_follow(open_desk: Any) -> None:
    steps = open_desk.context.steps
    await open_desk.begin_held("x", "a", max_tokens=20, grammar='root ::= "bc"')
    await open_desk.done("x")
    assert open_desk.context.steps - steps == 2  # the prompt, and "b"


async def test_it_may_end_only_where_the_grammar_does(open_desk: Any) -> None:
    """After "z" the model wants to end."""
    await open_desk.begin_held("x", "x", max_tokens=20, grammar='root ::= "yz" ("ab" | "yz")')
    await open_desk.done("x")
    await open_desk.begin_held("y", "x", max_tokens=20, grammar='root ::= "yz" "ab"?')
    assert (await open_desk.done("y")).stop_reason == "EOS"
    assert (open_desk.text("x"), open_desk.text("y")) == ("yzab", "yz")


async def test_an_answer_cut_short_says_so(open_desk: Any) -> None:
    await open_desk.begin_held("x", "a", max_tokens=2, grammar='root ::= "bcd"')
    assert (await open_desk.done("x")).stop_reason == "MAX_TOKENS"
    await open_desk.begin_held("y", "a", max_tokens=9, grammar='root ::= "bcdef"', stop=["de"])
    assert (await open_desk.done("y")).stop_reason == "STOP_SEQUENCE"
    assert (open_desk.text("x"), open_desk.text("y")) == ("bc", "bc")


async def test_answers_side_by_side_have_each_its_own_grammar(open_desk: Any) -> None:
    open_desk.begin("free", "a", max_tokens=5)
    await open_desk.begin_held("x", "a", max_tokens=9, grammar='root ::= "x" "b"{4}')
    await open_desk.begin_held("y", "a", max_tokens=9, grammar='root ::= "y" "c"{4}')
    for name in ("free", "x", "y"):
        await open_desk.done(name)
    texts = {name: open_desk.text(name) for name in ("free", "x", "y")}
    assert texts == {"free": "bcdef", "x": "xbbbb", "y": "ycccc"}


async def test_the_same_seed_gives_the_same_answer(desk: Open, noise: Path) -> None:
    found = desk(noise)
    found.engine.start()
    await found.opened()
    found.let()
    for name in ("one", "two", "other"):
        how: dict[str, Any] = {"temperature": 5, "top_p": 1, "top_k": 0, "min_p": 0}
        seed = 7 if name != "other" else 8
        await found.begin_held(
            name, "abc", max_tokens=40, seed=seed, grammar="root ::= [a-m]{30}", **how
        )
        await found.done(name)
    assert found.text("one") == found.text("two") != found.text("other")
    assert len(found.text("one")) == 30
    assert {*found.text("one")} <= {*"abcdefghijklm"}


async def test_a_grammar_that_turns_out_too_complex_ends_its_own_answer(open_desk: Any) -> None:
    rules = 'root ::= (("b"{1,1000}){1,1000}){1,1000} "!"'
    await open_desk.begin_held("x", "a", max_tokens=200, grammar=rules)
    await open_desk.begin_held("y", "a", max_tokens=100, grammar='root ::= "b"{100}')
    error = await open_desk.last("x")
    assert isinstance(error, InvalidRequest)
    assert error.details["errors"][0]["field"] == "grammar"
    await open_desk.done("y")
    open_desk.begin("z", "a", max_tokens=3)
    await open_desk.done("z")
    assert (open_desk.text("y"), open_desk.text("z")) == ("b" * 100, "bcd")


# Biases, penalties and likelihoods


Rows = Callable[[str, str], list[np.ndarray]]


@pytest.fixture
async def noisy(desk: Open, noise: Path) -> Any:
    found = desk(noise)
    found.engine.start()
    await found.opened()
    found.let()
    return found


@pytest.fixture
def rows(load: Callable[..., Any], noise: Path) -> Iterator[Rows]:
    """The logits in the place of each letter of an answer."""
    alone = load(noise)
    alone.context.gate.release(1000)

    def computed(prompt: str, answer: str) -> list[np.ndarray]:
        found = []
        for place in range(len(answer)):
            tokens = [WORDS.index(letter) for letter in prompt + answer[:place]]
            alone.context.forget(0)
            alone.context.clear_batch()
            [index] = alone.context.add(0, 0, tokens, outputs=1)
            assert alone.context.decode() == 0
            found.append(alone.context.logits(index).astype(np.float64))
        return found

    yield computed
    alone.free()


@pytest.mark.parametrize(
    ("presence", "frequency", "biases"),
    [
        (2.0, 0.0, {}),
        (-1.0, 0.0, {}),
        (0.0, 0.25, {}),
        (1.0, 0.5, {"c": 4.0, "d": -4.0}),
        (0.0, 0.0, {"a": 3.5, "k": -100.0}),
    ],
)
async def test_biases_and_penalties_move_the_logits_over_the_whole_answer(
    noisy: Any, rows: Rows, presence: float, frequency: float, biases: dict[str, float]
) -> None:
    await noisy.begin_held(
        "x",
        "abc",
        max_tokens=90,
        grammar="root ::= [a-z]{90}",
        presence_penalty=presence,
        frequency_penalty=frequency,
        logit_bias={at(letter): bias for letter, bias in biases.items()},
    )
    await noisy.done("x")
    answer = noisy.text("x")
    assert len(answer) == 90
    letters = [WORDS.index(letter) for letter in LETTERS]
    for place, row in enumerate(rows("abc", answer)):
        for letter in LETTERS:
            count = answer[:place].count(letter)
            bias = biases.get(letter, 0.0)
            row[WORDS.index(letter)] += (
                (bias if bias > -100 else -1e6) - frequency * count - presence * bool(count)
            )
        assert row[WORDS.index(answer[place])] >= row[letters].max() - 1e-2, (place, answer)


async def test_where_everything_is_forbidden_an_answer_comes_all_the_same(open_desk: Any) -> None:
    all_of_them = {str(token): -100 for token in range(len(WORDS))}
    for name, heat in (("cold", 0), ("coldest", 1e-30), ("hot", 5)):
        open_desk.begin(name, "a", max_tokens=3, logit_bias=all_of_them, temperature=heat)
        assert isinstance(await open_desk.last(name), Done)
    await open_desk.begin_held("x", "a", logit_bias={at("b"): -100}, grammar='root ::= "b"')
    await open_desk.done("x")
    assert open_desk.text("x") == "b"


async def test_each_token_is_told_with_its_probability_and_the_likeliest(
    noisy: Any, rows: Rows
) -> None:
    """As the softmax over llama.cpp's logits, whatever temperature, grammar and bias do."""
    how: dict[str, Any] = {"temperature": 2, "seed": 4, "logit_bias": {at("c"): 3}, "logprobs": 4}
    await noisy.begin_held("x", "abc", max_tokens=12, grammar="root ::= [a-k]{12}", **how)
    await noisy.done("x")
    tokens = [event for event in noisy.heard["x"] if isinstance(event, Token)]
    assert len(tokens) == 12
    answer = noisy.text("x")
    for token, row in zip(tokens, rows("abc", answer), strict=True):
        told = token.logprob
        assert told is not None
        exact = row - np.log(np.exp(row).sum())
        order = np.argsort(-exact)[:4]
        assert (told.token, told.bytes) == (token.token, [*token.token.encode()])
        assert told.logprob == pytest.approx(exact[WORDS.index(token.token)], abs=1e-3)
        assert [top.logprob for top in told.top] == pytest.approx(exact[order], abs=1e-3)
        spelled = {"▁": " ", "<0x0A>": "\n"}
        names = [spelled.get(WORDS[token], WORDS[token]) for token in order]
        assert [top.token for top in told.top] == names


async def test_likelihoods_come_only_if_they_are_asked_for(open_desk: Any) -> None:
    open_desk.begin("x", "a", max_tokens=2)
    open_desk.begin("y", "a", max_tokens=2, logprobs=0)
    await open_desk.done("x")
    await open_desk.done("y")
    assert [event.logprob for event in open_desk.heard["x"][:2]] == [None, None]
    told = [event.logprob for event in open_desk.heard["y"][:2]]
    assert [each.top for each in told] == [[], []]
    assert all(-0.1 < each.logprob <= 0 for each in told)


# Progress


async def test_the_progress_of_a_prompt_is_told_between_its_steps(desk: Open) -> None:
    found = desk(tokens=1024)
    found.engine.start()
    await found.opened()
    found.begin("x", "abc" * 200, max_tokens=2)
    await found.at_step(1)
    await asyncio.sleep(0.11)  # it is told at most ten times a second
    found.let()
    await found.done("x")
    told = [event for event in found.heard["x"] if isinstance(event, Prefill)]
    assert told == [Prefill(512, 600, 0)]
    assert found.heard["x"][0] is told[0]
