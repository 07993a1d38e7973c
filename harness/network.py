"""Each world has a loopback /24 of its own, so that standard ports can be used in all of them."""

import contextlib
import random
import socket

_CLAIM_PORT = 47_474


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
