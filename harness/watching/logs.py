"""Log files as the disk has them, beside what `rbee-keeper logs` shows of them."""

import re
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from harness.world.processes import alive
from harness.world.run import Run
from harness.world.waiting import wait_until
from harness.world.world import World

_SHOWN = re.compile(r"^(?:[\w.-]+/)?(?P<source>rbee-hive|worker-[0-9a-f-]{36}) \| (?P<line>.*)$")

_CORRELATED = re.compile(r"^\S+ [A-Z]+ +[\w.-]+ \[(?P<id>[^]]+)\] ")


def shown(stdout: str) -> list[tuple[str, str]]:
    """Return source and line for each complete line; ValueError for a line without a source."""
    found = []
    for line in stdout[: stdout.rfind("\n") + 1].split("\n")[:-1]:
        match = _SHOWN.match(line)
        if match is None:
            raise ValueError(f"no source for the line {line!r}")
        found.append((match["source"], match["line"]))
    return found


def shown_by(stdout: str, source: str) -> list[str]:
    return [line for name, line in shown(stdout) if name == source]


def folder(home: Path) -> Path:
    return home / ".rbee" / "logs"


def files(home: Path, name: str) -> list[Path]:
    """Return the files of one log, the newest first. `name` is without the ending."""
    found = folder(home).glob(f"{name}.log*")
    return sorted(found, key=lambda path: int(path.name.rpartition(".log")[2].strip(".") or 0))


def written(home: Path, name: str) -> list[str]:
    """Return all lines that are left of a log."""
    text = "".join(path.read_text(errors="replace") for path in reversed(files(home, name)))
    return text.splitlines()


def correlation_of(line: str) -> str:
    """Return the correlation id of a line; empty if it has none."""
    found = _CORRELATED.match(line)
    return found["id"] if found else ""


def worker_log_name(worker_id: str) -> str:
    return f"llm-worker-rbee-{worker_id}"


def wait_for_shown(run: Run, source: str, lines: list[str], within: float) -> None:
    """Wait until exactly these lines of a source are shown."""
    wait_until(
        f"the {len(lines)} lines of {source}, each once",
        lambda: shown_by(run.stdout.text, source),
        within,
        lambda seen: seen == lines,
    )


def move_away(home: Path, names: list[str]) -> None:
    for name in names:
        file = folder(home) / f"{name}.log"
        file.rename(file.with_name(f"{name}.moved-{time.time_ns()}"))


def output_files(process: psutil.Process) -> set[str]:
    """Return the files behind its descriptors 1 and 2, as the kernel has them."""
    assert alive(process), process
    return {str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in (1, 2)}


def cycle_workers(world: World, times: int) -> None:
    """Start and stop a worker with the keeper, several times."""
    for _ in range(times):
        started = world.start("rbee-keeper worker start --model smollm2 --quiet")
        assert started.wait(within=40) == 0, started.stderr.text
        worker = started.stdout.text.split()[0]
        ended = world.start(f"rbee-keeper worker stop --id {worker}")
        assert ended.wait(within=30) == 0, ended.stderr.text


_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
_CORRELATION_ID = re.compile(r"^  correlation id: ([0-9a-f]{16})$", re.MULTILINE)
_DEBUG = re.compile(r"^\[debug\] (.*)$", re.MULTILINE)


def correlation_ids(text: str) -> list[str]:
    """Return the correlation ids that are shown to the user."""
    return _CORRELATION_ID.findall(text)


def last_correlation_id(stderr: str) -> str:
    """Return the id with which an error ends."""
    lines = stderr.rstrip().splitlines()
    found = _CORRELATION_ID.match(lines[-1]) if lines else None
    assert found, f"standard error does not end with a correlation id: {stderr!r}"
    return found[1]


def lines_with_id(world: World, program: str, correlation_id: str) -> list[str]:
    """Return the lines of a program's logs that it wrote under this id: time, level, logger, id. A
    line in which it quotes another program does not count by what it quotes."""
    folder = world.home / ".rbee" / "logs"
    files = list(folder.glob(f"{program}*.log"))
    assert files, f"no log of {program} in {folder}"
    own = re.compile(rf"{_STAMP} [A-Z]+ +[\w.-]+ \[{re.escape(correlation_id)}\] ")
    return [line for file in files for line in _lines(file) if own.match(line)]


def lines_with(world: World, program: str, words: str) -> list[str]:
    """Return the lines of a program's logs that end with these words."""
    files = (world.home / ".rbee" / "logs").glob(f"{program}*.log")
    return [line for file in files for line in _lines(file) if line.endswith(words)]


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def debug_lines(stderr: str) -> list[str]:
    """Return what --debug added."""
    return _DEBUG.findall(stderr)


def has_request(lines: Iterable[str], request: str) -> bool:
    """Whether a line has the request with its beginning, status and duration."""
    wanted = re.compile(rf" *\d+\.\d+ s  {re.escape(request)}: \d{{3}}, after \d+ ms")
    return any(wanted.fullmatch(line) for line in lines)
