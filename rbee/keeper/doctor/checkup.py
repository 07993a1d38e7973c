"""The doctor's checks, all of them. One that fails does not prevent the others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rbee import __version__
from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.contract.nodes import Detected
from rbee.contract.registry import NodeCheck
from rbee.keeper.doctor import (
    check_daemons,
    check_files,
    check_programs,
    probe_daemons,
    probe_files,
    probe_programs,
)
from rbee.keeper.doctor.check_daemons import Daemon, Port
from rbee.keeper.doctor.check_files import Database, Folder, ModelsFolder
from rbee.keeper.doctor.check_programs import Program
from rbee.keeper.doctor.findings import Finding, problem, warning
from rbee.keeper.settings import KeeperSettings, of

_UNREADABLE = "not checked: the config file can't be read"

Check: TypeAlias = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True)
class Probes:
    """What is asked of the machine."""

    programs: Callable[[Config], Awaitable[Sequence[Program]]] = probe_programs.programs
    detect: Callable[[Config], Awaitable[Detected]] = probe_programs.detect
    folder: Callable[[Path], Folder] = probe_files.folder
    database: Callable[[str, str | None, str], Database] = probe_files.database
    models: Callable[[Config], ModelsFolder] = probe_files.models
    stale_pid_files: Callable[[], Sequence[str]] = probe_files.stale_pid_files
    queen: Callable[[KeeperSettings, str | None], Awaitable[Daemon]] = probe_daemons.queen
    hive: Callable[[Config, str | None], Awaitable[Daemon]] = probe_daemons.hive
    worker_port: Callable[[Config], Port | None] = probe_daemons.worker_port
    nodes: Callable[[KeeperSettings], Awaitable[Sequence[NodeCheck]]] = probe_daemons.nodes


class Checkup:
    """One run of all checks. First this machine is checked as it is; then the nodes, for which a
    queen may have to be started, which ends afterwards."""

    def __init__(self, probes: Probes = Probes()) -> None:
        self._probes = probes
        self._config, self._file = probe_files.config()
        self._settings = of(self._config)
        self._key: str | None = None
        self._queen: Daemon | None = None
        self._registry: Database | None = None
        self._state: Folder | None = None

    async def run(self) -> list[Finding]:
        """Check everything, each thing after those that it depends on."""
        independent: list[tuple[str, Check]] = [
            ("config", self._check_config),
            ("programs", self._check_programs),
            ("state folder", self._check_state),
            ("API key", self._check_key),
            ("certificate", self._check_certificate),
            ("catalog", self._check_catalog),
            ("registry", self._check_registry),
            ("models folder", self._check_models),
            ("backends", self._check_backends),
        ]
        findings = await asyncio.gather(*(_guarded(*each) for each in independent))
        # These may meet each other's ports: one after another.
        for name, check in (
            ("queen", self._check_queen),
            ("hive", self._check_hive),
            ("worker ports", self._check_worker_ports),
            ("pid files", self._check_pid_files),
            ("systemd", self._check_units),
            ("nodes", self._check_nodes),
            ("terminal", self._check_terminal),
        ):
            findings.append(await _guarded(name, check))
        return [finding for each in findings for finding in each]

    async def _check_config(self) -> Sequence[Finding]:
        return [check_files.config(self._file)]

    async def _check_programs(self) -> Sequence[Finding]:
        return [check_programs.programs(await self._probes.programs(self._config), __version__)]

    async def _check_state(self) -> Sequence[Finding]:
        self._state = self._probes.folder(probe_files.state_folder())
        return [check_files.state(self._state)]

    async def _check_key(self) -> Sequence[Finding]:
        self._key, file = probe_files.key(self._config)
        return [check_files.key(file)]

    async def _check_certificate(self) -> Sequence[Finding]:
        found = probe_files.certificate(self._config)
        return [] if found is None else [check_files.certificate(found)]

    async def _check_catalog(self) -> Sequence[Finding]:
        found = self._probes.database("catalog", self._config.paths.catalog_db, "models.db")
        return [check_files.database(found)]

    async def _check_registry(self) -> Sequence[Finding]:
        found = self._probes.database("registry", self._config.paths.beehives_db, "beehives.db")
        self._registry = found
        return [check_files.database(found)]

    async def _check_models(self) -> Sequence[Finding]:
        return check_files.models(await asyncio.to_thread(self._probes.models, self._config))

    async def _check_backends(self) -> Sequence[Finding]:
        devices: list[int] = []
        if self._file.error is not None:  # rbee-hive could only report the same error
            backends = warning("backends", _UNREADABLE)
        else:
            try:
                detected = await self._probes.detect(self._config)
            except RbeeError as error:
                backends = problem("backends", error.message, "rbee-hive detect")
            else:
                backends = check_programs.backends(detected)
                usable = [each for each in detected.hardware if each.backend in detected.backends]
                devices = [each.memory_total_bytes for each in usable]
        memory = probe_files.memory(self._config, devices)
        return [backends, check_programs.memory(memory)]

    async def _check_queen(self) -> Sequence[Finding]:
        self._queen = await self._probes.queen(self._settings, self._key)
        return [check_daemons.queen(self._queen)]

    async def _check_hive(self) -> Sequence[Finding]:
        return [check_daemons.hive(await self._probes.hive(self._config, self._key))]

    async def _check_worker_ports(self) -> Sequence[Finding]:
        port = self._probes.worker_port(self._config)
        if port is None:
            return [warning("worker ports", "not checked: see the hive's address")]
        return [check_daemons.workers(port)]

    async def _check_pid_files(self) -> Sequence[Finding]:
        return [check_daemons.pid_files(self._probes.stale_pid_files())]

    async def _check_units(self) -> Sequence[Finding]:
        return check_programs.units(probe_files.units(self._config))

    async def _check_nodes(self) -> Sequence[Finding]:
        if self._has_no_nodes():
            return check_daemons.nodes([])
        if (reason := self._why_not_ask_queen()) is not None:
            return [warning("nodes", f"not checked: {reason}")]
        return check_daemons.nodes(await self._probes.nodes(self._settings))

    def _has_no_nodes(self) -> bool:
        registry = self._registry
        if registry is None or registry.damage is not None or self._file.error is not None:
            return False
        return not self._config.nodes and not probe_files.has_nodes(registry)

    def _why_not_ask_queen(self) -> str | None:
        """Why no queen can be asked. None is started that would run into, or repair, what was just
        found."""
        if self._file.error is not None:
            return "the config file can't be read"
        if self._registry is None or self._registry.damage is not None:
            return "the registry is damaged"
        if self._state is None or self._state.obstacle is not None:
            return "the state folder can't be written"
        queen = self._queen
        if queen is None or queen.state in ("held", "unresponsive", "remote", "untrusted"):
            return "no queen can be asked"
        if queen.refuses_key or queen.mismatch is not None:
            return "the queen that runs is another one"
        return None

    async def _check_terminal(self) -> Sequence[Finding]:
        return [check_programs.terminal(sys.stdout.encoding or "ascii")]


async def _guarded(name: str, check: Check) -> Sequence[Finding]:
    try:
        return await check()
    except RbeeError as error:
        return [problem(name, error.message, error.advice)]
    except Exception as error:
        return [warning(name, f"could not be checked: {error}")]
