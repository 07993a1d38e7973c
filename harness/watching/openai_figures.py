"""What is wrong with ids, times, figures and likelihoods of answers in OpenAI's protocol."""

import time
from collections.abc import Sequence
from typing import Any

Found = dict[str, Any]

# How far a time that is told may be from the clock of this harness.
_LONGEST_S = 300


def heads_problem(heads: Sequence[Found]) -> str:
    """What is wrong with the ids and times of different answers; "" if nothing is."""
    if len({each["id"] for each in heads}) != len(heads):
        return f"two have one id: {heads}"
    now = time.time()
    late = [each for each in heads if not 0 <= now + 1 - each["created"] < _LONGEST_S]
    return f"not made now: {late}" if late else ""


def likelihoods_problem(choice: Found) -> str:
    """What is wrong with how likely the tokens were, at temperature 0; "" if nothing is."""
    for each in choice["logprobs"]["content"]:
        (first, *_), top = each["top_logprobs"], each["top_logprobs"]
        values = [one["logprob"] for one in top]
        spelled = [(one["token"], bytes(one["bytes"]).decode(errors="replace")) for one in top]
        right = (
            {name: each[name] for name in first} == first
            and values == sorted(values, reverse=True)
            and max(values) <= 0
            and all(token == text for token, text in spelled)
        )
        if not right:
            return f"{each}"
    return ""


def figures_problem(reply: Found) -> str:
    """What is wrong with usage and timings; "" if they fit each other."""
    usage, timings = reply["usage"], reply["timings"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    speed = timings["prompt_n"] * 1000 / timings["prompt_ms"]
    right = (
        usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        and timings["cache_n"] == cached
        and timings["prompt_n"] + cached == usage["prompt_tokens"]
        and 0 < timings["predicted_n"] <= usage["completion_tokens"]
        and timings["predicted_ms"] >= 0
        and timings["predicted_per_second"] > 0
        and abs(timings["prompt_per_second"] - speed) < 1
    )
    return "" if right else f"{usage}, {timings}"


def writing_problem(timings: Found) -> str:
    """What is wrong with the time that an answer took to write, from its first token to its last;
    "" if nothing is. It must have ended at its limit: the end of a text is a step more."""
    wanted = (timings["predicted_n"] - 1) * 1000 / timings["predicted_per_second"]
    return "" if abs(timings["predicted_ms"] - wanted) < 1 + wanted / 20 else f"{timings}"
