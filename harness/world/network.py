"""Each world has a loopback /24 of its own, so that standard ports can be used in all of them."""

import contextlib
import random
import socket

SSH_PORT = 22
_CLAIM_PORT = 47_474


def can_bind(address: str, port: int) -> bool:
    """Low ports are root's, unless the machine is set otherwise."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except PermissionError:
            return False
        return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as trial:
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
