"""What was said in a chat, as the model is told it again with every question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rbee.contract.errors import PromptTooLong
from rbee.contract.tasks import Message

_QUOTES = '"""'


class Conversation:
    """Turns, each a question and its answer, behind what was said at the beginning; at the end
    there may be a question that has no answer yet."""

    def __init__(self, beginning: Sequence[Message] = ()) -> None:
        self._beginning = list(beginning)
        self._turns: list[tuple[str, str]] = []
        self._asked: str | None = None
        self._last: str | None = None

    @property
    def messages(self) -> list[Message]:
        """From the beginning to the question that is open."""
        said = list(self._beginning)
        for question, answer in self._turns:
            said += [Message("user", question), Message("assistant", answer)]
        if self._asked is not None:
            said.append(Message("user", self._asked))
        return said

    def ask(self, question: str) -> None:
        """Open a question; an open one is forgotten."""
        self._asked = self._last = question

    def answer(self, text: str) -> None:
        """As far as it came. A question to which nothing came was not asked: many templates want
        the two to take turns."""
        if self._asked is not None and text:
            self._turns.append((self._asked, text))
        self._asked = None

    def again(self) -> str | None:
        """The last question, to be asked again as if it had not been; None where there was none."""
        if self._turns and self._turns[-1][0] == self._last:
            self._turns.pop()
        return self._last

    def forget(self) -> None:
        """Everything but the beginning."""
        self._turns.clear()
        self._asked = self._last = None

    def shorten(self, error: PromptTooLong, max_tokens: int) -> int:
        """Leave out the oldest turns, so many that the question fits with room for an answer of
        `max_tokens`, or of half the context; gives how many. 0 where the question alone is too
        long."""
        tokens, most = _counts(error)
        wanted = most - min(max_tokens, most // 2)
        sizes = [len(question) + len(answer) for question, answer in self._turns]
        whole = sum(sizes) + sum(len(m.content) for m in self._beginning) + len(self._asked or "")
        left, dropped = whole, 0
        for size in sizes:
            if dropped and left * tokens <= wanted * whole:
                break
            left -= size
            dropped += 1
        del self._turns[:dropped]
        return dropped


def _counts(error: PromptTooLong) -> tuple[int, int]:
    """How many tokens the prompt has, and how many it may have. The details came over the wire:
    where they tell nothing, half of it is too much."""
    errors = error.details["errors"]
    wrong = errors[0] if isinstance(errors, list) and errors else {}
    tokens = wrong.get("value") if isinstance(wrong, dict) else None
    most = re.search(r"\d+", str(wrong.get("constraint"))) if isinstance(wrong, dict) else None
    if not isinstance(tokens, int) or most is None or tokens < 1:
        return 2, 1
    return tokens, int(most[0])


def is_open(text: str) -> bool:
    """Whether what was typed begins with three quotes and has not come to the three at its end."""
    text = text.strip()
    ended = len(text) >= 2 * len(_QUOTES) and text.endswith(_QUOTES)
    return text.startswith(_QUOTES) and not ended


def content(text: str) -> str:
    """What was typed, without the quotes around it and the empty space around those."""
    text = text.strip()
    if text.startswith(_QUOTES):
        text = text.removeprefix(_QUOTES).removesuffix(_QUOTES)
    return text.strip()
