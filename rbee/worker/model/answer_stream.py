"""From the bytes of tokens to the pieces of an answer: its text, its reasoning and its calls."""

from __future__ import annotations

from collections.abc import Sequence

from rbee.worker.model.text_stream import Stops, TextStream
from rbee.worker.model.tool_formats.parser import Form, Parser
from rbee.worker.model.tool_formats.source import Piece


class AnswerStream:
    """Takes the bytes of each token and returns the pieces that are certain by then.

    A stop sequence is looked for in the text that a person gets, not in reasoning nor in the
    arguments of calls, and not across them. Without a `form` the answer is nothing but text.
    """

    def __init__(self, stop: Sequence[str] = (), form: Form | None = None) -> None:
        self._parser = Parser(form) if form else None
        self._text = TextStream(() if form else stop)
        self._stops = Stops(stop)

    @property
    def has_marks(self) -> bool:
        """Whether control tokens are looked at."""
        return self._parser is not None

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence has come: what follows is dropped."""
        return self._text.stopped or self._stops.stopped

    @property
    def stop_found(self) -> str | None:
        """The stop sequence that has come, if one has."""
        return self._text.stop_found or self._stops.found

    @property
    def called(self) -> bool:
        """Whether a call has come."""
        return self._parser is not None and self._parser.called

    @property
    def full(self) -> bool:
        """Whether as many calls have come as may: the answer ends with the last of them."""
        return self._parser is not None and self._parser.full

    def feed(self, piece: bytes, control: bytes = b"") -> list[Piece]:
        """What can be shown after a token with the bytes `piece`, or after the control token that
        is spelled `control`; often nothing."""
        if self._parser is None:
            return _text(self._text.feed(piece))
        if control:
            pieces = self._parser.feed(self._text.finish())
            pieces += self._parser.feed(control.decode(errors="replace"), control=True)
        else:
            pieces = self._parser.feed(self._text.feed(piece))
        return self._until_stop(pieces)

    def finish(self, cut: bool = False) -> list[Piece]:
        """What is still held back, once there are no more tokens. With `cut` more might have come,
        so half a character is left out, and so is half a call."""
        rest = self._text.finish(cut)
        if self._parser is None:
            return _text(rest)
        pieces = self._until_stop(self._parser.feed(rest) + self._parser.finish(cut))
        return [*pieces, *_text(self._stops.release())]

    def _until_stop(self, pieces: Sequence[Piece]) -> list[Piece]:
        shown: list[Piece] = []
        for piece in pieces:
            if self._stops.stopped:
                break
            if piece.channel == "text":
                shown += _text(self._stops.take(piece.text))
            else:
                shown += [*_text(self._stops.release()), piece]
        return shown


def _text(text: str) -> list[Piece]:
    return [Piece(text)] if text else []
