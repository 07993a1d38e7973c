"""Markdown as a code host and the site both read it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_MADE = "<!-- Made by `python -m pages`: change the code, not this page. -->"


def page(title: str, source: str, *parts: str) -> str:
    """A whole page; `source` names what it is made from."""
    made = f"Made from {source} by `python -m pages`."
    return (
        "\n\n".join([_MADE, f"# {title}", made, *(part.strip() for part in parts if part)]) + "\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty where there are no rows."""
    lines = [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *lines])


def cell(text: str) -> str:
    """In one line, with its bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """As code in a line; nothing for nothing."""
    return f"`{text}`" if f"{text}" else ""


def anchor(heading: str) -> str:
    """The anchor that code hosts give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: its paragraphs, with indented blocks as code."""
    blocks = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    lines = block.splitlines()
    if lines and all(line.startswith("    ") for line in lines):
        return "\n".join(["```", *(line[4:] for line in lines), "```"])
    return _escape(block)


def _escape(text: str) -> str:
    """A word in angle brackets must not be taken for HTML."""
    return re.sub(r"(?<![`\w])<(\w[^>`]*)>", r"`<\1>`", text)
