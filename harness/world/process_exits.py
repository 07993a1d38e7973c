"""In which order processes ended, and how: told by the kernel through pidfds, not by the programs.

A pidfd becomes readable at the moment of the end. Since Linux 6.15 it also tells how a process
ended that is not our child; on an older kernel `status` stays None.
"""

import fcntl
import os
import select
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from harness.world.waiting import NeverHappenedError, wait_until

_GET_INFO = 0xC040FF0B
_ASK_EXIT = 1 << 3
_INFO = struct.Struct("=QQ11Ii")  # mask, cgroup, pids and user ids, exit_code


@dataclass(frozen=True)
class Ending:
    name: str
    at: float
    status: int | None

    @property
    def killed(self) -> bool:
        """True only where the kernel says that a signal ended it."""
        return self.status is not None and os.WIFSIGNALED(self.status)

    @property
    def exit_code(self) -> int | None:
        """Minus the signal's number if it was killed; None where the kernel does not tell."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)


class Endings:
    """Watches from its creation on; `pids` by the name under which each is told."""

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

    def all(self, within: float) -> list[Ending]:
        """In the order in which they ended."""
        wait_until(
            f"all of {sorted(self._names.values())} to end",
            lambda: [self._names[descriptor] for _, descriptor in self._ended],
            within,
            lambda ended: len(ended) == len(self._names),
        )
        return [Ending(self._names[fd], at, _status(fd)) for at, fd in self._ended]


def _status(descriptor: int) -> int | None:
    """The wait status, which the kernel knows once the parent has reaped: so look again briefly."""
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
