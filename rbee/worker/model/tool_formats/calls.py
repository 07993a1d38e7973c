"""The calls of one answer: which functions there are, and the pieces that a call comes in."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

from rbee.contract.events import Call
from rbee.contract.tasks import Tool
from rbee.worker.model.tool_formats.source import Chunks, Piece, Source, Steps

_LETTERS = string.ascii_letters + string.digits


def call_id() -> str:
    """An id as OpenAI's look."""
    return "call_" + "".join(secrets.choice(_LETTERS) for _ in range(24))


def short_id() -> str:
    """Mistral's templates refuse every other form."""
    return "".join(secrets.choice(_LETTERS) for _ in range(9))


def dumps(value: Any) -> str:
    """JSON that can be sent: half a surrogate pair stays escaped. Raises ValueError for a number
    that JSON has not, and TypeError."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if is_text(text) else json.dumps(value)


def is_text(text: str) -> bool:
    """Whether it can be sent as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Calls:
    """Numbers the calls. `most` is how many there may be; None is any number."""

    def __init__(
        self, tools: Sequence[Tool], most: int | None = None, new_id: Callable[[], str] = call_id
    ) -> None:
        self._parameters = {tool.function.name: tool.function.parameters for tool in tools}
        self._most = most
        self._new_id = new_id
        self.begun = 0
        self._written = False
        self.complete = 0

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return self._most is not None and self.complete >= self._most

    def knows(self, name: str | None) -> bool:
        return name in self._parameters

    def properties(self, name: str) -> dict[str, Any]:
        """The schemas of a function's parameters, as far as they are written out."""
        found = self._parameters[name].get("properties")
        return found if isinstance(found, dict) else {}

    def begin(self, name: str, id: str | None = None) -> Piece:
        """The first piece of a call."""
        self.begun += 1
        self._written = False
        return Piece("", "tool_call", Call(self.begun - 1, id or self._new_id(), name))

    def part(self, text: str) -> Piece:
        """A part of the arguments."""
        self._written = self._written or bool(text)
        return Piece(text, "tool_call", Call(self.begun - 1))

    def end(self) -> Piece:
        """The last piece of a call. One that came without arguments gets empty ones."""
        piece = self.part("" if self._written else "{}")
        self.complete += 1
        return piece

    def stream(self, chunks: Chunks[Any]) -> Steps[None]:
        """Parts of the arguments, as they come."""
        for chunk in chunks:
            yield None if chunk is None else self.part(chunk)


Reader: TypeAlias = Callable[[Source, Calls, str], Steps[bool]]
"""Reads what follows a mark, which it gets too; without a mark it is empty. Returns whether that
was a call. If not, it has yielded no piece, and the source is set back by the caller."""


def collect(chunks: Chunks[Any]) -> Generator[None, None, str]:
    """All chunks in one."""
    found = ""
    for chunk in chunks:
        if chunk is None:
            yield None
        else:
            found += chunk
    return found


def first_of(*readers: Reader) -> Reader:
    """A reader for a mark that several forms share: each is tried in turn."""

    def read(source: Source, calls: Calls, mark: str) -> Steps[bool]:
        start = source.at
        for reader in readers:
            source.at = start
            if (yield from reader(source, calls, mark)):
                return True
        return False

    return read


def by_mark(readers: Mapping[str, Reader], other: Reader) -> Reader:
    """A reader for each mark, and one for all others."""

    def read(source: Source, calls: Calls, mark: str) -> Steps[bool]:
        return (yield from readers.get(mark, other)(source, calls, mark))

    return read


def from_mark(reader: Reader) -> Reader:
    """A reader for a mark that is the beginning of what it reads."""

    def read(source: Source, calls: Calls, mark: str) -> Steps[bool]:
        source.at -= len(mark)
        return (yield from reader(source, calls, ""))

    return read
