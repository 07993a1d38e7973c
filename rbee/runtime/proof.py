"""A client's side of the proof: what is asked on a new connection before a key is sent on it, and
what the answer is worth. See `rbee.contract.proof`.
"""

from __future__ import annotations

import asyncio
import os
from urllib.parse import urlencode, urlsplit

import msgspec

from rbee.contract.endpoints import PROOF
from rbee.contract.hashing import is_equal
from rbee.contract.proof import Proof, ProofWanted, endpoint_of, is_loopback, proof_of
from rbee.runtime.keyring import digest_of, id_of
from rbee.runtime.machine import this_machine

# Of an answer: its head, and its body. Whoever answers may be anybody.
_LARGEST_HEAD = 8192
_LARGEST_BODY = 1024
_BEARER = "Bearer "


class NotProven(Exception):
    """The other end has not shown that it knows the key. `reason` says in a few words why, and
    `hint` what to do next; `has_another` is true for a program of ours that has another key. `peer`
    is the address at which it listens, unless that is behind a tunnel."""

    def __init__(self, reason: str, hint: str = "", has_another: bool = False) -> None:
        super().__init__(reason)
        self.peer: tuple[str, int] | None = None
        self.reason = reason
        self.hint = hint
        self.has_another = has_another


class Challenge:
    """The question of one connection, for one key, with its nonce."""

    def __init__(self, key: str, url: str, peer: tuple[str, int], far: str | None = None) -> None:
        """`url` is what the connection was opened for, and `peer` the address that it has got to.
        If both are only the near end of a tunnel, `far` is the URL at its far end. Which machine is
        there, the client can't know."""
        address = _host(far) if far else endpoint_of(*peer)
        machine = this_machine() if not far and is_loopback(address) else ""
        self._peer = None if far else peer
        self._digest = digest_of(key)
        self._host = urlsplit(url).netloc
        nonce = os.urandom(16).hex()
        self._wanted = ProofWanted(nonce, address, _host(far or url), id_of(key), machine)

    @property
    def target(self) -> str:
        """The path and the query of the request."""
        return f"{PROOF.path}?{urlencode(msgspec.to_builtins(self._wanted))}"

    def check(self, status: int, body: bytes) -> None:
        """Whether the answer proves it. Raises NotProven if it does not."""
        if status != 200:
            raise _refusal(status, self._wanted.host)
        try:
            found = msgspec.json.decode(body, type=Proof)
        except ValueError:  # msgspec's errors, and what is not UTF-8
            raise NotProven("it does not answer as rbee does") from None
        if not found.wants_key and found.proof is None:
            hint = "Start it with the key, not with --insecure."
            raise NotProven("it runs without a key", hint)
        expected = proof_of(self._digest, found.program, self._wanted)
        if not is_equal(expected.encode(), (found.proof or "").encode()):
            raise NotProven("it has another key", has_another=True)

    async def ask(self, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> None:
        """Ask on a connection that is used for nothing else meanwhile, and which stays open for
        the request that follows. Raises NotProven, and OSError if the connection is lost."""
        head = f"GET {self.target} HTTP/1.1\r\nHost: {self._host}\r\n\r\n"
        transport.write(head.encode())
        try:
            self.check(*await _answer(reader))
        except NotProven as error:
            error.peer = self._peer
            raise
        if transport.is_closing() or reader.at_eof():
            raise ConnectionError("the connection was lost")


def key_in(authorization: str) -> str:
    """The key of an `Authorization` header of ours."""
    return authorization.removeprefix(_BEARER)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of a short answer with a known length."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = line.split(" ")
        fields = dict(each.lower().partition(":")[::2] for each in lines)
        length = int(fields.get("content-length", "0"))
        if not version.startswith("HTTP/1.") or len(head) > _LARGEST_HEAD:
            raise ValueError
        if not status.isdecimal() or not 0 <= length <= _LARGEST_BODY:
            return int(status), b""  # it is long, or comes in chunks: an error of some other server
        return int(status), await reader.readexactly(length)
    except (ValueError, asyncio.LimitOverrunError):
        raise NotProven("it does not speak HTTP") from None
    except asyncio.IncompleteReadError:
        raise ConnectionError("the connection was lost") from None


def _refusal(status: int, host: str) -> NotProven:
    """By the status alone: the words may be anybody's."""
    if status == 421:
        return NotProven(
            f"it says that {host} is not its address",
            "If a proxy, a router, a container or your own tunnel passes connections on to it, add "
            f'hosts = ["{host}"] to [auth] in the config file on its machine.',
        )
    if status == 403:
        name = host.rpartition(":")[0]
        return NotProven(
            f"it does not answer to the name {name}",
            f"Use its IP address, or add {name} to [auth] hosts on its machine.",
        )
    return NotProven(f"it answers with HTTP {status}")


def _host(url: str) -> str:
    parts = urlsplit(url)
    name = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
