"""What the commands about models print, read back into values."""

import re
from dataclasses import dataclass

_USAGE = re.compile(r"(?:\S+: )?([\d.]+ [MG]B) of ([\d.]+ [MG]B) are free at (.+)$", re.MULTILINE)
_NEEDED = re.compile(r"([\d.]+ [MG]B) \(([\d.]+ [MG]B) of ([\d.]+ [MG]B) are free\)")
_MEMORY = re.compile(r"^([\d.]+ [MG]B) of ([\d.]+ [MG]B) are free$")
_MISMATCH = re.compile(r"The sha256 of (\S+) is ([0-9a-f]{64}); expected ([0-9a-f]{64})\.")
_ROOM = re.compile(r"(\S+) has (\d+) MB free, (?:and|but) (\d+) MB are needed")
_IN_ALL = re.compile(r"has (\d+) MB in all on cpu, but the model needs (\d+) MB")
_UNITS = {"MB": 1_000_000, "GB": 1_000_000_000}


@dataclass(frozen=True)
class DiskUsage:
    rows: list[tuple[str, str]]
    free_bytes: float
    total_bytes: float
    folder: str


@dataclass(frozen=True)
class MemoryNeeded:
    needed: str
    free_bytes: float
    total_bytes: float


def megabytes(size: int) -> str:
    """Return a size as the documentation shows sizes: 98 MB, 5.2 MB, 24.6 GB."""
    if size >= 10_000_000_000:
        return f"{size / 1_000_000_000:.1f} GB"
    return f"{size / 1_000_000:.1f} MB" if size < 10_000_000 else f"{size / 1_000_000:.0f} MB"


def disk_usage(stdout: str) -> DiskUsage:
    table, _, _ = stdout.partition("are free at")
    cells = [re.split(r" {2,}", line) for line in table.splitlines()]
    rows = [(size, name) for size, name in (each for each in cells if len(each) == 2)]
    assert rows[0] == ("SIZE", "REFERENCE"), stdout
    free, total, folder = _found(_USAGE, stdout)
    return DiskUsage(rows[1:], _bytes(free), _bytes(total), folder)


def facts(stdout: str) -> dict[str, str]:
    """Return the lines `name: value`."""
    lines = (line.partition(": ") for line in stdout.splitlines())
    return {name: value for name, colon, value in lines if colon}


def memory_needed(stdout: str) -> MemoryNeeded:
    needed, free, total = _found(_NEEDED, facts(stdout)["memory needed"])
    return MemoryNeeded(needed, _bytes(free), _bytes(total))


def memory(shown: str) -> tuple[float, float]:
    """Return the free and the whole memory of "3.1 GB of 8.0 GB are free"."""
    free, total = _found(_MEMORY, shown)
    return _bytes(free), _bytes(total)


def offered(stdout: str) -> list[tuple[str, ...]]:
    """Return the rows of the table of the other quantizations."""
    _, _, table = stdout.partition("QUANTIZATION")
    assert table, stdout
    return [tuple(re.split(r" {2,}", line.strip())) for line in table.splitlines()[1:]]


def mismatch(stderr: str) -> tuple[str, str, str]:
    """Return the file of a CHECKSUM_MISMATCH, its sha256, and the expected one."""
    file, actual, expected = _found(_MISMATCH, stderr)
    return file, actual, expected


def room(stderr: str) -> tuple[str, int, int]:
    """Return what DISK_FULL names: a folder, and in MB what is free there and what is needed."""
    folder, free, needed = _found(_ROOM, stderr)
    return folder, int(free), int(needed)


def memory_in_all(stderr: str) -> tuple[int, int]:
    """Return what a model needs and the memory that the machine has, in MB."""
    available, needed = _found(_IN_ALL, stderr)
    return int(needed), int(available)


def _found(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    match = pattern.search(text)
    assert match, f"{pattern.pattern!r} is not in {text!r}"
    return match.groups()


def _bytes(shown: str) -> float:
    number, unit = shown.split()
    return float(number) * _UNITS[unit]
