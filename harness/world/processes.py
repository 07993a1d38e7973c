"""What /proc and the kernel say about the processes of a world.

They are found by the world's control group, which no child leaves. On a machine where the harness
can't make one, by the environment mark, which every child inherits, and by the sessions that the
harness opened. Never by name: a program that hides its name is still found.

A pidfd becomes readable at the moment of the end. Since Linux 6.15 it also tells how a process
ended that is not our child; on an older kernel `status` stays None.
"""

import contextlib
import fcntl
import ipaddress
import os
import select
import signal
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import psutil

from harness.world.control_group import ControlGroup
from harness.world.waiting import NeverHappenedError, wait_until

MARK = "HARNESS_WORLD"
NODE_MARK = "HARNESS_NODE"
_LISTENING = "0A"  # TCP_LISTEN of Linux' tcp_states.h
_EXITING = 4  # PF_EXITING of Linux' sched.h


def alive(process: psutil.Process) -> bool:
    """A zombie is not alive; nor is another process with the same pid.

    A process that is being killed is a zombie before the last of its threads has closed its files.
    """
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return bool(process.is_running())
        return len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1
    except (psutil.NoSuchProcess, OSError):
        return False


def is_exiting(process: psutil.Process) -> bool:
    """Whether the kernel is taking it apart already, which takes a while for one with much memory:
    it runs no more of its program, and is not yet a zombie."""
    with contextlib.suppress(OSError):
        flags = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[6]
        return bool(int(flags) & _EXITING)
    return False


@dataclass
class WorldProcesses:
    """The processes of a world, found by its group, or by its mark and `sessions`."""

    world_id: str
    group: ControlGroup | None
    sessions: set[int] = field(default_factory=set)

    def all(self) -> list[psutil.Process]:
        """Return those that are alive."""
        belongs = self._marked if self.group is None else self._is_not_ours
        found = []
        for pid in psutil.pids() if self.group is None else self.group.pids():
            with contextlib.suppress(OSError, psutil.NoSuchProcess):
                if belongs(pid):
                    found.append(psutil.Process(pid))
        return [process for process in found if alive(process)]

    def on_node(self, name: str) -> list[psutil.Process]:
        """Return those that were started on one of the world's other machines."""
        mark = f"{NODE_MARK}={name}".encode()
        found = []
        for process in self.all():
            with contextlib.suppress(OSError):
                if mark in _environment(process.pid):
                    found.append(process)
        return found

    def _marked(self, pid: int) -> bool:
        if os.getsid(pid) in self.sessions:
            return True
        return f"{MARK}={self.world_id}".encode() in _environment(pid)

    def _is_not_ours(self, pid: int) -> bool:
        """Whether it is more than a tool of the harness: an unmarked child, or OpenSSH's server,
        which has children of its own."""
        with contextlib.suppress(OSError):  # a zombie has none
            if Path(f"/proc/{pid}/exe").readlink().name.startswith("sshd"):
                return False
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        return int(parent) != os.getpid() or self._marked(pid)


def _environment(pid: int) -> list[bytes]:
    """Of a zombie only its other threads have one, if it still has any."""
    folder = Path(f"/proc/{pid}")
    for file in chain([folder / "environ"], folder.glob("task/*/environ")):
        with contextlib.suppress(ProcessLookupError):
            if found := file.read_bytes():
                return found.split(b"\0")
    return []


def command_line(process: psutil.Process) -> list[str]:
    """Its words. A process that has not exec'd yet has those of its parent, or none: it gets none
    here, like one that is gone."""
    words = _words(process)
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        if parent and _words(parent) == words:
            return []
    return words


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def describe(process: psutil.Process) -> str:
    try:
        return f"pid {process.pid} ({process.status()}): {' '.join(process.cmdline())}"
    except psutil.Error:
        return f"pid {process.pid}: ended just now"


def listeners(processes: Iterable[psutil.Process]) -> dict[tuple[str, int], psutil.Process]:
    """Return every address on which one of these processes listens.

    A child has its parent's sockets until it has exec'd: they are the older process's.
    """
    tables: dict[str, dict[str, tuple[str, int]]] = {}
    found: dict[tuple[str, int], psutil.Process] = {}
    for process in sorted(processes, key=lambda each: (each.create_time(), each.pid)):
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{process.pid}")
            network = str((folder / "ns" / "net").readlink())
            if network not in tables:
                tables[network] = _listening_sockets(folder / "net")
            for descriptor in (folder / "fd").iterdir():
                with contextlib.suppress(OSError):
                    address = tables[network].get(str(descriptor.readlink()))
                    if address:
                        found.setdefault(address, process)
    return found


def _listening_sockets(network: Path) -> dict[str, tuple[str, int]]:
    """Return the addresses by the sockets' names in /proc/PID/fd."""
    return {
        name: _address(own) for name, own, state in socket_table(network) if state == _LISTENING
    }


def socket_table(network: Path) -> Iterator[tuple[str, str, str]]:
    """The TCP sockets of a folder like /proc/net: the name in /proc/PID/fd, the own address and the
    state, both as the kernel writes them. A machine may have no IPv6."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in (network / table).read_text().splitlines()[1:]:
                words = line.split()
                yield f"socket:[{words[9]}]", words[1], words[3]


def _address(written: str) -> tuple[str, int]:
    """An IPv6 address that stands for one of IPv4 is that one: some programs open no others."""
    host, _, port = written.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    ip = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip), int(port, 16)


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


def now() -> float:
    """The moment, on the clock that stamps events."""
    return time.monotonic()


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


def maps_file(process: psutil.Process, path: Path) -> bool:
    """Whether it has mapped the file into its memory."""
    return str(path) in Path(f"/proc/{process.pid}/maps").read_text()


def wait_for_sigterm(process: psutil.Process, within: float) -> float:
    """Return the moment, on the clock that stamps events."""
    wait_until(f"pid {process.pid} to be sent SIGTERM", lambda: has_sigterm(process), within)
    return now()


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
        # Unlike poll, epoll gives several that have ended in the order in which they did.
        with select.epoll() as epoll:
            for descriptor in self._names:
                epoll.register(descriptor, select.EPOLLIN | select.EPOLLONESHOT)
            while len(self._ended) < len(self._names):
                for descriptor, _ in epoll.poll():
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
