"""The networks of a world: a loopback /24 of its own, so that standard ports can be used in all of
them, and Linux network namespaces, by name, as `ip netns` makes them.
"""

import contextlib
import ctypes
import os
import random
import socket
from pathlib import Path

SSH_PORT = 22
_CLAIM_PORT = 47_474


def can_bind(address: str, port: int) -> bool:
    """Low ports need root, unless the machine is set otherwise."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except PermissionError:
            return False
        return True


def free_port() -> int:
    with socket.create_server(("", 0)) as trial:
        return int(trial.getsockname()[1])


class Network:
    """A free 127.a.b.0/24, claimed by a bound socket, so that the claim ends with the harness."""

    def __init__(self) -> None:
        while True:
            self._prefix = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
            self._claim = socket.socket()
            with contextlib.suppress(OSError):
                self._claim.bind((self.address(254), _CLAIM_PORT))
                return
            self._claim.close()

    def address(self, host: int) -> str:
        return f"{self._prefix}.{host}"

    def release(self) -> None:
        self._claim.close()


_CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter_namespace(name: str | None) -> None:
    """Move the calling thread, and what it starts from now on, into that namespace. None: stay.

    os.setns exists only since Python 3.12.
    """
    if name is None:
        return
    descriptor = os.open(Path("/run/netns") / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
    finally:
        os.close(descriptor)


class BlackHolePort:
    """A port whose queue of connections is full: one more attempt gets no answer at all."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(0)
        self._waiting = [socket.create_connection((address, port))]

    def close(self) -> None:
        for each in (*self._waiting, self._socket):
            each.close()
