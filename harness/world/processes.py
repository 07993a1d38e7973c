"""What /proc says about the processes of a world: who lives, and who listens where.

They are found by the environment mark, which every child inherits, and by the sessions that the
harness opened, never by name: a program that hides its name is still found.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterable

import psutil

MARK = "HARNESS_WORLD"
NODE_MARK = "HARNESS_NODE"


def alive(process: psutil.Process) -> bool:
    """A zombie is not alive; nor is another process that got the same pid."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def of_world(world_id: str, sessions: Collection[int]) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter()
        if _belongs(process, world_id, sessions) and alive(process)
    ]


def of_node(world_id: str, name: str) -> list[psutil.Process]:
    """Those of a world that were started on one of its other machines."""
    found = []
    for process in of_world(world_id, ()):
        with contextlib.suppress(psutil.Error):
            if process.environ().get(NODE_MARK) == name:
                found.append(process)
    return found


def _belongs(process: psutil.Process, world_id: str, sessions: Collection[int]) -> bool:
    try:
        if os.getsid(process.pid) in sessions:
            return True
        return bool(process.environ().get(MARK) == world_id)
    except (psutil.Error, OSError):
        return False


def describe(process: psutil.Process) -> str:
    try:
        return f"pid {process.pid} ({process.status()}): {' '.join(process.cmdline())}"
    except psutil.Error:
        return f"pid {process.pid}: ended just now"


def listeners(processes: Iterable[psutil.Process]) -> dict[tuple[str, int], psutil.Process]:
    """Every address on which one of these processes listens."""
    found = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found[connection.laddr.ip, connection.laddr.port] = process
    return found


def connected(processes: Iterable[psutil.Process], address: tuple[str, int]) -> bool:
    """Whether one of these processes has a connection to that address."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                established = connection.status == psutil.CONN_ESTABLISHED
                if established and tuple(connection.raddr) == address:
                    return True
    return False


def cpu_used_in(process: psutil.Process, seconds: float) -> float:
    """Processor time that it uses in the next `seconds` of the clock."""
    return float(process.cpu_percent(interval=seconds)) / 100 * seconds


def kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
