"""What the keeper needs from the configuration."""

from __future__ import annotations

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import ConfigInvalid
from rbee.runtime import bind
from rbee.runtime.client import address


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`queen_url` is the queen's address; if it is this machine's, a queen may be started there."""

    queen_url: str
    config: Config


def of(config: Config) -> KeeperSettings:
    """The settings that follow from the effective configuration."""
    queen = config.queen
    return KeeperSettings(queen_url=queen.url or bind.url(queen.host, queen.port), config=config)


def address_of(settings: KeeperSettings) -> tuple[str, int]:
    """Host and port of the queen. Raises CONFIG_INVALID if its URL is not valid."""
    queen = settings.config.queen
    if queen.url is None:
        return queen.host, queen.port
    try:
        return address(queen.url)
    except ValueError:
        raise ConfigInvalid(
            f"{queen.url!r} is not an address of a queen.",
            source="config",
            key="queen.url",
            hint="Write [queen] url as http://HOST:PORT.",
        ) from None
