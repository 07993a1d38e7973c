"""The queen's settings, from flags and the config file."""

from __future__ import annotations

import msgspec

from rbee.contract.config import Config


class QueenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What flags set; `config` holds everything else."""

    host: str
    port: int
    lifeline: bool
    insecure: bool
    config: Config
