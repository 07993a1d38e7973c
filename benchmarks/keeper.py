"""How long a person waits at the command line, apart from the work itself.

    python -m benchmarks.keeper

It measures `--help`, a command that asks a running queen, and the first token's time in the keeper:
from its bytes on the keeper's socket to its text on the terminal. A relay between keeper and queen
notes the first moment, the reader of a pseudo-terminal the second. It runs in a world of the
harness, with the bundled model.
"""

import argparse
import os
import pty
import select
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from harness.model_files.cache import ModelFiles
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.world import World

_LISTING = "rbee-keeper worker list"
_QUESTION = "rbee-keeper infer --quiet --prompt hi --max-tokens 4 --ignore-eos"


class Relay(threading.Thread):
    """Relays between keeper and queen; `sent_at` is when the first token's bytes were sent."""

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self.sent_at = 0.0
        self._target = target
        self._listener = socket.create_server(address)
        self.start()

    def run(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection(self._target)
            for source, target, timed in ((near, far, False), (far, near, True)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(
                    target=self._copy, args=(source, target, timed), daemon=True
                ).start()

    def _copy(self, source: socket.socket, target: socket.socket, timed: bool) -> None:
        try:
            while piece := source.recv(65536):
                if timed and not self.sent_at and b"event: token" in piece:
                    self.sent_at = time.perf_counter()
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def whole(argv: Sequence[str], world: World) -> float:
    """Milliseconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(
        argv, env=world.environment(), cwd=world.tmp, check=True, capture_output=True, timeout=60
    )
    return (time.perf_counter() - began) * 1000


def first_token(argv: Sequence[str], world: World, relay: Relay) -> float:
    """Milliseconds from the socket to the screen, where nothing else appears before."""
    relay.sent_at = 0.0
    master, slave = pty.openpty()
    process = subprocess.Popen(
        argv,
        env={**world.environment(), "TERM": "xterm-256color"},
        cwd=world.tmp,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen = b""
    shown_at = 0.0
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, f"nothing came for 60 s: {seen!r}"
        try:
            seen += os.read(master, 65536)
        except OSError:  # its end, on Linux
            break
        shown_at = shown_at or time.perf_counter()
    os.close(master)
    assert process.wait(30) == 0, seen
    assert relay.sent_at, "no token passed the relay"
    return (shown_at - relay.sent_at) * 1000


def row(name: str, target: str, measured: Sequence[float]) -> str:
    """A row of the table."""
    least, median, most = min(measured), statistics.median(measured), max(measured)
    figures = f"{least:.1f} ms | {median:.1f} ms | {most:.1f} ms"
    return f"| {name} | {target} | {figures} | {len(measured)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    runs = parser.parse_args().runs
    commands = Commands.from_userdata({})
    with tempfile.TemporaryDirectory() as folder:
        world = World(commands, ModelFiles(), Evidence(Path(folder), "keeper"))
        try:
            for line in measure(world, runs):
                print(line, flush=True)
        finally:
            world.end(judge=False)


def measure(world: World, runs: int) -> list[str]:
    """The table."""
    resolve = world.commands.resolve
    whole(resolve("rbee-keeper daemon start"), world)
    queen_host, port = world.queen_address
    whole(resolve(_QUESTION), world)
    helps = [whole(resolve("rbee-keeper --help"), world) for _ in range(runs)]
    lists = [whole(resolve(_LISTING), world) for _ in range(runs)]
    relay = Relay((world.network.address(9), port), (queen_host, port))
    world.set("queen", "url", f"http://{world.network.address(9)}:{port}")
    firsts = [first_token(resolve(_QUESTION), world, relay) for _ in range(runs)]
    return [
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "",
        "| what | target | lowest | median | highest | runs |",
        "| --- | --- | --- | --- | --- | --- |",
        row("`rbee-keeper --help`, whole process", "< 150 ms", helps),
        row(f"`{_LISTING}`, whole process", "< 300 ms", lists),
        row("first token, from the keeper's socket to the screen", "< 5 ms", firsts),
    ]


if __name__ == "__main__":
    main()
