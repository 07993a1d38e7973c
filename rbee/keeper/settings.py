"""What the keeper needs of the config file."""

from __future__ import annotations

import msgspec

from rbee.contract.config import Config
from rbee.runtime import bind


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`queen_url` is where the queen is, or is started if that is this machine."""

    queen_url: str
    config: Config


def of(config: Config) -> KeeperSettings:
    """From the effective configuration."""
    queen = config.queen
    return KeeperSettings(queen_url=queen.url or bind.url(queen.host, queen.port), config=config)
