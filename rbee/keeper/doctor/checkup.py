"""A look at everything. One thing that can't be looked at keeps none of the others from it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.keeper.doctor import check_daemons as daemons
from rbee.keeper.doctor import check_files as files
from rbee.keeper.doctor import check_programs as programs
from rbee.keeper.doctor import probe_daemons as probing
from rbee.keeper.doctor import probe_files as facts
from rbee.keeper.doctor import probe_programs as asking_programs
from rbee.keeper.doctor.check_daemons import Daemon
from rbee.keeper.doctor.findings import Finding, problem, warning
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import of

_NODES_WITHIN_S = 120.0
_UNREADABLE = "they were not looked at: the config file can't be read"
Look = Callable[[], Awaitable[Sequence[Finding]]]


class Examination:
    """One of them. First this machine is looked at as it is; then the nodes, for which a queen may
    have to be started, who ends with the look."""

    def __init__(self, units: Callable[[Config], Sequence[Finding]]) -> None:
        self._units = units
        self._config, self._file = facts.config()
        self._settings = of(self._config)
        self._key: str | None = None
        self._queen: Daemon | None = None
        self._registry: files.Database | None = None
        self._state: files.Folder | None = None

    async def run(self) -> list[Finding]:
        """Everything, in the order in which one thing stands on another."""
        here: list[tuple[str, Look]] = [
            ("config", self._look_at_config),
            ("programs", self._look_at_programs),
            ("state folder", self._look_at_state),
            ("API key", self._look_at_key),
            ("catalog", self._look_at_catalog),
            ("registry", self._look_at_registry),
            ("models folder", self._look_at_models),
            ("backends", self._look_at_computing),
        ]
        found = await asyncio.gather(*(_guarded(*each) for each in here))
        # The queen's own port may be looked at by the hive's, and so on: one after the other.
        for name, look in (
            ("queen", self._look_at_queen),
            ("hive", self._look_at_hive),
            ("worker ports", self._look_at_ports),
            ("pid files", self._look_at_pid_files),
            ("systemd", self._look_at_units),
            ("nodes", self._look_at_nodes),
            ("terminal", self._look_at_terminal),
        ):
            found.append(await _guarded(name, look))
        return [finding for findings in found for finding in findings]

    async def _look_at_config(self) -> Sequence[Finding]:
        return [files.config(self._file)]

    async def _look_at_programs(self) -> Sequence[Finding]:
        return [programs.programs(await asking_programs.programs(self._config), __version__)]

    async def _look_at_state(self) -> Sequence[Finding]:
        self._state = facts.folder(facts.state_folder())
        return [files.state(self._state)]

    async def _look_at_key(self) -> Sequence[Finding]:
        self._key, file = facts.key(self._config)
        return [files.key(file)]

    async def _look_at_catalog(self) -> Sequence[Finding]:
        found = facts.database("catalog", self._config.paths.catalog_db, "models.db")
        return [files.database(found)]

    async def _look_at_registry(self) -> Sequence[Finding]:
        found = facts.database("registry", self._config.paths.beehives_db, "beehives.db")
        self._registry = found
        return [files.database(found)]

    async def _look_at_models(self) -> Sequence[Finding]:
        return files.models(await asyncio.to_thread(facts.models, self._config))

    async def _look_at_computing(self) -> Sequence[Finding]:
        unknown: Finding | None = None
        if self._file.error is not None:  # rbee-hive could only say the same again
            unknown = warning("backends", _UNREADABLE)
        else:
            try:
                detected = await asking_programs.detected(self._config)
            except RbeeError as error:
                unknown = problem("backends", error.message, "rbee-hive detect")
        if unknown is not None:
            return [unknown, programs.memory(facts.memory(self._config, []))]
        usable = [
            each.memory_total_bytes
            for each in detected.hardware
            if each.backend in detected.backends
        ]
        memory = programs.memory(facts.memory(self._config, usable))
        return [programs.backends(detected), memory]

    async def _look_at_queen(self) -> Sequence[Finding]:
        self._queen = await probing.queen(self._settings, self._key)
        return [daemons.queen(self._queen)]

    async def _look_at_hive(self) -> Sequence[Finding]:
        return [daemons.hive(await probing.hive(self._config, self._key))]

    async def _look_at_ports(self) -> Sequence[Finding]:
        port = probing.workers(self._config)
        if port is None:
            return [warning("worker ports", "they were not looked at: see the hive's address")]
        return [daemons.workers(port)]

    async def _look_at_pid_files(self) -> Sequence[Finding]:
        return [daemons.pid_files(facts.stale_pid_files())]

    async def _look_at_units(self) -> Sequence[Finding]:
        return self._units(self._config)

    async def _look_at_nodes(self) -> Sequence[Finding]:
        if self._knows_no_node():
            return daemons.nodes([])
        if (reason := self._unaskable()) is not None:
            return [warning("nodes", f"they were not looked at: {reason}")]
        queen = Queen(self._settings)
        try:
            await queen.reach()
            found = await queen.client.call(ep.QUEEN_CHECK_NODES, within_s=_NODES_WITHIN_S)
            return daemons.nodes(found.nodes)
        finally:
            await queen.release()

    def _knows_no_node(self) -> bool:
        registry = self._registry
        if registry is None or registry.damage is not None or self._file.error is not None:
            return False
        return not self._config.nodes and not facts.has_nodes(registry)

    def _unaskable(self) -> str | None:
        """Why no queen can tell of the nodes; none is started where she would meet, or mend, what
        has just been found."""
        if self._file.error is not None:
            return "the config file can't be read"
        if self._registry is None or self._registry.damage is not None:
            return "the registry is damaged"
        if self._state is None or self._state.obstacle is not None:
            return "the state folder can't be written"
        queen = self._queen
        if queen is None or queen.state in ("held", "hung", "away"):
            return "no queen can be asked"
        if queen.refuses_key or queen.mismatch is not None:
            return "the queen that runs is another one"
        return None

    async def _look_at_terminal(self) -> Sequence[Finding]:
        return [programs.terminal(sys.stdout.encoding or "ascii")]


async def _guarded(name: str, look: Look) -> Sequence[Finding]:
    try:
        return await look()
    except RbeeError as error:
        return [problem(name, error.message, error.advice)]
    except Exception as error:
        return [warning(name, f"it could not be looked at: {error}")]
