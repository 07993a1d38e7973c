"""Prompts of a given length that are text, not one word again and again."""

import random

_TEXT = (
    "bees fly over the wide meadow where old trees stand beside a river and children count "
    "white stones while an honest baker carries warm bread home through quiet evening light"
)


def of_words(count: int, seed: int = 0) -> str:
    """The same for the same arguments; in this vocabulary most of these words are one token."""
    words = _TEXT.split()
    choose = random.Random(seed)
    return " ".join(choose.choice(words) for _ in range(count))
