"""What a queen is told by flags and config file."""

from __future__ import annotations

import msgspec

from rbee.contract.config import Config


class QueenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The config holds the rest: sections queen, hive, models and times."""

    host: str
    port: int
    lifeline: bool
    insecure: bool
    config: Config
