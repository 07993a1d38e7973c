"""The command line with which one of our programs starts a daemon.

It is written and read without click, whose import takes as long as a twentieth of a daemon's start,
for which somebody waits. What a person types is read by `rbee.runtime.daemon_flags`.
"""

from __future__ import annotations

from collections.abc import Sequence


def write(port: int, host: str | None = None, *switches: str) -> list[str]:
    """What follows the daemon's program. A port of 0 is any free port; without a host, the daemon
    listens where its configuration says."""
    address = ["--port", str(port)] if host is None else ["--host", host, "--port", str(port)]
    return ["daemon", "--lifeline", *address, *switches]


def read(words: Sequence[str], *switches: str) -> dict[str, object] | None:
    """The flags that click would make of `words`, each of the `switches` among them, or None if
    `write` does not write such words."""
    match words:
        case ["daemon", "--lifeline", "--host", host, "--port", port, *given]:
            address: dict[str, object] = {"host": host}
        case ["daemon", "--lifeline", "--port", port, *given]:
            address = {"host": None}
        case _:
            return None
    if not port.isdecimal() or int(port) > 65535 or not set(given) <= set(switches):
        return None
    named = {each.removeprefix("--").replace("-", "_"): each in given for each in switches}
    flags = {"lifeline": True, "insecure": False, "show_settings": False}
    return address | {"port": int(port)} | flags | named
