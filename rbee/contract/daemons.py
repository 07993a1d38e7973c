"""What every daemon says of itself, and what it is told on its lifeline."""

from __future__ import annotations

from typing import Literal

import msgspec

from rbee.contract.nodes import Owner

# The hold of whoever has the queen's lifeline.
OWNER = "owner"

Lifetime = Literal["persistent", "ephemeral"]


class Listening(msgspec.Struct, frozen=True, tag_field="event", tag="listening"):
    """The ready line: one line of JSON on stdout, once the daemon's port is bound."""

    program: str
    version: str
    pid: int
    url: str


class Failed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """In place of the ready line, under a lifeline: why the daemon does not come up."""

    program: str
    error: dict[str, object]


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line of a lifeline: what must stand neither in argv nor in the environment.

    `bind` is the address to listen on, `announce` the host to put in every URL, `correlation_id`
    that of the request which starts the daemon: it logs its beginning under it.
    """

    api_key: str
    owner: Owner
    bind: str | None = None
    announce: str | None = None
    worker_api_key: str | None = None
    hf_token: str | None = None
    correlation_id: str = ""


class PidFile(msgspec.Struct, frozen=True):
    """`~/.rbee/<program>.pid`; `started` tells a reused pid from the true one."""

    program: str
    pid: int
    started: float
    url: str


class QueenHealth(msgspec.Struct, frozen=True):
    """GET /health of the queen, the one route that needs no key.

    An `ephemeral` queen ends with the last command that holds it.
    """

    status: Literal["ok"]
    program: str
    version: str
    pid: int
    lifetime: Lifetime = "persistent"


class Hold(msgspec.Struct, frozen=True):
    """The first event of GET /v2/hold."""

    hold_id: str


class Released(msgspec.Struct, frozen=True):
    """DELETE /v2/hold/{hold_id}: whether the queen goes on without this hold."""

    stays: bool


class Ack(msgspec.Struct, frozen=True):
    message: str
