"""Messages about API keys: who holds one, what it opens, and when it was last used."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Role = Literal["use", "manage"]

# Whose key it is in logs and metrics if it has no name: the queen's own, ~/.rbee/api_key.
OPERATOR = "operator"

KeyName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")]
Limit = Annotated[int, Meta(ge=1, le=10_000)]
AllowedModel = Annotated[str, Meta(min_length=1, max_length=4096)]


class CreateKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v2/keys. A key of the role `use` asks models and lists them; one of the role `manage`
    does everything. `limit` is how many of its tasks may run or wait at once. Without `models`,
    it may use every model, but a file by its path only if the config file names it."""

    name: KeyName
    role: Role = "use"
    limit: Limit | None = None
    models: Annotated[list[AllowedModel], Meta(max_length=256)] = []

    def __post_init__(self) -> None:
        if self.name == OPERATOR:
            raise ValueError("name: Expected another name, because the queen's own key has this")
        if self.models and self.role == "manage":
            raise ValueError("models: Expected none for the role manage, which loads any model")


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key by what may be shown of it: it begins with `prefix`. Times in seconds since the epoch;
    `last_used_unix` is None for a key that was never used."""

    name: str
    prefix: str
    role: Role
    limit: int | None
    models: list[str]
    created_unix: int
    last_used_unix: int | None


class KeyCreated(KeyRow, frozen=True, kw_only=True):
    """The reply that holds the `key` itself: nothing else ever shows it again."""

    key: str


class KeyRows(msgspec.Struct, frozen=True):
    """GET /v2/keys."""

    keys: list[KeyRow]
