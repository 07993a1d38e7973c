"""gpt-oss's form (harmony): messages, each with a header that says in which channel it is.

    <|channel|>analysis<|message|>Thinking.<|end|>
    <|start|>assistant<|channel|>commentary to=functions.add json<|message|>{"a": 1}<|call|>
    <|start|>assistant<|channel|>final<|message|>The answer.<|return|>

The channel `analysis` is reasoning. A message to a function is a call of it; one to something else
is text, and so is `commentary` to nobody: it is said to the person before a call.
"""

from __future__ import annotations

import re

from rbee.worker.model.tool_formats.calls import Calls
from rbee.worker.model.tool_formats.source import Source, Steps

MARK = "<|channel|>"
BEFORE_ANSWER = "<|channel|>final<|message|>"
_START, _MESSAGE = "<|start|>", "<|message|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>", _START)
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([^\s<]+)")


def harmony(source: Source, calls: Calls) -> Steps[None]:
    """The pieces of an answer."""
    while True:
        start = source.at
        yield from source.skip()
        yield from source.starts(_START)
        header = yield from _header(source)
        if header is None:
            source.at = start
            yield from source.skip()
            end = source.at if (yield from source.starts(MARK)) else start
            source.at = start
            yield source.shown(end)
            last = yield from source.show((MARK, *_ENDS))
            if last is None:
                return
            if last != MARK:
                yield from source.skip()
                yield from source.one_of(_ENDS)
            continue
        recipient = _RECIPIENT.search(header)
        yield from source.skip()
        if recipient and calls.knows(recipient[1]):
            yield calls.begin(recipient[1])
            yield from calls.stream(source.chunks(_ENDS))
            yield calls.end()
        else:
            reasons = "analysis" in header and not recipient
            ended = yield from source.show(_ENDS, "reasoning" if reasons else "text")
            if ended is None:
                return
            yield from source.skip()
            yield from source.one_of(_ENDS)


def _header(source: Source) -> Steps[str | None]:
    """A message's header; None if none comes. The first one's beginning is in the prompt."""
    begin = source.at
    mark = yield from source.one_of((MARK, "assistant", "to="))
    if mark is None:
        return None
    source.at = begin
    return (yield from source.until((_MESSAGE,)))
