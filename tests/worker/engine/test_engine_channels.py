"""Answers with reasoning and calls, whose marks are control tokens of a real model.

The model says its words one after the other, beginning with the one after the prompt's "a".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.events import Token
from rbee.contract.tasks import Function, Tool
from rbee.worker.model.tool_formats.parser import Form, form_of

Open = Callable[..., Any]
Chain = Callable[..., Path]
WORDS = ("[THINK]", "Hm", "[/THINK]", "So", "[TOOL_CALLS]", "add", "[ARGS]", '{"a":', "1}")


def form(most: int | None = None) -> Form:
    found = form_of(
        "{{ tools }} [TOOL_CALLS] [ARGS] [THINK]",
        "",
        lambda _: False,
        [Tool(Function("add"))],
        most=most,
    )
    assert found is not None
    return found


async def answer(desk: Open, path: Path, **how: Any) -> tuple[list[tuple[Any, ...]], str]:
    """What each event has, and why the answer ended."""
    found = desk(path)
    found.engine.start()
    await found.opened()
    found.begin("x", "a", max_tokens=20, **how)
    found.let()
    done = await found.done("x")
    events = [event for event in found.heard["x"] if isinstance(event, Token)]
    calls = [(event.call.index, event.call.name) if event.call else None for event in events]
    said = [
        (event.index, event.channel, event.token, call)
        for event, call in zip(events, calls, strict=True)
    ]
    assert done.total_tokens == 1 + max(event.index for event in events)
    return said, done.stop_reason


async def test_control_tokens_part_the_channels_and_are_never_shown(
    desk: Open, chain: Chain
) -> None:
    said, reason = await answer(desk, chain("a", *WORDS), form=form())
    assert reason == "TOOL_CALLS"
    assert said == [
        (0, "text", "", None),
        (1, "reasoning", "Hm", None),
        (2, "reasoning", "", None),
        (3, "text", "So", None),
        (4, "text", "", None),
        (5, "text", "", None),
        (6, "tool_call", "", (0, "add")),
        (7, "tool_call", '{"a":', (0, None)),
        (8, "tool_call", "1}", (0, None)),
    ]


async def test_without_a_form_control_tokens_are_nothing_and_the_rest_is_text(
    desk: Open, chain: Chain
) -> None:
    said, reason = await answer(desk, chain("a", *WORDS))
    assert reason == "EOS"
    assert "".join(text for _, _, text, _ in said) == 'HmSoadd{"a":1}'
    assert {channel for _, channel, _, _ in said} == {"text"}
    assert [index for index, *_ in said] == list(range(9))


async def test_an_answer_ends_with_the_last_call_that_may_come(desk: Open, chain: Chain) -> None:
    path = chain("a", *WORDS, "[TOOL]", "more")
    said, reason = await answer(desk, path, form=form(most=1))
    assert (reason, said[-1]) == ("TOOL_CALLS", (8, "tool_call", "1}", (0, None)))


async def test_a_token_that_ends_a_call_and_goes_on_has_two_events(
    desk: Open, chain: Chain
) -> None:
    path = chain("a", "[TOOL_CALLS]", "add", "[ARGS]", '{"b":0', "} Then", " it ends")
    said, reason = await answer(desk, path, form=form())
    assert said[-3:] == [
        (4, "tool_call", "}", (0, None)),
        (4, "text", "Then", None),
        (5, "text", " it ends", None),
    ]
    assert reason == "TOOL_CALLS"


@pytest.mark.parametrize("most", [2, 4, 6])
async def test_an_answer_cut_within_a_channel_says_so(desk: Open, chain: Chain, most: int) -> None:
    found = desk(chain("a", *WORDS))
    found.engine.start()
    await found.opened()
    found.begin("x", "a", max_tokens=most, form=form())
    found.let()
    assert (await found.done("x")).stop_reason == "MAX_TOKENS"
