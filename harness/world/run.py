"""A program that the harness started: its output with arrival times, its ready line, its end."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from harness.world.waiting import wait_until


class Output:
    """Reads a pipe to its end in a thread and stamps each piece, which shows whether output is
    live."""

    def __init__(self, pipe: IO[bytes], copy: Path) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self._pipe = pipe
        self._copy = copy
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe, self._copy.open("ab", buffering=0) as copy:
            while piece := os.read(self._pipe.fileno(), 65536):
                self.pieces.append((time.monotonic(), piece))
                copy.write(piece)

    @property
    def text(self) -> str:
        return b"".join(piece for _, piece in list(self.pieces)).decode(errors="replace")

    def moments_of(self, words: str) -> list[float]:
        """When each line with these words was complete, as near as the pieces tell."""
        found, line = [], b""
        for at, piece in list(self.pieces):
            *complete, rest = (line + piece).split(b"\n")
            found += [at for each in complete if words.encode() in each]
            line = rest
        return found

    def wait_for(self, first: str, then: str = "", within: float = 5) -> str:
        """The output from `first` on, once `then` follows it."""

        def found() -> str:
            return "".join(self.text.partition(first)[1:])

        return wait_until(
            f"{then!r} after {first!r}", found, within, lambda text: text and then in text
        )

    def finish(self, within: float) -> bool:
        self._thread.join(within)
        return not self._thread.is_alive()


class Run:
    """Started in a session of its own, as a terminal or an init would."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        name: str,
        stdin: str | None = None,
        held: bool = False,
        umask: int = -1,
    ) -> None:
        """`held`: standard input stays open after `stdin`, as a lifeline does. A `umask` of -1 is
        the harness's own."""
        self.name = name
        self.argv = list(argv)
        self.began = time.monotonic()
        self.took = 0.0
        self._process = subprocess.Popen(
            self.argv,
            env=dict(environment),
            cwd=environment["TMPDIR"],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=umask,
        )
        assert self._process.stdout
        assert self._process.stderr
        self.stdout = Output(self._process.stdout, folder / f"{name}.stdout")
        self.stderr = Output(self._process.stderr, folder / f"{name}.stderr")
        if self._process.stdin:
            self._process.stdin.write((stdin or "").encode())
            self._process.stdin.flush()
            if not held:
                self.close_stdin()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def close_stdin(self) -> None:
        """Close its standard input."""
        if self._process.stdin:
            self._process.stdin.close()

    def wait(self, within: float) -> int:
        """Return the exit code, once the program has ended and all its output has been read."""
        wait_until(f"{self.name} to end", lambda: not self.running, within)
        self.took = time.monotonic() - self.began
        for output in (self.stdout, self.stderr):
            assert output.finish(within=5), f"{self.name} ended, but its output is still held open"
        return self.exit_code

    @property
    def exit_code(self) -> int:
        """Minus the signal's number if it was killed."""
        code = self._process.poll()
        assert code is not None, f"{self.name} still runs"
        return code

    def send(self, number: signal.Signals) -> float:
        """Return the moment just before, on the clock that stamps output and events."""
        moment = time.monotonic()
        self._process.send_signal(number)
        return moment

    def ready(self, within: float = 10) -> dict[str, Any]:
        """Return the JSON line with which a daemon says that it listens; lines before it are
        skipped."""
        return wait_until(f"{self.name} to say that it listens", self._ready_line, within)

    def _ready_line(self) -> dict[str, Any]:
        for line in self.stdout.text.splitlines():
            if line.startswith("{"):
                message = json.loads(line)
                if message.get("event") == "listening":
                    return dict(message)
        assert self.running, f"{self.name} ended with {self.exit_code}: {self.stderr.text[-2000:]}"
        return {}
