"""The conversation of a chat, which is sent to the model with every question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

from rbee.contract.errors import PromptTooLong
from rbee.contract.tasks import Message

_QUOTES = '"""'


class Conversation:
    """A beginning, and turns, each a question and its answer; the last question may have no answer
    yet."""

    def __init__(self, beginning: Sequence[Message] = ()) -> None:
        self._beginning = list(beginning)
        self._turns: list[tuple[str, str]] = []
        self._asked: str | None = None
        self._last: str | None = None

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Self:
        """A conversation that had these messages. What does not alternate between user and
        assistant at its end is its beginning."""
        turns: list[tuple[str, str]] = []
        rest = list(messages)
        while [each.role for each in rest[-2:]] == ["user", "assistant"]:
            question, answer = rest[-2:]
            turns.insert(0, (question.content or "", answer.content or ""))
            del rest[-2:]
        found = cls(rest)
        found._turns = turns
        found._last = turns[-1][0] if turns else None
        return found

    @property
    def turns(self) -> int:
        """How many questions have been answered."""
        return len(self._turns)

    @property
    def system(self) -> str | None:
        """The text that the model gets before everything else."""
        texts = [each.content for each in self._beginning if each.role == "system"]
        return texts[0] if texts else None

    @system.setter
    def system(self, text: str) -> None:
        others = [each for each in self._beginning if each.role != "system"]
        self._beginning = [Message("system", text), *others]

    @property
    def messages(self) -> list[Message]:
        """All messages, from the beginning to the open question."""
        messages = list(self._beginning)
        for question, answer in self._turns:
            messages += [Message("user", question), Message("assistant", answer)]
        if self._asked is not None:
            messages.append(Message("user", self._asked))
        return messages

    def ask(self, question: str) -> None:
        """Open a question; one that is open is dropped."""
        self._asked = self._last = question

    def answer(self, text: str) -> None:
        """Close the open question with the answer, as far as it came. If nothing came, the question
        is dropped: many chat templates want questions and answers to alternate."""
        if self._asked is not None and text:
            self._turns.append((self._asked, text))
        self._asked = None

    def again(self) -> str | None:
        """The last question, and its turn is dropped; None if there was none."""
        if self._turns and self._turns[-1][0] == self._last:
            self._turns.pop()
        return self._last

    def forget(self) -> None:
        """Drop everything but the beginning."""
        self._turns.clear()
        self._asked = self._last = None

    def shorten(self, error: PromptTooLong, max_tokens: int) -> int:
        """Drop the oldest turns until the question fits, with room for an answer of `max_tokens` or
        of half the context. Returns how many; 0 if the question alone is too long."""
        tokens, limit = _counts(error)
        wanted = limit - min(max_tokens, limit // 2)
        sizes = [len(question) + len(answer) for question, answer in self._turns]
        whole = (
            sum(sizes) + sum(len(m.content or "") for m in self._beginning) + len(self._asked or "")
        )
        left, dropped = whole, 0
        for size in sizes:
            if dropped and left * tokens <= wanted * whole:
                break
            left -= size
            dropped += 1
        del self._turns[:dropped]
        return dropped


def _counts(error: PromptTooLong) -> tuple[int, int]:
    """How many tokens the prompt has, and how many it may have. The details came over the wire: if
    they are missing, half of the prompt is taken to be too much."""
    errors = error.details["errors"]
    wrong = errors[0] if isinstance(errors, list) and errors else {}
    tokens = wrong.get("value") if isinstance(wrong, dict) else None
    most = re.search(r"\d+", str(wrong.get("constraint"))) if isinstance(wrong, dict) else None
    if not isinstance(tokens, int) or most is None or tokens < 1:
        return 2, 1
    return tokens, int(most[0])


def is_open(text: str) -> bool:
    """Whether the text begins with three quotes and the closing three are still missing."""
    text = text.strip()
    ended = len(text) >= 2 * len(_QUOTES) and text.endswith(_QUOTES)
    return text.startswith(_QUOTES) and not ended


def content(text: str) -> str:
    """The text without the three quotes around it and without white space around those."""
    text = text.strip()
    if text.startswith(_QUOTES):
        text = text.removeprefix(_QUOTES).removesuffix(_QUOTES)
    return text.strip()
