"""An answer's text, reasoning and calls, in the order in which the model writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from rbee.contract.tasks import Tool
from rbee.worker.model.tool_formats import harmony
from rbee.worker.model.tool_formats.calls import Calls
from rbee.worker.model.tool_formats.families import (
    GENERIC,
    HARMONY,
    HARMONY_REASONING,
    CallShape,
    Family,
    Reasoning,
    family_of,
    reasoning_of,
)
from rbee.worker.model.tool_formats.source import Piece, Source, Steps

# So many marks without a call behind them, and no more calls are looked for: each may have to be
# read to the answer's end.
_MOST_WRONG = 16
# Without a mark, how calls begin and hardly any other list does.
_CALLS = re.compile(r"[\[\s]*[{A-Za-z_]")


class Form(msgspec.Struct, frozen=True):
    """What is looked for in an answer: calls of `tools` in the form of a family, at most so many,
    and reasoning, in which the answer may begin."""

    family: Family | None = None
    reasoning: Reasoning | None = None
    inside: bool = False
    harmony: bool = False
    tools: Sequence[Tool] = ()
    most: int | None = None

    @property
    def shape(self) -> CallShape:
        """How calls are written that the model is made to write."""
        return HARMONY if self.family is None else self.family.shape

    @property
    def marks(self) -> Reasoning | None:
        """The marks of reasoning."""
        return HARMONY_REASONING if self.harmony else self.reasoning


def form_of(
    template: str,
    prompt: str,
    in_vocabulary: Callable[[str], bool],
    tools: Sequence[Tool] = (),
    taught: bool = True,
    most: int | None = None,
) -> Form | None:
    """The form of an answer to `prompt`, which `template` rendered; None if it is nothing but text.
    `taught`: whether the template told the model of the tools, in its own form."""
    if harmony.MARK in template:
        return Form(harmony=True, tools=tools, most=most)
    family = (family_of(template) if taught else GENERIC) if tools else None
    reasoning = reasoning_of(template, in_vocabulary)
    if family is None and reasoning is None:
        return None
    inside = reasoning is not None and prompt.rstrip().endswith(reasoning.opens)
    if reasoning is not None:
        wraps = tuple(wrap for wrap in reasoning.wraps if wrap in template)
        reasoning = msgspec.structs.replace(reasoning, wraps=wraps)
    return Form(family, reasoning, inside, tools=tools, most=most)


class Parser:
    """Takes an answer as it comes and gives its pieces. It holds back what might be the beginning
    of a mark, or of a call; all of it comes out by the end.

    What looks like a call and is none, because it is broken or names a function that is not among
    the tools, stays text. Once a call's name is shown, whatever stands in the place of its
    arguments is passed on as it is.
    """

    def __init__(self, form: Form) -> None:
        new_id = {"new_id": form.family.new_id} if form.family else {}
        self._source = Source()
        self._calls = Calls(form.tools, form.most, **new_id)
        self._steps = _answer(self._source, self._calls, form)

    @property
    def called(self) -> bool:
        """Whether a call has come."""
        return self._calls.begun > 0

    @property
    def full(self) -> bool:
        """Whether there are as many calls as there may be: the answer ends here."""
        return self._calls.full

    def feed(self, text: str, control: bool = False) -> list[Piece]:
        """The pieces that are certain after `text`, or after a token that is never shown."""
        if not text:
            return []
        self._source.add(text, control)
        return self._run()

    def finish(self, cut: bool = False) -> list[Piece]:
        """What is still held back, when the answer is at its end. With `cut` more might have come,
        so what might have become a call is left out."""
        self._source.ended, self._source.cut = True, cut
        return self._run()

    def _run(self) -> list[Piece]:
        pieces: list[Piece] = []
        while not self.full and (piece := next(self._steps, None)) is not None:
            last = pieces[-1] if pieces else None
            if last is not None and _continues(last, piece):
                pieces[-1] = Piece(last.text + piece.text, last.channel, last.call)
            elif piece.text or piece.call:
                pieces.append(piece)
        return pieces


def _continues(last: Piece, piece: Piece) -> bool:
    if last.call is not None and piece.call is not None:
        return last.call.index == piece.call.index
    return last.channel == piece.channel


def _answer(source: Source, calls: Calls, form: Form) -> Steps[None]:
    if form.harmony:
        yield from harmony.harmony(source, calls)
        return
    family, reasoning = form.family, form.reasoning
    if form.inside and reasoning:
        yield from _reasoning(source, reasoning)
    marks = (*family.marks, *family.wraps) if family else ()
    wraps = reasoning.wraps if form.inside and reasoning else ()
    begins = True  # no text stands between here and the beginning, reasoning, or a call
    start, wrong = source.at, 0
    while True:
        first = yield from source.skip()
        if begins and reasoning and (yield from source.starts(reasoning.opens)):
            yield from _reasoning(source, reasoning)
            wraps = reasoning.wraps
            start = source.at
            continue
        if begins and family and first and first in family.bare:
            opened = source.at
            if (yield from family.read(source, calls, "")):
                yield from source.skip()
                start = source.at
                continue
            source.at = opened
            if source.broke_off and _CALLS.match(source.left):
                return
        source.at = start
        mark = yield from source.show((*marks, *wraps))
        if mark is None:
            return
        start = source.at
        yield from source.skip()
        source.at = end = source.at + len(mark)
        wrap = mark in wraps or (family is not None and mark in family.wraps)
        if wrap or (family is not None and (yield from family.read(source, calls, mark))):
            yield from source.skip()
            begins = True
        elif source.broke_off:
            return
        else:
            source.at = start
            yield source.shown(end)
            begins = False
            wrong += 1
            if wrong == _MOST_WRONG:
                family, marks = None, ()
        start = source.at


def _reasoning(source: Source, marks: Reasoning) -> Steps[None]:
    """Up to the mark that closes it and the blanks after that, or to the end."""
    yield from source.skip()
    if (yield from source.show((marks.closes,), "reasoning")):
        yield from source.skip()
        source.at += len(marks.closes)
        yield from source.skip()
