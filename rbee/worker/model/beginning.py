"""The tokens of a text that is too long to be taken apart to its end."""

from __future__ import annotations


class Beginning(list[int]):
    """The first tokens; the text has more of them."""
