"""A process that waits to become a worker: whatever does not depend on the model is done already.

Its hive sends the arguments of the worker once it is to be one; from then on it is like any other
(see `rbee.contract.daemons.Assignment`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select

import msgspec

from rbee.contract.daemons import Assignment
from rbee.contract.errors import ConfigInvalid
from rbee.runtime.parent import die_with_parent
from rbee.runtime.process_arguments import show_arguments
from rbee.worker import late_imports

_LISTENS_WITH = ("rbee.runtime.settings", "rbee.worker.app")


def wait_for_arguments() -> list[str] | None:
    """Get ready, and wait for the arguments; None if the hive ends without having sent any. Raises
    CONFIG_INVALID for anything else."""
    die_with_parent()
    if _has_ended(0):
        return None
    # Whatever is wrong, the load meets it again and reports it.
    with contextlib.suppress(Exception):
        _get_ready()
    line = _read_line(0)
    if not line:
        return None
    try:
        arguments = msgspec.json.decode(line, type=Assignment).arguments
    except msgspec.MsgspecError as error:
        raise ConfigInvalid(
            f"With --standby a worker reads its options from standard input, but: {error}.",
            source="--standby",
            key="standard input",
            hint="Leave the flag out when you start a worker by hand.",
        ) from None
    show_arguments(arguments)
    return arguments


def _has_ended(descriptor: int) -> bool:
    """Whether the other end of a pipe is closed, and nothing is left to read in it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(events & select.POLLHUP and not events & select.POLLIN for _, events in poll.poll(0))


def _get_ready() -> None:
    for name in _LISTENS_WITH:
        importlib.import_module(name)
    late_imports.import_now()
    from rbee.worker.model import llama
    from rbee.worker.model.templates import renderers

    llama.initialise()
    renderers.start_ahead()


def _read_line(descriptor: int) -> bytes:
    """Up to the line's end, and not a byte more: what follows is for the lifeline."""
    line = bytearray()
    while (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line) if byte else b""
