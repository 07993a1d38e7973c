"""The settings of a daemon, from its flags and the configuration, and the exit on bad ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.runtime.error_text import explain

S = TypeVar("S", bound="DaemonSettings")


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a daemon listens and who it obeys. `config` holds everything else."""

    host: str
    port: int
    lifeline: bool
    insecure: bool
    config: Config


def daemon_settings(kind: type[S], section: str, flags: Mapping[str, object]) -> S:
    """The settings of the daemon of a section, from flags and configuration. With --show-settings,
    print them and exit."""
    config = settings_or_exit({f"{section}.{name}": flags[name] for name in ("host", "port")})
    if flags["show_settings"]:
        show_settings(config)
        sys.exit()
    own = getattr(config, section)
    given = {name: bool(flags[name]) for name in ("lifeline", "insecure")}
    return kind(host=own.host, port=own.port, config=config, **given)


def settings_or_exit(flags: Mapping[str, object]) -> Config:
    """The effective configuration. If it is not valid, print why and exit."""
    from rbee.runtime import settings

    try:
        return settings.load(flags)
    except RbeeError as error:
        print(explain(error), file=sys.stderr, flush=True)
        sys.exit(error.exit_code)


def show_settings(config: Config) -> None:
    """Print the effective settings as TOML."""
    from rbee.runtime import settings

    print(settings.show(config), end="", flush=True)
