"""What is between two machines: a cable that can be cut, a router that forwards chosen ports.

The cable ends in a network namespace of its own, behind a switch. The switch is a bridge in a
second namespace, so that both ends of a cut cable see what they see in a house: their own link to
the switch stays up, and the other end is silent.

    this machine  near ── veth ──┐
                                 switch
    the node      far  ── veth ──┘   <- cut() and repair() take this port down and up
"""

import contextlib
import random
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable

from harness.world.network import BlackHolePort

_TOGETHER = "198.18"  # 198.18.0.0/15 is set aside for trials: no real network has it


class Cable:
    """Two namespaces, named after a /24 that nothing else on this machine uses."""

    def __init__(self) -> None:
        self._number = _claim()
        self._switch = f"rbee-switch-{self._number}"
        self.namespace = f"rbee-node-{self._number}"
        self.near = f"{_TOGETHER}.{self._number}.1"
        self.far = f"{_TOGETHER}.{self._number}.2"
        try:
            self._lay()
        except BaseException:
            self.close()
            raise

    def _lay(self) -> None:
        near, far, number = self._near_device, "eth0", self._number
        _ip(f"netns add {self.namespace}")
        _ip(f"link add {near} type veth peer name near netns {self._switch}")
        _ip(f"link add {far} netns {self.namespace} type veth peer name far netns {self._switch}")
        _ip(f"-n {self._switch} link add switch type bridge")
        for port in ("near", "far"):
            _ip(f"-n {self._switch} link set {port} master switch up")
        _ip(f"-n {self._switch} link set switch up")
        _ip(f"addr add {_TOGETHER}.{number}.1/24 dev {near}")
        _ip(f"link set {near} up")
        _ip(f"-n {self.namespace} addr add {_TOGETHER}.{number}.2/24 dev {far}")
        _ip(f"-n {self.namespace} link set {far} up")
        _ip(f"-n {self.namespace} link set lo up")

    @property
    def _near_device(self) -> str:
        return f"rbee{self._number}"

    def cut(self) -> None:
        _ip(f"-n {self._switch} link set far down")

    def repair(self) -> None:
        _ip(f"-n {self._switch} link set far up")

    def close(self) -> None:
        """A veth pair disappears with either of its ends."""
        for line in (
            f"link del {self._near_device}",
            f"netns del {self.namespace}",
            f"netns del {self._switch}",
        ):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(line)


def _claim() -> int:
    """Return a number for which there is no switch yet: creating the switch claims it."""
    while True:
        number = random.randint(1, 254)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip(f"netns add rbee-switch-{number}")
            return number


def _ip(line: str) -> None:
    argv = ["ip", *shlex.split(line)]
    subprocess.run(argv, check=True, capture_output=True, timeout=10)


_PIECE = 65536


class PortForwarder:
    """Forwards connections to these ports of `outside` to the same ports of `inside`.

    Any other port refuses connections; a port in `swallowed` does not answer at all. Once a
    connection has brought `dies_after` bytes out, everything is cut, and stays so.
    """

    def __init__(
        self,
        outside: str,
        inside: str,
        ports: Iterable[int],
        swallowed: Iterable[int] = (),
        dies_after: int | None = None,
    ) -> None:
        self._ports: list[_ForwardedPort | BlackHolePort] = [
            _ForwardedPort(outside, inside, port, dies_after, self.close) for port in ports
        ]
        self._ports += [BlackHolePort(outside, port) for port in swallowed]

    def close(self) -> None:
        for port in self._ports:
            port.close()


class _ForwardedPort:
    """One port."""

    def __init__(
        self,
        outside: str,
        inside: str,
        port: int,
        dies_after: int | None,
        die: Callable[[], None],
    ) -> None:
        self._inside = inside, port
        self._dies_after, self._die = dies_after, die
        self._socket = socket.create_server((outside, port))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._socket.accept()
                self._carry_on(near)

    def _carry_on(self, near: socket.socket) -> None:
        """If nothing listens inside, the connection is closed; the next one is tried again."""
        try:
            far = socket.create_connection(self._inside)
        except OSError:
            near.close()
            return
        self._open += [near, far]
        threading.Thread(target=_copy, args=(near, far), daemon=True).start()
        threading.Thread(target=self._bring_out, args=(far, near), daemon=True).start()

    def _bring_out(self, far: socket.socket, near: socket.socket) -> None:
        if _copy(far, near, self._dies_after):
            self._die()

    def close(self) -> None:
        # A thread that waits in accept is not woken by close alone.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for each in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _copy(source: socket.socket, target: socket.socket, most: int | None = None) -> bool:
    """Copy up to the end, or up to `most` bytes; whether it was that many."""
    copied = 0
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece[: None if most is None else most - copied])
            copied += len(piece)
            if most is not None and copied >= most:
                return True
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    return False
