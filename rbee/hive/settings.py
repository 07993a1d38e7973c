"""The settings of a hive, from flags and config file."""

from __future__ import annotations

import msgspec

from rbee.contract.config import Config


class HiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The config holds the rest: sections hive, worker, models and times."""

    host: str
    port: int
    lifeline: bool
    insecure: bool
    config: Config
