"""Folders for models, which several people of a machine may fill."""

from __future__ import annotations

import stat
from pathlib import Path

_GROUPS = stat.S_ISGID | stat.S_IRWXG


def folder(path: Path) -> None:
    """Make it, and those above it. Below one that a group shares (setgid, as `rbee-keeper install
    --system` advises) it is shared, too, whatever the umask."""
    if path.is_dir():
        return
    folder(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_dir():  # somebody was faster
            return
        raise
    above = path.parent.stat().st_mode
    if above & stat.S_ISGID and above & stat.S_IWGRP:
        path.chmod(stat.S_IMODE(path.stat().st_mode) | (above & _GROUPS))
