"""What an answer took, by the clock here, against the figures that it tells of itself.

What is told can't be more than what is measured: the request is sent before it arrives, and an
event arrives after it was made. It may be less by what a busy machine takes to deliver an event.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.world.http_client import Event, EventStream
from harness.world.run import Output, Run

_LATE_S = 0.25
_LATE = 0.1
# Events in one chunk are read within microseconds of each other, and no model here makes a token in
# less than some milliseconds.
_TOGETHER_S = 0.001
_MOST_TOGETHER = 0.6


@dataclass(frozen=True)
class Measured:
    """Moments of the monotonic clock. `begun_at` is that of the last event before the worker's own,
    so the request has arrived at the worker by then, or nearly."""

    asked_at: float
    begun_at: float
    tokens_at: list[float]
    done_at: float
    done: dict[str, Any]


def of_stream(stream: EventStream, asked_at: float) -> Measured:
    """An answer of a worker, or of a queen."""
    return _measured(stream.events, asked_at)


def of_output(run: Run) -> Measured:
    """An answer that a keeper printed with --json."""
    return _measured(printed_events(run.stdout), run.began)


def printed_events(output: Output) -> list[Event]:
    """The events on the lines of a keeper's output, each with the moment of its last byte."""
    return [
        Event(event["event"], event["data"], at)
        for at, line in _lines(output)
        for event in [json.loads(line)]
    ]


def _lines(output: Output) -> Iterator[tuple[float, bytes]]:
    rest = b""
    for at, piece in list(output.pieces):
        *complete, rest = (rest + piece).split(b"\n")
        yield from ((at, line) for line in complete)


def _measured(events: Sequence[Event], asked_at: float) -> Measured:
    def moments(*names: str) -> list[float]:
        return [event.at for event in events if event.name in names]

    (done,) = [event for event in events if event.name == "done"]
    begun_at = moments("accepted", "started")[-1]
    return Measured(asked_at, begun_at, moments("token"), done.at, dict(done.data))


def faults(answer: Measured) -> list[str]:
    """What is told and can't be so; nothing if all is well."""
    done, first, last = answer.done, answer.tokens_at[0], answer.tokens_at[-1]
    count = len(answer.tokens_at)
    found = [] if done["done"] is True else [f"done is {done['done']}"]
    found += (
        [] if done["total_tokens"] == count else [f"{done['total_tokens']} tokens, not {count}"]
    )
    for name, ended in (("time_to_first_token_ms", first), ("duration_ms", answer.done_at)):
        most = (ended - answer.asked_at) * 1000
        least = ((ended - answer.begun_at) * (1 - _LATE) - _LATE_S) * 1000
        if not least <= done[name] <= most:
            found.append(f"{name} is {done[name]}, and was {least:.0f} to {most:.0f}")
    shortest = (last - first) * (1 - _LATE) - _LATE_S
    longest = (last - first) * (1 + _LATE) + _LATE_S
    rates = (count - 1) / longest, (count - 1) / max(shortest, 1e-9)
    if not rates[0] <= done["tokens_per_second"] <= rates[1]:
        found.append(f"{done['tokens_per_second']} tokens/s, and was {rates}")
    return found


def is_long_enough(answer: Measured) -> bool:
    """Whether prompt and answer took so long that wrong figures would be seen."""
    prompt_s = answer.tokens_at[0] - answer.begun_at
    return min(prompt_s, answer.tokens_at[-1] - answer.tokens_at[0]) > 3 * _LATE_S


def came_together(moments: Sequence[float]) -> float:
    """The part of the tokens that came in one piece with the token before."""
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    return sum(gap < _TOGETHER_S for gap in gaps) / len(gaps)


def are_one_by_one(moments: Sequence[float]) -> bool:
    """Whether tokens came as they were made. A busy machine may deliver a few together."""
    return came_together(moments) <= _MOST_TOGETHER


def seconds_since(epoch_s: float, moment: float) -> float:
    """How long before `moment` of the monotonic clock a time of the wall clock was."""
    return moment - (epoch_s - time.time() + time.monotonic())
