"""What else can happen to the programs on a machine.

Another program has the queen's port or a dead daemon's pid, the disk is full, no more files can be
opened, a child ignores signals.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from harness.world.cluster import process_at
from harness.world.http_client import EventStream
from harness.world.network import BlackHolePort
from harness.world.waiting import let_pass, wait_until
from harness.world.world import World


class WebSite(ThreadingHTTPServer):
    """Answers every path with a page, as a router's web interface does; `requests` are what it was
    asked, with their headers."""

    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        super().__init__((address, port), _Page)
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Page(BaseHTTPRequestHandler):
    server: WebSite

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.requestline}\n{self.headers}")
        page = b"<html><title>My printer</title></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """A printer keeps no log."""


class MuteServer:
    """Accepts every connection and never sends anything."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_server((address, port))

    def close(self) -> None:
        self._socket.close()


def occupy_port(what: str, address: str, port: int) -> WebSite | MuteServer | BlackHolePort:
    """`what` is "a web site", "a mute server" or "a port that swallows connections"."""
    if what == "a port that swallows connections":
        return BlackHolePort(address, port)
    if what == "a web site":
        return WebSite(address, port)
    assert what == "a mute server", what
    return MuteServer(address, port)


_AFTER_S = 2.5
_MUTE_SERVER = """
import socket, sys, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
time.sleep(600)
"""


def pid_file(world: World, daemon: str) -> Path:
    names = {"queen": "queen-rbee.pid", "hive": "hive-rbee.pid"}
    return world.home / ".rbee" / names[daemon]


def recorded(world: World, daemon: str) -> dict[str, Any]:
    """What the daemon's pid file says."""
    return dict(json.loads(pid_file(world, daemon).read_text()))


def recorded_pid(world: World, daemon: str) -> int:
    return int(recorded(world, daemon)["pid"])


class UnrelatedProcess:
    """A process that has nothing to do with rbee, but has the pid of a daemon that died.

    The pid in the file that the daemon left is changed accordingly, everything else in it stays.
    """

    def __init__(self, world: World, daemon: str, address: tuple[str, int] | None = None) -> None:
        """With an `address` it listens there and never sends anything. It starts some seconds after
        the daemon: the kernel does not reuse a pid before it has given all the others."""
        file = pid_file(world, daemon)
        left = json.loads(file.read_text())
        wait_until("time to go by", lambda: time.time() - float(left["started"]) > _AFTER_S, 10)
        command = (
            ["sleep", "600"] if address is None else [sys.executable, "-c", _MUTE_SERVER, *address]
        )
        self._process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        world.add_cleanup(self._end)
        if address is not None:
            assert self._process.stdout
            assert self._process.stdout.readline(), "the other program does not listen"
        file.write_text(json.dumps({**left, "pid": self._process.pid}) + "\n")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


_BLOCK = 4096
# A layer of the large model takes some 60 ms.
_TELLING_S = 0.02


class SmallDisk:
    FILLER = "another-program.log"

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        options = f"size={megabytes * 1_000_000 // _BLOCK * _BLOCK}"
        argv = ["mount", "-t", "tmpfs", "-o", options, "rbee-small-disk", str(path)]
        subprocess.run(argv, check=True, capture_output=True, timeout=5)

    def fill(self) -> None:
        """Fill it to the last block, as another program's log file might."""
        with (self.path / self.FILLER).open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * _BLOCK):
                    pass
            except OSError:
                return

    def forbid_writing(self) -> None:
        """Remount it read-only, as a kernel does after an error."""
        argv = ["mount", "-o", "remount,ro", str(self.path)]
        subprocess.run(argv, check=True, capture_output=True, timeout=5)

    def close(self) -> None:
        """Unmount lazily: a program of the scenario may still hold a file on it."""
        subprocess.run(["umount", "-l", str(self.path)], check=True, capture_output=True, timeout=5)


