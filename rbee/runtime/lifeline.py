"""The one way in which a child is tied to its parent.

The parent holds the child's standard input (`Lifeline`). The first line carries the child's
secrets; then, over SSH only, come heartbeats. End of file, or a silence longer than the
lease once heartbeats have come, means that the parent is gone (`Watch`).

The watch is a thread of its own, so that a blocked event loop or a long native call can't stop it,
and it ends the process itself when an orderly end takes longer than the grace period.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

import msgspec

from rbee.contract.daemons import Hello
from rbee.contract.errors import ConfigInvalid

FIRST_LINE_S = 30.0
_LONGEST_LINE = 65_536


class Lifeline:
    """The parent's end: a descriptor that the child reads as its standard input.

    Not thread-safe but for `close`, which may be called from anywhere, and more than once.
    """

    def __init__(self, descriptor: int, hello: Hello, heartbeat_s: float | None = None) -> None:
        """Say `hello`; with `heartbeat_s`, a thread then sends a newline at that interval.

        The descriptor is owned from here on. A child that is already gone is not an error here: the
        wait for its ready line reports it.
        """
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._write(msgspec.json.encode(hello) + b"\n")
        if heartbeat_s is not None:
            self._write(b"\n")
            threading.Thread(target=self._beat, args=(heartbeat_s,), daemon=True).start()

    def close(self) -> None:
        """Close the descriptor: the child sees end of file and shuts down."""
        self._closed.set()
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _write(self, data: bytes) -> None:
        with self._lock:
            if self._descriptor is not None:
                try:
                    os.write(self._descriptor, data)
                except (BrokenPipeError, BlockingIOError):
                    return

    def _beat(self, interval_s: float) -> None:
        while not self._closed.wait(interval_s):
            self._write(b"\n")


class Watch:
    """The child's end. `hello` blocks for the first line; `start` then watches for the end."""

    def __init__(
        self,
        lease_s: float,
        grace_s: float,
        descriptor: int = 0,
        first_line_s: float = FIRST_LINE_S,
    ) -> None:
        """`lease_s` applies only to a parent that has sent a heartbeat."""
        self._descriptor = descriptor
        self._lease_s = lease_s
        self._grace_s = grace_s
        self._first_line_s = first_line_s
        self._rest = b""

    def hello(self) -> Hello:
        """The first line. Raises CONFIG_INVALID if none comes, or if it can't be read."""
        deadline = time.monotonic() + self._first_line_s
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], max(left, 0))
            data = os.read(self._descriptor, 4096) if ready else b""
            if not data or len(self._rest) > _LONGEST_LINE:
                raise _no_hello("its parent sent nothing")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            return msgspec.json.decode(line, type=Hello)
        except msgspec.MsgspecError as error:
            raise _no_hello(f"the line that came is not valid: {error}") from None

    def start(self, on_end: Callable[[], None], ending: threading.Event) -> None:
        """Watch in a thread. At the end call `on_end` there, once.

        `ending` is set when the process has to end without grace: at once, or, if something other
        than the parent holds it, later or never. A process that still runs one grace period after
        that is terminated.
        """
        threading.Thread(target=self._run, args=(on_end, ending), daemon=True).start()

    def _run(self, on_end: Callable[[], None], ending: threading.Event) -> None:
        self._wait_for_end()
        on_end()
        ending.wait()
        time.sleep(self._grace_s)
        os._exit(1)

    def _wait_for_end(self) -> None:
        beats = bool(self._rest)
        while True:
            timeout = self._lease_s if beats else None
            ready, _, _ = select.select([self._descriptor], [], [], timeout)
            if not ready:
                return
            try:
                data = os.read(self._descriptor, 4096)
            except OSError:
                return
            if not data:
                return
            beats = True


def _no_hello(reason: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"With --lifeline a daemon reads its keys from standard input, but {reason}.",
        source="--lifeline",
        key="standard input",
        hint="Leave the flag out when you start the daemon by hand.",
    )
