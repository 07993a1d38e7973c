"""What /proc and the kernel say about the processes of a world.

They are found by the environment mark, which every child inherits, and by the sessions that the
harness opened, never by name: a program that hides its name is still found.

A pidfd becomes readable at the moment of the end. Since Linux 6.15 it also tells how a process
ended that is not our child; on an older kernel `status` stays None.
"""

import contextlib
import fcntl
import os
import select
import signal
import struct
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.world.waiting import NeverHappenedError, wait_until

MARK = "HARNESS_WORLD"
NODE_MARK = "HARNESS_NODE"


def alive(process: psutil.Process) -> bool:
    """A zombie is not alive; nor is another process with the same pid."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def of_world(world_id: str, sessions: Collection[int]) -> list[psutil.Process]:
    mark = f"{MARK}={world_id}".encode()
    found = []
    for pid in psutil.pids():
        if _belongs(pid, mark, sessions):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
    return [process for process in found if alive(process)]


def of_node(world_id: str, name: str) -> list[psutil.Process]:
    """Return the processes of a world that were started on one of its other machines."""
    found = []
    for process in of_world(world_id, ()):
        with contextlib.suppress(psutil.Error):
            if process.environ().get(NODE_MARK) == name:
                found.append(process)
    return found


def _belongs(pid: int, mark: bytes, sessions: Collection[int]) -> bool:
    try:
        if os.getsid(pid) in sessions:
            return True
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def describe(process: psutil.Process) -> str:
    try:
        return f"pid {process.pid} ({process.status()}): {' '.join(process.cmdline())}"
    except psutil.Error:
        return f"pid {process.pid}: ended just now"


def listeners(processes: Iterable[psutil.Process]) -> dict[tuple[str, int], psutil.Process]:
    """Return every address on which one of these processes listens."""
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
    """Return the processor time that it uses in the next `seconds`."""
    return float(process.cpu_percent(interval=seconds)) / 100 * seconds


def kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def has_sigterm(process: psutil.Process) -> bool:
    """Whether SIGTERM is pending for it, or it is gone already."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return True
    waiting = 0
    for line in lines:
        name, _, value = line.partition(":")
        if name in ("SigPnd", "ShdPnd"):
            waiting |= int(value, 16)
    return bool(waiting >> (signal.SIGTERM - 1) & 1) or not alive(process)


def wait_for_sigterm(process: psutil.Process, within: float) -> float:
    """Return the moment, on the clock that stamps events."""
    wait_until(f"pid {process.pid} to be sent SIGTERM", lambda: has_sigterm(process), within)
    return time.monotonic()


def send_sigkill(process: psutil.Process) -> float:
    """Return the moment just before, on the same clock."""
    moment = time.monotonic()
    process.send_signal(signal.SIGKILL)
    return moment


def memory_mb(processes: Iterable[psutil.Process]) -> float:
    """Memory that would be free without them, in MB of 1,000,000 bytes: pages that they don't
    share."""
    return sum(float(each.memory_full_info().uss) for each in processes) / 1_000_000


_GET_INFO = 0xC040FF0B
_ASK_EXIT = 1 << 3
_INFO = struct.Struct("=QQ11Ii")  # mask, cgroup, pids and user ids, exit_code


@dataclass(frozen=True)
class ProcessExit:
    name: str
    at: float
    status: int | None

    @property
    def killed(self) -> bool:
        """True only if the kernel says that a signal ended it."""
        return self.status is not None and os.WIFSIGNALED(self.status)

    @property
    def exit_code(self) -> int | None:
        """Minus the signal's number if it was killed; None if the kernel does not say."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)


class ProcessExits:
    """Watches from its creation on; `pids` by the name of each process."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._names = {os.pidfd_open(pid): name for name, pid in pids.items()}
        self._ended: list[tuple[float, int]] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        poll = select.poll()
        for descriptor in self._names:
            poll.register(descriptor, select.POLLIN)
        while len(self._ended) < len(self._names):
            for descriptor, _ in poll.poll():
                poll.unregister(descriptor)
                self._ended.append((time.monotonic(), descriptor))

    def all(self, within: float) -> list[ProcessExit]:
        """Return the exits in their order."""
        wait_until(
            f"all of {sorted(self._names.values())} to end",
            lambda: [self._names[descriptor] for _, descriptor in self._ended],
            within,
            lambda ended: len(ended) == len(self._names),
        )
        return [ProcessExit(self._names[fd], at, _status(fd)) for at, fd in self._ended]


def _status(descriptor: int) -> int | None:
    """Return the wait status, which the kernel knows once the parent has reaped the process."""
    info = bytearray(_INFO.size)

    def look() -> bool:
        struct.pack_into("=Q", info, 0, _ASK_EXIT)
        fcntl.ioctl(descriptor, _GET_INFO, info)
        return bool(_INFO.unpack_from(info)[0] & _ASK_EXIT)

    try:
        wait_until("the kernel to tell how it ended", look, within=1)
        return int(_INFO.unpack_from(info)[-1])
    except (NeverHappenedError, OSError):  # OSError: a kernel that does not know the question
        return None
    finally:
        os.close(descriptor)
