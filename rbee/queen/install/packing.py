"""What of this installation is sent to a node: all of it where it runs there, else rbee alone."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import msgspec

from rbee.contract.errors import ProgramFailed
from rbee.queen.install import wheels as wheel
from rbee.queen.install.compatibility import Machine, difference
from rbee.queen.install.on_node.facts import machine


class Packed(msgspec.Struct, frozen=True):
    """`whole`: nothing else is needed; where it is not, `why`."""

    wheels: list[Path]
    whole: bool
    why: str = ""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(path.stat().st_size for path in self.wheels)


def pack(folder: Path, node: str, theirs: Machine, backend: str | None) -> Packed:
    """Make the wheels in `folder`. Takes seconds, much of it outside of Python.

    Raises PROGRAM_FAILED where rbee was not installed here as a package.
    """
    try:
        own = wheel.make_own(folder)
    except wheel.NoWheelError as error:
        raise ProgramFailed(
            f"This installation can't be sent to {node}: {error}.",
            program="rbee",
            reason=str(error),
            hint="Install rbee here with pip, or name a repository: setup add-node … --git-repo.",
        ) from None
    try:
        known = wheel.closure()
        why = _against(known, theirs, backend)
        if why is None:
            return Packed([own, *(wheel.make(one, folder) for one in known[1:])], whole=True)
    except wheel.NoWheelError as error:
        why = str(error)
    return Packed([own], whole=False, why=why)


def _against(known: list[Distribution], theirs: Machine, backend: str | None) -> str | None:
    """Why what this machine has compiled is of no use there."""
    if backend in ("cuda", "metal", "vulkan"):
        return f"llama.cpp is built there for {backend}"
    cards = wheel.cards_of_llama(known)
    if backend == "cpu" and cards:
        return f"llama.cpp is built for {', '.join(cards)} here"
    ours = msgspec.convert(machine(), Machine)
    return difference(ours, theirs, native=wheel.is_native(known))
