"""The results as a table, in a terminal and in docs/reliability.md the same."""

from __future__ import annotations

from collections.abc import Sequence

from harness.attack.verdict import Measured, Result

_KINDS = ("2xx", "4xx", "5xx", "closed", "none")
_SHOWN = 10
_HEADS = ("case", "requests", *_KINDS, "slowest", "memory", "log", "verdict")


def table(results: Sequence[Result]) -> str:
    """A row for each case, and one for all of them; below it what was found."""
    rows = [_cells(each) for each in [*results, total(results)]]
    widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
    right = [name != "case" and name != "verdict" for name in _HEADS]
    rule = [
        f"{'-' * (width - 1)}:" if end else "-" * width
        for width, end in zip(widths, right, strict=True)
    ]
    lines = [_line(_HEADS, widths, right), f"| {' | '.join(rule)} |"]
    lines += [_line(row, widths, right) for row in rows]
    for each in results:
        if each.faults:
            lines += [f"\n{each.case}:", *(f"  - {fault}" for fault in each.faults[:_SHOWN])]
            if (more := len(each.faults) - _SHOWN) > 0:
                lines.append(f"  and {more} more")
    return "\n".join(lines)


def total(results: Sequence[Result]) -> Result:
    """All results as one; the slowest and the largest of each."""
    by_kind: dict[str, int] = {}
    for each in results:
        for kind, count in each.by_kind.items():
            by_kind[kind] = by_kind.get(kind, 0) + count
    measured = Measured(
        max((each.measured.growth_mb for each in results), default=0.0),
        max((each.measured.peak_mb for each in results), default=0.0),
        sum(each.measured.log_bytes for each in results),
    )
    return Result(
        "all",
        sum(each.requests for each in results),
        by_kind,
        max((each.slowest_s for each in results), default=0.0),
        measured,
        [fault for each in results for fault in each.faults],
        sum(each.took_s for each in results),
    )


def _cells(result: Result) -> tuple[str, ...]:
    measured = result.measured
    faults = len(result.faults)
    return (
        result.case,
        str(result.requests),
        *(str(result.by_kind.get(kind, 0)) for kind in _KINDS),
        f"{result.slowest_s:.2f} s",
        f"{max(measured.growth_mb, 0):.0f} MB",
        f"{measured.log_bytes / 1000:.0f} KB",
        "held" if result.held else f"{faults} fault{'s' * (faults != 1)}",
    )


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if end else cell.ljust(width)
        for cell, width, end in zip(cells, widths, right, strict=True)
    )
    return f"| {' | '.join(padded)} |"
