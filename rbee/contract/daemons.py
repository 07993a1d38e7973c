"""What every daemon says about itself, and what it receives on its lifeline."""

from __future__ import annotations

from typing import Literal

import msgspec

from rbee.contract.nodes import Owner

# The hold of the process that has the queen's lifeline.
OWNER = "owner"

Lifetime = Literal["persistent", "ephemeral"]
QueenStatus = Literal["ok", "stalled"]


class Listening(msgspec.Struct, frozen=True, tag_field="event", tag="listening"):
    """The ready line: one line of JSON on stdout, once the daemon's port is bound."""

    program: str
    version: str
    pid: int
    url: str


class Failed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """Instead of the ready line, under a lifeline: why the daemon did not start."""

    program: str
    error: dict[str, object]


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line of a lifeline: what must not appear in argv or the environment.

    `bind` is the address to listen on; `announce` is the host to put in every URL. The daemon logs
    its start under `correlation_id`, that of the request that starts it.
    """

    api_key: str
    owner: Owner
    bind: str | None = None
    announce: str | None = None
    worker_api_key: str | None = None
    hf_token: str | None = None
    correlation_id: str = ""


class Assignment(msgspec.Struct, frozen=True):
    """What a standby worker reads before its Hello: the arguments to go on with, as if it had been
    started with them."""

    arguments: list[str]


class PidFile(msgspec.Struct, frozen=True):
    """`~/.rbee/<program>.pid`; `started` shows whether the pid has been reused."""

    program: str
    pid: int
    started: float
    url: str


class QueenHealth(msgspec.Struct, frozen=True):
    """GET /health of the queen, which needs no key.

    A queen is `stalled`, and answers with HTTP 503, if it has decided nothing for 5 s while tasks
    wait. An `ephemeral` queen ends with the last command that holds it.
    """

    status: QueenStatus
    program: str
    version: str
    pid: int
    lifetime: Lifetime = "persistent"


class Hold(msgspec.Struct, frozen=True):
    """The first event of GET /v2/hold."""

    hold_id: str


class Released(msgspec.Struct, frozen=True):
    """DELETE /v2/hold/{hold_id}: `stays` says whether the queen keeps running without this hold."""

    stays: bool


class Ack(msgspec.Struct, frozen=True):
    message: str
