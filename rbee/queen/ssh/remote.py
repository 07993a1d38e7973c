"""Another machine, as the queen's services use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec


class Result(msgspec.Struct, frozen=True):
    """How a script ended, and what it wrote."""

    code: int
    out: str
    err: str


class Remote(Protocol):
    """One node, reached by SSH. Raises SSH_CONNECTION_FAILED where it can't be."""

    node: str

    async def run(
        self,
        script: str,
        *words: str,
        within_s: float = 30.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run the POSIX sh `script` there; `words` arrive as $1, $2 … as they are. `on_line` hears
        each line of both outputs as it comes."""
        ...

    async def put(self, source: Path | bytes, path: str) -> None:
        """Write a file there; a relative `path` is relative to the home."""
        ...
