"""What the programs leave on the disk and hold while they run: databases, files, connections.

Also where the API key must not be, and whether a typed word was run as a command.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import psutil

from harness.world.commands import INSTALLED
from harness.world.world import World

_MAGIC = b"SQLite format 3\0"


def versions(world: World) -> dict[str, tuple[int, str]]:
    """Return what each of the four programs answers, with its exit code."""
    runs = {name: world.start(f"{name} --version") for name in INSTALLED.values()}
    return {name: (run.wait(within=10), run.stdout.text) for name, run in runs.items()}


def installed_version() -> str:
    """Return the package's version, as pip knows it."""
    return version("rbee")


def state_files(home: Path) -> set[str]:
    return {path.name for path in (home / ".rbee").iterdir()}


def databases(folder: Path) -> list[Path]:
    """Return every file in the folder that SQLite wrote, whatever its name."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _is_database(path))


def tables(database: Path) -> set[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as found:
        return {str(name) for (name,) in found.execute(query)}


def open_databases(process: psutil.Process) -> list[Path]:
    opened = [Path(file.path) for file in process.open_files()]
    return [path for path in opened if path.is_file() and _is_database(path)]


def peers(process: psutil.Process) -> set[tuple[str, int]]:
    """Return the addresses to which it is connected."""
    connections = process.net_connections(kind="inet")
    return {(each.raddr.ip, each.raddr.port) for each in connections if each.raddr}


def most_memory_mb(pid: int) -> float:
    """Return the most that a process ever had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak) * 1024 / 1_000_000


def below(folder: Path) -> dict[str, int]:
    """Return the permissions of every file and folder below, links left out, by its path there."""
    found = (path for path in folder.rglob("*") if not path.is_symlink())
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in found}


def _is_database(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
    return False


def secret_in_processes(secret: str, processes: Iterable[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if any(secret in word for word in process.cmdline()):
                found.append(f"argv of {process.cmdline()}")
            if any(secret in value for value in process.environ().values()):
                found.append(f"environment of {process.cmdline()}")
    return found


def secret_in_files(secret: str, folder: Path, except_for: Path) -> list[str]:
    """Return every file in the folder that has it, except the one that may."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and path != except_for and secret.encode() in path.read_bytes()
    ]


def injected_files(world: World) -> list[Path]:
    """Return what `touch pwned` would leave, in whichever folder a shell ran it."""
    folders = [Path.cwd(), Path.home(), Path("/"), Path("/tmp")]
    found = [folder / "pwned" for folder in folders if (folder / "pwned").exists()]
    return [*found, *world.root.rglob("pwned")]
