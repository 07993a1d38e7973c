"""The keys that open a daemon, and who holds each.

A daemon knows a key by its SHA-256: that is enough to recognize the key, and to prove that it is
known (see `rbee.runtime.proof`), and a file of them opens nothing.
"""

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from typing import Protocol

import msgspec

from rbee.contract import keys
from rbee.contract.hashing import is_equal, sha256
from rbee.contract.keys import Role

PREFIX = "rbee_"
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# A named key: its public part tells which one it is, the rest is the secret of 256 bits.
_NAMED = rf"{PREFIX}([a-z0-9]{{8}})_[A-Za-z0-9_-]{{43}}"


class Caller(msgspec.Struct, eq=False):
    """Whose key opened the door, and what it opens: one object for each key. Without `models`,
    every model is allowed. `limit` is how many of its tasks may be in flight at once, `queue_limit`
    how many may wait for a slot, None for as many as there are, and `weight` its share beside other
    keys; only the keyring changes these three. `revoked` is set when the key is; None for a key
    that can't be."""

    name: str
    role: Role
    models: tuple[str, ...] = ()
    limit: int | None = None
    queue_limit: int | None = None
    weight: float = 1.0
    revoked: asyncio.Event | None = None


class Keyring(Protocol):
    """The keys of one daemon."""

    def caller(self, key: str) -> Caller | None:
        """Who holds `key`; None if it opens nothing. Takes the same time for every wrong key."""

    def digest(self, key_id: str) -> bytes | None:
        """The digest of the key with this id; None if there is none."""


class OneKey:
    """The operator's own key, which manages everything."""

    def __init__(self, key: str) -> None:
        self._digest = digest_of(key)
        self._id = id_of(key)

    def caller(self, key: str) -> Caller | None:
        """The operator, or nobody."""
        return OPERATOR if is_equal(digest_of(key), self._digest) else None

    def digest(self, key_id: str) -> bytes | None:
        """The digest, if the operator's key is asked for."""
        return self._digest if key_id == self._id else None


OPERATOR = Caller(keys.OPERATOR, "manage")

# Whose request is being answered; the operator's where no key is wanted.
caller: ContextVar[Caller] = ContextVar("caller", default=OPERATOR)


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key, 32 bytes."""
    return sha256(key.encode(errors="replace"))


def new_key() -> str:
    """A key with a public part, and a secret of 256 bits."""
    import secrets

    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    return f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"


def id_of(key: str) -> str:
    """The public part of a named key; "" for the operator's own, and for whatever else it is."""
    named = re.fullmatch(_NAMED, key)
    return named[1] if named else ""
