"""An error in whichever way it came: an HTTP status before the first byte, an event after it."""

from dataclasses import dataclass
from email.message import Message
from typing import Any

from harness.world.calls import Reply
from harness.world.events import EventStream


@dataclass(frozen=True)
class Failure:
    """`status` is that of HTTP: 200 where the error came as an event."""

    status: int
    headers: Message
    error: dict[str, Any]

    @property
    def code(self) -> str:
        return str(self.error["code"])

    @property
    def message(self) -> str:
        return str(self.error["message"])

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.error["details"])


def of_reply(reply: Reply) -> Failure:
    assert reply.status >= 400, f"no error: {reply.status} {reply.body[:500]!r}"
    return Failure(reply.status, reply.headers, _envelope(reply.json))


def of(stream: EventStream, within: float) -> Failure:
    """The stream's refusal, or its error event once it has ended."""
    if stream.refused is not None:
        return of_reply(stream.refused)
    stream.wait_for_end(within)
    errors = stream.named("error")
    assert len(errors) == 1, f"one error event was expected: {stream.events[-5:]}"
    return Failure(200, Message(), _envelope(errors[0].data))


def _envelope(body: Any) -> dict[str, Any]:
    assert set(body) == {"error"}, f"not the envelope: {body}"
    error = dict(body["error"])
    assert {"code", "message", "details"} <= set(error), f"not the envelope: {body}"
    return error
