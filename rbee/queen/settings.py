"""The queen's settings, from flags and the config file."""

from __future__ import annotations

from rbee.runtime.daemon_settings import DaemonSettings


class QueenSettings(DaemonSettings, frozen=True, kw_only=True):
    """Beside them the queen uses the sections queen, hive, models and times of `config`."""
