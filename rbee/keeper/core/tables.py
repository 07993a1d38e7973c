"""Listings as plain text: what can be read, and cut with awk."""

from __future__ import annotations

from collections.abc import Sequence

_MB = 1_000_000


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces between them, no space at a line's end."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    ]
    return "\n".join(lines)


def megabytes(size: int) -> str:
    """Bytes as people count them: MB of a million bytes, GB from ten thousand of those on."""
    if size >= 10_000 * _MB:
        return f"{size / 1000 / _MB:.1f} GB"
    return f"{size / _MB:.1f} MB" if size < 10 * _MB else f"{size / _MB:.0f} MB"
