"""Messages about API keys: who holds one, what it opens, and when it was last used."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Role = Literal["use", "manage"]

# Whose key it is in logs and metrics if it has no name: the queen's own, ~/.rbee/api_key.
OPERATOR = "operator"

KeyName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")]
Limit = Annotated[int, Meta(ge=1, le=10_000)]
QueueLimit = Annotated[int, Meta(ge=0, le=100_000)]
Weight = Annotated[float, Meta(ge=0.01, le=100)]
AllowedModel = Annotated[str, Meta(min_length=1, max_length=4096)]


class CreateKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v2/keys. A key of the role `use` asks models and lists them; one of the role `manage`
    does everything. `limit` is how many of its tasks may run or wait at once, `queue_limit` how
    many may wait for a slot; without them only the queen's own limits count. While keys wait for
    each other, each gets tokens in proportion to its `weight`. Without `models`, it may use every
    model, but a file by its path only if the config file names it."""

    name: KeyName
    role: Role = "use"
    limit: Limit | None = None
    queue_limit: QueueLimit | None = None
    weight: Weight = 1.0
    models: Annotated[list[AllowedModel], Meta(max_length=256)] = []

    def __post_init__(self) -> None:
        if self.name == OPERATOR:
            raise ValueError("name: Expected another name, because the queen's own key has this")
        if self.models and self.role == "manage":
            raise ValueError("models: Expected none for the role manage, which loads any model")


class ChangeKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v2/keys/{name}. What is not given stays as it is; a limit that is null is no limit."""

    limit: Limit | UnsetType | None = UNSET
    queue_limit: QueueLimit | UnsetType | None = UNSET
    weight: Weight | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.changes:
            raise ValueError("weight: Expected it, or limit or queue_limit")

    @property
    def changes(self) -> dict[str, int | float | None]:
        """What is given, by its name."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in given.items() if value is not UNSET}


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key by what may be shown of it: it begins with `prefix`. Times in seconds since the epoch;
    `last_used_unix` is None for a key that was never used."""

    name: str
    prefix: str
    role: Role
    limit: int | None
    queue_limit: int | None
    weight: float
    models: list[str]
    created_unix: int
    last_used_unix: int | None


class KeyCreated(KeyRow, frozen=True, kw_only=True):
    """The reply that holds the `key` itself: nothing else ever shows it again."""

    key: str


class KeyRows(msgspec.Struct, frozen=True):
    """GET /v2/keys."""

    keys: list[KeyRow]
