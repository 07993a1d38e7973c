"""Who holds which key of the queen, in memory: the operator, and the keys with names.

Every wrong key takes the same time: it is hashed, and its digest is compared once, with the digest
of the key that has its id, or with one that no key has. The digests are compared in constant time,
and whoever asks can't choose their bytes. The id of a key is public: it stands in the listing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from rbee.contract.errors import NameTaken, NotFound, RbeeError
from rbee.contract.hashing import is_equal
from rbee.contract.keys import ChangeKey, CreateKey, KeyCreated, KeyRow
from rbee.queen.keys.key_file import KeyFile, StoredKey
from rbee.runtime.concurrency import finish, in_thread
from rbee.runtime.keyring import Caller, OneKey, digest_of, id_of, new_key

# How long another queen's change, or the last use of a key, may take to be seen.
_LOOK_EVERY_S = 1.0
_WRITE_USE_EVERY_S = 60.0
T = TypeVar("T", StoredKey, KeyRow)
_log = logging.getLogger("queen-rbee")


class _Known(msgspec.Struct, eq=False):
    """A key in memory. `last_used_unix` may be later than in the file."""

    stored: StoredKey
    digest: bytes
    caller: Caller
    last_used_unix: int | None


class Keyring:
    """All keys of the queen. `clock` gives the time in seconds since the epoch."""

    def __init__(self, own: str, file: KeyFile, clock: Callable[[], float] = time.time) -> None:
        """`own` is the operator's key."""
        self._operator = OneKey(own)
        self._nobody = digest_of(secrets.token_hex(32))
        self._file = file
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._look()

    def caller(self, key: str) -> Caller | None:
        """Who holds `key`; None if it opens nothing."""
        operator = self._operator.caller(key)
        known = self._of(id_of(key))
        is_it = is_equal(digest_of(key), known.digest if known else self._nobody)
        if operator is not None:
            return operator
        if known is None or not is_it:
            return None
        known.last_used_unix = int(self._clock())
        return known.caller

    def digest(self, key_id: str) -> bytes | None:
        """The digest of the key with this id; None if there is none."""
        known = self._of(key_id)
        return known.digest if known else self._operator.digest(key_id)

    def rows(self) -> list[KeyRow]:
        """Every key with a name, by name."""
        self._look()
        known = sorted(self._known.values(), key=lambda each: each.stored.name)
        return [
            msgspec.structs.replace(each.stored.row, last_used_unix=each.last_used_unix)
            for each in known
        ]

    async def create(self, asked: CreateKey) -> KeyCreated:
        """Make a key; `asked.models` are whole references. Raises INVALID_REQUEST (409) for a name
        that is taken, and STATE_NOT_WRITABLE."""
        key = new_key()
        made = StoredKey(
            id=id_of(key),
            name=asked.name,
            sha256=digest_of(key).hex(),
            role=asked.role,
            limit=asked.limit,
            queue_limit=asked.queue_limit,
            weight=asked.weight,
            models=asked.models,
            created_unix=int(self._clock()),
        )

        def add(keys: list[StoredKey]) -> list[StoredKey]:
            if any(each.name == made.name for each in keys):
                raise NameTaken.of(
                    "name",
                    "a name that no key has",
                    f"Another key is called {made.name}",
                    made.name,
                    f"Choose another name, or revoke that key: rbee-keeper auth revoke {made.name}",
                )
            return [*keys, made]

        await self._change(add)
        _log.info("the key %s was made, with the role %s", made.name, made.role)
        return KeyCreated(**msgspec.structs.asdict(made.row), key=key)

    async def revoke(self, name: str) -> None:
        """End a key, its requests and its streams. Raises INVALID_REQUEST (404) for an unknown
        name, and STATE_NOT_WRITABLE."""

        def remove(keys: list[StoredKey]) -> list[StoredKey]:
            _find(keys, name)
            return [each for each in keys if each.name != name]

        await self._change(remove)
        _log.info("the key %s was revoked", name)

    async def change(self, name: str, asked: ChangeKey) -> KeyRow:
        """Change the limits or the weight of a key; what it asks for goes on. Raises
        INVALID_REQUEST (404) for an unknown name, and STATE_NOT_WRITABLE."""

        def replaced(keys: list[StoredKey]) -> list[StoredKey]:
            found = _find(keys, name)
            changed = msgspec.structs.replace(found, **asked.changes)
            return [changed if each is found else each for each in keys]

        await self._change(replaced)
        _log.info("the key %s was changed: %s", name, asked.changes)
        return _find(self.rows(), name)

    async def watch(self) -> None:
        """Until canceled: notice what other queens of this HOME change, and write down the last
        uses, at most once a minute and at the end."""
        written = self._clock()
        try:
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                self._look()
                if self._clock() - written >= _WRITE_USE_EVERY_S:
                    written = self._clock()
                    await self._write_use()
        finally:
            await finish(self._write_use())

    async def _write_use(self) -> None:
        uses = {
            each.stored.id: each.last_used_unix
            for each in self._known.values()
            if each.last_used_unix != each.stored.last_used_unix
        }

        def note(keys: list[StoredKey]) -> list[StoredKey]:
            return [
                msgspec.structs.replace(
                    each, last_used_unix=_later(each.last_used_unix, uses.get(each.id))
                )
                for each in keys
            ]

        if uses:
            # It is written again in a minute; a disk that is full keeps nobody out.
            with contextlib.suppress(RbeeError):
                await self._change(note)

    async def _change(self, change: Callable[[list[StoredKey]], list[StoredKey]]) -> None:
        await in_thread(self._file.change, change)
        self._look()

    def _of(self, key_id: str) -> _Known | None:
        if key_id:
            self._look()
        return self._known.get(key_id)

    def _look(self) -> None:
        """Another queen of this HOME may have made or revoked a key."""
        if self._file.has_changed() and (keys := self._file.read()) is not None:
            self._take(keys)

    def _take(self, keys: list[StoredKey]) -> None:
        """Know these keys, and no others. A key that was known stays the same caller, unless it
        opens something else now."""
        before, self._known = self._known, {}
        for key in keys:
            old = before.get(key.id)
            if old is not None and _opens(old.stored) == _opens(key):
                used = _later(old.last_used_unix, key.last_used_unix)
                known = _Known(key, old.digest, old.caller, used)
                del before[key.id]
            else:
                who = Caller(key.name, key.role, tuple(key.models), revoked=asyncio.Event())
                known = _Known(key, bytes.fromhex(key.sha256), who, key.last_used_unix)
            who = known.caller
            who.limit, who.queue_limit, who.weight = key.limit, key.queue_limit, key.weight
            self._known[key.id] = known
        for gone in before.values():
            if gone.caller.revoked is not None:
                gone.caller.revoked.set()


def _find(keys: Iterable[T], name: str) -> T:
    """The key with this name. Raises INVALID_REQUEST (404)."""
    for key in keys:
        if key.name == name:
            return key
    message = f"No key is called {name!r}"
    hint = "See the names: rbee-keeper auth list"
    raise NotFound.of("name", "a key with a name", message, name, hint)


def _opens(key: StoredKey) -> tuple[object, ...]:
    """What makes it another key if it changes."""
    return key.name, key.sha256, key.role, key.models


def _later(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)
