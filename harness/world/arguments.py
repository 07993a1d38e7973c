"""Reads a command line from /proc as options, so that order and `--a=b` or `--a b` don't matter."""

from collections.abc import Iterable


def options(argv: Iterable[str]) -> dict[str, str]:
    """Each option with what follows it; a flag has the empty string."""
    found: dict[str, str] = {}
    last = ""
    for word in argv:
        if word.startswith("--"):
            last, _, value = word[2:].partition("=")
            found[last] = value
        elif last:
            found[last] = word
            last = ""
    return found
