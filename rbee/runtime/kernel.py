"""What the kernel says of processes, memory, processor cores and sockets, as psutil tells it.

psutil takes 6 ms to import, in each of the four programs that a question starts. So on Linux the
same files are read here; elsewhere psutil is asked. Sources: proc(5), proc_pid_stat(5), and
psutil's `_pslinux.py`, whose figures these are.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_PROC = Path("/proc")
_CORES = Path("/sys/devices/system/cpu")
# The fields of /proc/PID/stat after the program's name, which may hold any character.
_STATE, _THREADS, _BEGAN_AT = 0, 17, 19
# The words of a line of /proc/PID/maps, and what stands behind the path of a file without a name.
_INODE, _PATH = 4, 5
_REMOVED = " (deleted)"
_KB = 1024


def started(pid: int, proc: Path = _PROC) -> float | None:
    """When a process began, in seconds since the epoch; None if there is no such process, or only
    its exit code is left. Where its first thread has ended and another has not yet closed its
    files, more is left."""
    boot = _figures(proc / "stat", "btime")
    if not boot:
        return _psutil_started(pid)
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        began_at = int(fields[_BEGAN_AT]) / os.sysconf("SC_CLK_TCK")
        is_over = fields[_STATE] == b"Z" and int(fields[_THREADS]) < 2
    except (OSError, ValueError, IndexError):
        return None
    return None if is_over else began_at + boot["btime"]


def is_over(process: psutil.Process) -> bool:
    """Whether only its exit code is left. Raises psutil.Error if there is no such process."""
    import psutil

    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() < 2


def resident_bytes(pid: int, proc: Path = _PROC) -> int:
    """The resident memory of a process; 0 if there is no such process."""
    if not (proc / "self").exists():
        return _psutil_resident(pid)
    try:
        pages = int((proc / str(pid) / "statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def unacknowledged(sock: int) -> int:
    """The bytes that were written to a TCP socket, given by its descriptor, and that the other end
    has not acknowledged; 0 where the system does not tell."""
    try:
        told = fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4)
    except OSError:
        return 0
    return int.from_bytes(told, sys.byteorder)


def holders(files: Collection[tuple[int, str]], proc: Path = _PROC) -> list[tuple[int, str]]:
    """The processes that have one of the files in memory, by pid and name, as far as they may be
    looked at; none where there is no /proc. A file is its inode and name, and may be removed."""
    found = []
    wanted = {(str(inode), name.removesuffix(_REMOVED)) for inode, name in files}
    for folder in sorted(proc.glob("[0-9]*")):
        try:
            maps = (folder / "maps").read_text(errors="surrogateescape").splitlines()
            name = (folder / "comm").read_text(errors="replace").strip()
        except OSError:  # another user's, or gone
            continue
        mapped = (line.split(maxsplit=_PATH) for line in maps)
        paths = {(words[_INODE], words[_PATH]) for words in mapped if len(words) > _PATH}
        if any((inode, Path(path.removesuffix(_REMOVED)).name) in wanted for inode, path in paths):
            found.append((int(folder.name), name))
    return found


def main_memory(proc: Path = _PROC) -> tuple[int, int]:
    """The machine's memory, and what of it can be had without swapping, both in bytes."""
    found = _figures(proc / "meminfo", "MemTotal:", "MemAvailable:")
    if len(found) == 2:  # since Linux 3.14
        return found["MemTotal:"] * _KB, found["MemAvailable:"] * _KB
    import psutil

    now = psutil.virtual_memory()
    return int(now.total), int(now.available)


def cores(folder: Path = _CORES) -> int:
    """The cores of the machine, each once however many threads it runs at a time."""
    found = set()
    for name in ("core_cpus_list", "thread_siblings_list"):  # the second one before Linux 5.3
        for file in folder.glob(f"cpu[0-9]*/topology/{name}"):
            found.add(file.read_text())
        if found:
            return len(found)
    import psutil

    return int(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1)


def _figures(file: Path, *names: str) -> dict[str, int]:
    """The number after each of the names with which a line begins."""
    try:
        lines = [line.split(maxsplit=2) for line in file.read_text("latin-1").splitlines()]
        return {words[0]: int(words[1]) for words in lines if words and words[0] in names}
    except (OSError, ValueError, IndexError):
        return {}


def _psutil_started(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if is_over(process) else process.create_time()
    except psutil.Error:
        return None


def _psutil_resident(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
