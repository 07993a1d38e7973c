"""The models that other hives may fetch from this one, each with a ticket.

A ticket is a key that opens one route, for the files of one model, for an hour. The hive's own key
never leaves it: the queen asks for a ticket, and passes that on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from rbee.contract.errors import InvalidRequest, ModelNotFound, NotFound
from rbee.contract.hashing import is_equal
from rbee.contract.model_ref import ModelRef
from rbee.contract.models import SharedFile, SharedModel
from rbee.gguf import split
from rbee.hive.models.inventory import Inventory
from rbee.runtime.concurrency import in_thread
from rbee.runtime.keyring import Caller, Keyring, digest_of, id_of, new_key

TICKET_S = 3600.0
_MOST = 256
_log = logging.getLogger("model-provisioner")


class _Ticket:
    def __init__(self, key: str, files: dict[str, Path], expires_at: float) -> None:
        self.digest = digest_of(key)
        self.files = files
        self.expires_at = expires_at
        self.caller = Caller(f"ticket-{id_of(key)}", "use")


class SharedModels:
    """The tickets, and what they are for. It is the hive's keyring as well: besides its own keys a
    ticket opens what a key of the role `use` does, which is only the route of the files."""

    def __init__(
        self,
        inventory: Inventory,
        keys: Keyring | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `keys` the hive is open to everybody, and shares nothing."""
        self._inventory = inventory
        self._keys = keys
        self._clock = clock
        self._tickets: dict[str, _Ticket] = {}

    async def share(self, ref: ModelRef) -> SharedModel:
        """A ticket for a model. Raises MODEL_NOT_FOUND if it is not here, not whole, or without a
        known hash, and INVALID_REQUEST if this hive wants no keys."""
        if self._keys is None:
            message = "This hive runs without a key, and shares no models"
            raise InvalidRequest.of("model", "a hive with a key", message, str(ref))
        stored = await self._inventory.find(ref) if ref.scheme == "hf" else None
        if stored is None or stored.row is None or stored.row.sha256 is None:
            message = f"{ref} is not on this node with a known hash."
            raise ModelNotFound(message, model=str(ref), near=[])
        paths = [stored.path.with_name(name) for name in split.parts(stored.path.name)]
        sizes = await in_thread(lambda: [path.stat().st_size for path in paths])
        sums = stored.row.sha256.split(",")
        key = new_key()
        self._keep(id_of(key), _Ticket(key, {path.name: path for path in paths}, self._expiry()))
        _log.info("a ticket for %s was made", stored.reference)
        files = [
            SharedFile(path.name, size, sha256)
            for path, size, sha256 in zip(paths, sizes, sums, strict=True)
        ]
        return SharedModel(str(stored.reference), files, key, TICKET_S)

    def file(self, who: Caller, name: str) -> Path:
        """A file of the model that the ticket of `who` is for. Raises INVALID_REQUEST (404)."""
        path = next(
            (each.files.get(name) for each in self._tickets.values() if each.caller is who), None
        )
        if path is None or not path.is_file():
            message = "There is no such file, or the key is not its ticket"
            raise NotFound.of("name", "a file that the ticket is for", message, name)
        return path

    # As a keyring

    def caller(self, key: str) -> Caller | None:
        """Who holds `key`: the hive's own callers, or the holder of a ticket."""
        ticket = self._valid(id_of(key))
        if ticket is not None and is_equal(digest_of(key), ticket.digest):
            return ticket.caller
        return self._keys.caller(key) if self._keys is not None else None

    def digest(self, key_id: str) -> bytes | None:
        """The digest of the key or the ticket with this id; None if there is none."""
        ticket = self._valid(key_id)
        if ticket is not None:
            return ticket.digest
        return self._keys.digest(key_id) if self._keys is not None else None

    def _valid(self, key_id: str) -> _Ticket | None:
        ticket = self._tickets.get(key_id)
        return ticket if ticket is not None and ticket.expires_at > self._clock() else None

    def _expiry(self) -> float:
        return self._clock() + TICKET_S

    def _keep(self, key_id: str, ticket: _Ticket) -> None:
        """Forget those that have expired, and the oldest if there are too many."""
        now = self._clock()
        known = [(name, each) for name, each in self._tickets.items() if each.expires_at > now]
        self._tickets = {**dict(known[1 - _MOST :]), key_id: ticket}
