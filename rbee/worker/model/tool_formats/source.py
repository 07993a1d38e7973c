"""The text of an answer as it comes, for readers that want to read on before it is there.

A reader is a generator. It yields pieces, and None where it can't go on without more text. What it
decides depends on the text alone and never on how the text was cut into tokens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeAlias, TypeVar

import msgspec

from rbee.contract.events import Call, Channel

T = TypeVar("T")

BLANKS = " \t\r\n"
# No function's name and no message's header is longer.
_LONGEST = 512


class Piece(msgspec.Struct, frozen=True):
    """A stretch of one channel. In a call, `text` is a part of its arguments."""

    text: str
    channel: Channel = "text"
    call: Call | None = None


Steps: TypeAlias = Generator[Piece | None, None, T]
Chunks: TypeAlias = Generator[str | None, None, T]


class Source:
    """What has come and is not understood yet. `at` is how far the answer has been read, in
    characters from its beginning; a reader that was wrong sets it back. What has been shown can't
    be read again. An answer that has `ended` may have been `cut`: more might have come."""

    def __init__(self) -> None:
        self.at = 0
        self.ended = False
        self.cut = False
        self._ran_out = False
        self._text = ""
        self._base = 0
        self._controls: list[tuple[int, int]] = []

    def add(self, text: str, control: bool = False) -> None:
        """More of the answer. A `control` token is a mark, or nothing that is ever shown."""
        if control:
            start = self._base + len(self._text)
            self._controls.append((start, start + len(text)))
        self._text += text

    @property
    def broke_off(self) -> bool:
        """Whether a reader wanted more than has come of an answer that was cut."""
        return self.cut and self._ran_out

    @property
    def left(self) -> str:
        """What has come and is not read."""
        return self._text[self.at - self._base :]

    @property
    def plain(self) -> str:
        """The same, up to the next control token."""
        ends = [start for start, end in self._controls if end > self.at]
        return self.left[: max(ends[0] - self.at, 0)] if ends else self.left

    def more(self) -> Generator[None, None, bool]:
        """Wait for more. False if there will be none."""
        before = self._base + len(self._text)
        while not self.ended and self._base + len(self._text) == before:
            yield None
        self._ran_out = self._base + len(self._text) == before
        return not self._ran_out

    def one_of(self, marks: Iterable[str]) -> Generator[None, None, str | None]:
        """Read the mark that comes next, if it is one of these."""
        marks = tuple(marks)
        while any(len(m) > len(self.left) and m.startswith(self.left) for m in marks):
            if not (yield from self.more()):
                break
        found = max((m for m in marks if self.left.startswith(m)), key=len, default=None)
        self.at += len(found or "")
        return found

    def starts(self, mark: str) -> Generator[None, None, bool]:
        """Read `mark`, if it comes next."""
        return (yield from self.one_of((mark,))) is not None

    def skip(self, characters: str = BLANKS) -> Generator[None, None, str]:
        """Read on while these come. Returns the first other one; empty at the end."""
        while True:
            rest = self.left.lstrip(characters)
            self.at += len(self.left) - len(rest)
            if rest:
                return rest[0]
            if not (yield from self.more()):
                return ""

    def until(self, marks: Iterable[str]) -> Generator[None, None, str | None]:
        """Read up to the first of the marks, and it. None if none comes soon."""
        marks = tuple(marks)
        while (found := first(self.left, marks)) is None:
            if len(self.left) > _LONGEST or not (yield from self.more()):
                return None
        start, mark = found
        if start > _LONGEST:
            return None
        text = self.left[:start]
        self.at += start + len(mark)
        return text

    def chunks(self, marks: Iterable[str]) -> Chunks[str | None]:
        """Read up to the first of the marks, a chunk at a time, and read it too. Returns it, or
        None at the end."""
        marks = tuple(marks)
        while True:
            found = first(self.left, marks)
            end = found[0] if found else len(self.left) - _held(self.left, marks)
            chunk = self.left[:end]
            self.at += end
            if chunk:
                yield chunk
            if found:
                self.at += len(found[1])
                return found[1]
            if not (yield from self.more()):
                chunk = self.left
                self.at += len(chunk)
                if chunk:
                    yield chunk
                return None

    def show(self, marks: Iterable[str], channel: Channel = "text") -> Steps[str | None]:
        """Show what comes up to the first of the marks, and stop before it and the blanks in front
        of it. Returns it, or None at the end."""
        marks = tuple(marks)
        while True:
            found = first(self.left, marks)
            end = found[0] if found else len(self.left) - _held(self.left, marks)
            yield self.shown(self.at + len(self.left[:end].rstrip(BLANKS)), channel)
            if found:
                return found[1]
            if not (yield from self.more()):
                yield self.shown(self.at + len(self.left), channel)
                return None

    def shown(self, end: int, channel: Channel = "text") -> Piece:
        """What stands from here to `end`, without control tokens; it is read with that."""
        text, start = "", self.at
        while self._controls and self._controls[0][0] < end:
            begins, ends = self._controls[0]
            text += self._slice(start, begins)
            start = max(start, min(ends, end))
            if ends > end:
                break
            del self._controls[0]
        text += self._slice(start, end)
        self._text, self._base, self.at = self._text[end - self._base :], end, end
        return Piece(text, channel)

    def _slice(self, start: int, end: int) -> str:
        return self._text[max(start - self._base, 0) : max(end - self._base, 0)]


def first(text: str, marks: Iterable[str]) -> tuple[int, str] | None:
    """Where the first of the marks stands, and which it is; the longest of those at one place."""
    found = [(text.find(mark), -len(mark), mark) for mark in marks if mark in text]
    start, _, mark = min(found, default=(0, 0, ""))
    return (start, mark) if mark else None


def _held(text: str, marks: Iterable[str]) -> int:
    """How many characters at the end of `text` might begin a mark."""
    longest = 0
    for mark in marks:
        for length in range(min(len(mark) - 1, len(text)), longest, -1):
            if text.endswith(mark[:length]):
                longest = length
                break
    return longest