class LimitedFiles:
    """Until `lift`, the process can open no more files. Set from outside, like prlimit."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before: tuple[int, int] = process.rlimit(psutil.RLIMIT_NOFILE)
        _, hard = self._before
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), hard))

    def lift(self) -> None:
        self._process.rlimit(psutil.RLIMIT_NOFILE, self._before)


class HeldLifeline:
    """Holds the lifeline of a program open, as a process would that has inherited it."""

    def __init__(self, world: World, process: psutil.Process) -> None:
        self._descriptor = os.open(f"/proc/{process.pid}/fd/0", os.O_WRONLY)
        world.add_cleanup(self._close)

    def _close(self) -> None:
        os.close(self._descriptor)


def pause_load(world: World, url: str, times: int, seconds: float) -> float:
    """Stop the loading worker for so long, so often, with progress in between, of which everybody
    has heard: it tells of one layer before it loads the next. Returns how long it was from the
    first stop to the last."""
    process, progress = process_at(world, url), world.stream("GET", f"{url}/v1/loading/progress")
    began, loaded = 0.0, 0
    for _ in range(times):
        reported = progress.wait_for("loading", 30, _further_than(loaded + 1))
        suspend_between_reports(process, progress)
        began = began or reported.at
        let_pass(seconds)
        loaded = progress.named("loading")[-1].data["layers_loaded"]
        process.resume()
    assert loaded < reported.data["layers_total"], f"paused too late: {loaded} layers were loaded"
    return time.monotonic() - began


def suspend_between_reports(process: psutil.Process, progress: EventStream) -> None:
    """Stop it when it has told everybody how far it is, and not while it is telling them."""
    told = -1
    while told != len(progress.events):
        told = len(progress.events)
        let_pass(_TELLING_S)
    process.suspend()


def _further_than(layers: int) -> Callable[[dict[str, int]], bool]:
    return lambda data: data.get("layers_loaded", 0) > layers


_WITH_DEAF_CHILD = """\
#!/bin/sh
# `detect` only prints what the worker can do, and starts no child.
if [ "$1" != detect ]; then
    (trap '' TERM INT HUP; exec sleep 600) </dev/null >/dev/null 2>&1 &
fi
exec {worker} "$@"
"""


_DEAF = """\
#!/bin/sh
trap '' TERM INT HUP
exec sleep 600
"""


def start_workers_with_deaf_child(world: World) -> None:
    """From now on the world's workers are started like this."""
    worker = shlex.join(world.commands.argv("worker"))
    _start_workers_by(world, "worker-with-deaf-child", _WITH_DEAF_CHILD.format(worker=worker))


def start_workers_that_are_deaf(world: World) -> None:
    """They read nothing, say nothing, and obey no signal but SIGKILL."""
    _start_workers_by(world, "deaf-worker", _DEAF)


_WITHOUT_CALLBACK = """\
#!/bin/sh
left=$#
while [ $left -gt 0 ]; do
    if [ "$1" = --callback-url ]; then shift; left=$((left - 1)); else set -- "$@" "$1"; fi
    shift; left=$((left - 1))
done
exec {worker} "$@"
"""


def start_workers_without_callback(world: World) -> None:
    """They are not told where their hive is, so that it hears nothing of them."""
    worker = shlex.join(world.commands.argv("worker"))
    _start_workers_by(world, "worker-without-callback", _WITHOUT_CALLBACK.format(worker=worker))
    # A standby worker would get its arguments later, past the command.
    world.set("hive", "standby_workers", 0)


def _start_workers_by(world: World, name: str, script: str) -> None:
    path = Path(world.root) / name
    path.write_text(script)
    path.chmod(0o755)
    world.set("worker", "command", str(path))


def child_of_worker(world: World, worker: psutil.Process) -> psutil.Process:
    """Return the other process in the worker's process group, besides the one that it has for
    chat templates."""

    def others() -> list[psutil.Process]:
        group = os.getpgid(worker.pid)
        found = [each for each in world.processes() if os.getpgid(each.pid) == group]
        return [each for each in found if each != worker and "chat-templates" not in each.cmdline()]

    found = wait_until("a child of the worker", others, within=5)
    assert len(found) == 1, found
    return found[0]
