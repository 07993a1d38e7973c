"""What a node's `rbee-hive detect --json` says, out of all that came over SSH."""

from __future__ import annotations

import contextlib

import msgspec

from rbee.contract.nodes import Detected


def detected(said: str) -> Detected | None:
    """On one line or on many; what stands before it is what the login shell says to everybody."""
    lines = said.splitlines()
    for turn, line in enumerate(lines):
        if line.startswith("{"):
            for text in (line, "\n".join(lines[turn:])):
                with contextlib.suppress(msgspec.MsgspecError):
                    return msgspec.json.decode(text, type=Detected)
    return None
