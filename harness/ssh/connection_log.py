"""What a node's SSH server saw: connections, the users that logged in, the commands that ran."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass
class Connection:
    """A TCP connection; `closed_at` is None while it is open. Seconds of the monotonic clock."""

    peer: str
    opened_at: float = field(default_factory=time.monotonic)
    closed_at: float | None = None

    @property
    def span(self) -> float:
        """How long it was open, in seconds."""
        assert self.closed_at is not None, "it is still open"
        return self.closed_at - self.opened_at


@dataclass(frozen=True)
class Authentication:
    """A key was offered. `fingerprint` is the key's, as OpenSSH writes it."""

    at: float
    user: str
    fingerprint: str
    accepted: bool


@dataclass
class Command:
    """`pid` is the session's first process; `code` its exit code, or minus a signal's number.

    `received` is the beginning of its standard input; for a lifeline that is the hello with its
    secrets. `beats` are the moments at which nothing but newlines came, as a lifeline's heartbeats
    do. OpenSSH's server records neither.
    """

    at: float
    text: str
    pid: int
    code: int | None = None
    received: bytearray = field(default_factory=bytearray)
    beats: list[float] = field(default_factory=list)

    @property
    def hello(self) -> dict[str, Any] | None:
        """The first line of its input, or None if it is not a lifeline's."""
        line, end, _ = bytes(self.received).partition(b"\n")
        if not end or not line.startswith(b"{"):
            return None
        return dict(json.loads(line))


@dataclass(frozen=True)
class Forwarding:
    """A client asked to be connected to another host."""

    at: float
    host: str
    port: int


class SshLog:
    """Written in the server's thread, read in the scenario's; only ever appended to.

    `ways_back` are the addresses on the node that lead back to the client's side; `agents` are the
    sockets there that lead to the client's own SSH agent.
    """

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.ways_back: list[Forwarding] = []
        self.connections: list[Connection] = []
        self.authentications: list[Authentication] = []
        self.commands: list[Command] = []
        self.forwardings: list[Forwarding] = []

    @property
    def accepted(self) -> list[Authentication]:
        return [tried for tried in list(self.authentications) if tried.accepted]

    @property
    def hellos(self) -> list[dict[str, Any]]:
        """The first line of each lifeline."""
        return [hello for command in list(self.commands) if (hello := command.hello)]

    @property
    def lifelines(self) -> list[Command]:
        return [command for command in list(self.commands) if command.hello]

    @property
    def users(self) -> list[str]:
        """The users that were let in, one entry for each login."""
        return [tried.user for tried in self.accepted]


def gaps(connections: Sequence[Connection]) -> list[float]:
    """Seconds without a connection, from each connection's end to the beginning of the next."""
    return [
        later.opened_at - earlier.opened_at - earlier.span
        for earlier, later in pairwise(connections)
    ]
