"""What the keeper needs from the configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import ConfigInvalid
from rbee.runtime import bind
from rbee.runtime.client import address

# What a daemon listens on that listens everywhere is not what it is reached at.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`queen_url` is the queen's address; if it is this machine's, a queen may be started there."""

    queen_url: str
    config: Config

    @property
    def ca(self) -> Path | None:
        """The file with the only CAs that are trusted for an https:// address; None if none is
        named."""
        named = self.config.queen.ca
        return None if named is None else Path(named).expanduser()


def of(config: Config) -> KeeperSettings:
    """The settings that follow from the effective configuration."""
    queen = config.queen
    url = queen.url or url_of(queen.host, queen.port, queen.tls_cert is not None)
    return KeeperSettings(queen_url=url, config=config)


def url_of(host: str, port: int, tls: bool) -> str:
    """Where a queen is reached that listens on `host`. A certificate is for no address that stands
    for all of them."""
    return bind.url(_EVERYWHERE.get(host, host) if tls else host, port, tls)


def is_exposed(url: str) -> bool:
    """Whether what is sent to `url` crosses a network in plain text. Raises ValueError."""
    return url.startswith("http:") and not bind.is_loopback(address(url)[0])


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
            hint="Write [queen] url as https://HOST:PORT or http://HOST:PORT.",
        ) from None
