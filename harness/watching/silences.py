"""The silences of a stream, and what broke them: something that happened, or a comment.

A hive on a busy machine tells the memory that is left whenever it likes, so nobody can say of its
stream when a comment comes; only that it is never silent for longer than promised, and that a
comment comes after such a silence and at no other time.
"""

import time
from collections.abc import Iterable
from itertools import pairwise

_SLOW_MACHINE_S = 3.0
_CLOCKS_S = 2.0


def judge(
    opened_at: float,
    events: Iterable[float],
    comments: Iterable[float],
    seconds: float,
    until: float | None = None,
) -> None:
    """AssertionError if the stream was silent for longer than `seconds`, or if a comment came
    sooner. All moments are those of `time.monotonic`; it was listened to `until` then, or still
    is."""
    seen = sorted([(at, "event") for at in events] + [(at, "comment") for at in comments])
    until = time.monotonic() if until is None else until
    moments = [(opened_at, "opened"), *seen, (max(until, opened_at), "now")]
    pauses = [(later - earlier, what) for (earlier, _), (later, what) in pairwise(moments)]
    too_long = [pause for pause, _ in pauses if pause >= seconds + _SLOW_MACHINE_S]
    too_soon = [
        pause for pause, what in pauses if what == "comment" and pause <= seconds - _CLOCKS_S
    ]
    told = ", ".join(f"{what} after {pause:.1f} s" for pause, what in pauses)
    assert not too_long and not too_soon, f"not comments after {seconds:g} s of silence: {told}"
