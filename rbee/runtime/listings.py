"""Listings as plain text, the same in every program: easy to read, and easy to cut with awk.

What others wrote stays in its cell, or on its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rbee.contract.model_ref import shown
from rbee.contract.models import ModelDetails, ModelRow, Offered
from rbee.runtime import safe_text

_MB = 1_000_000

MODEL_HEADS = ("REFERENCE", "QUANTIZATION", "SIZE", "STATE")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces between them, no space at a line's end."""
    cells = [[safe_text.line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def facts(found: Mapping[str, object]) -> str:
    """A fact a line, after its name."""
    return "\n".join(f"{name}: {safe_text.line(str(value))}" for name, value in found.items())


def megabytes(size: int) -> str:
    """A size for people: MB are a million bytes; from 10,000 MB on, GB."""
    if size >= 10_000 * _MB:
        return f"{size / 1000 / _MB:.1f} GB"
    return f"{size / _MB:.1f} MB" if size < 10 * _MB else f"{size / _MB:.0f} MB"


def model_cells(row: ModelRow) -> tuple[str, str, str, str]:
    """A row below MODEL_HEADS."""
    state: str = row.state
    if row.state != "ready" and row.size_bytes:
        state = f"{row.state}, {100 * row.bytes_downloaded // row.size_bytes} %"
    size = megabytes(row.size_bytes) if row.size_bytes else "unknown"
    return _name(row), row.quantization or "unknown", size, state


def _name(row: ModelRow) -> str:
    """As people read it, but in one word, so that awk finds the columns behind it: with a blank in
    its file's name, as a command takes it."""
    name = shown(row.reference)
    return name if name.split() == [name] else row.reference


def usage(models: Sequence[ModelRow]) -> str:
    """The disk space of each model, largest first, and the total."""
    rows = sorted(models, key=lambda row: -row.bytes_downloaded)
    cells = [(megabytes(row.bytes_downloaded), _name(row)) for row in rows]
    taken = sum(row.bytes_downloaded for row in rows)
    return table(("SIZE", "REFERENCE"), [*cells, (megabytes(taken), "total")])


def described(found: ModelDetails, verify: str) -> str:
    """Everything known about a model, a fact a line; `verify` is the command for its hash."""
    free, total = megabytes(found.memory_free_bytes), megabytes(found.memory_total_bytes)
    known = {
        "reference": found.reference,
        "state": found.state,
        "path": found.local_path or "none",
        "size": megabytes(found.size_bytes),
        "sha256": found.sha256 or f"unknown; {verify} finds it",
        "architecture": found.architecture,
        "quantization": found.quantization or "unknown",
        "layers": found.layers,
        "trained context": f"{found.context_length} tokens",
        "vocabulary": f"{found.vocabulary_size} tokens",
        "memory needed": f"{megabytes(found.required_bytes)} ({free} of {total} are free)",
    }
    text = facts(known)
    if found.offered:
        rows = [_offer(each) for each in found.offered]
        text += "\n\nIn the same repository:\n" + table(("QUANTIZATION", "SIZE", "FITS"), rows)
    return text


def _offer(each: Offered) -> tuple[str, str, str]:
    fits = "yes" if each.fits else "no"
    return each.quantization or "unknown", megabytes(each.size_bytes), fits
