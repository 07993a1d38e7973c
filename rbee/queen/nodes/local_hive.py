"""The process of this machine's hive, which can be started ahead of the queen's own imports: so
nothing heavy is imported here."""

from __future__ import annotations

import contextlib

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.runtime import daemon_words, paths
from rbee.runtime.prepared import Prepared

_PROGRAM = "rbee-hive"


class LocalHive:
    """What is prepared does its imports and then waits: it listens nowhere, and nobody can find it,
    before it is taken and begun."""

    def __init__(self, config: Config) -> None:
        self._settings = config.hive
        self._prepared: Prepared | None = None

    def prepare(self) -> None:
        """Start it ahead. An error is left for the real start to report."""
        with contextlib.suppress(RbeeError):
            self._prepared = Prepared(self._command(self._settings.port))

    def take(self, port: int) -> Prepared:
        """The process of a hive that will listen on `port`; the caller's from now on. Raises
        CONFIG_INVALID and PROGRAM_FAILED."""
        command, prepared = self._command(port), self._prepared
        if prepared is not None and prepared.is_running and prepared.command == command:
            self._prepared = None
            return prepared
        self.close()
        return Prepared(command)

    def close(self) -> None:
        """End what was prepared and not taken. It ends its own standby worker first."""
        if self._prepared is not None:
            self._prepared.end()
            self._prepared = None

    def _command(self, port: int) -> list[str]:
        program = paths.program(_PROGRAM, self._settings.command)
        return [*program, *daemon_words.write(port, self._settings.host)]
