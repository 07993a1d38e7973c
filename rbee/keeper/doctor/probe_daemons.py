"""Asks the queen, the hive and the worker ports of this machine. Only `nodes` may start a queen."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import (
    ConnectionTimeout,
    InvalidApiKey,
    KeyNotProven,
    RbeeError,
    TlsFailed,
    VersionMismatch,
)
from rbee.contract.registry import NodeCheck
from rbee.contract.versions import check
from rbee.keeper.doctor import probe_files
from rbee.keeper.doctor.check_daemons import Daemon, Port
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import KeeperSettings, address_of, is_exposed
from rbee.runtime import bind
from rbee.runtime.client import Client, address
from rbee.runtime.plain_transport import PlainTransport

R = TypeVar("R")

_QUEEN, _HIVE = "queen-rbee", "rbee-hive"
_WITHIN_S = 3.0
_FIRST_WORKER = 8001


async def queen(settings: KeeperSettings, key: str | None) -> Daemon:
    """What answers at the queen's address, and whether it accepts our key. Raises CONFIG_INVALID if
    the URL is not valid."""
    address_of(settings)
    url = settings.queen_url
    async with _client(settings.config, url, key, settings.ca) as client:
        try:
            health = await client.call(ep.QUEEN_HEALTH, within_s=_WITHIN_S)
        except TlsFailed as error:
            return Daemon(url=url, state="untrusted", mismatch=error.message, advice=error.advice)
        except RbeeError as error:
            return _unanswered(url, probe_files.running("queen-rbee.pid"), error)
        if health.program != _QUEEN:
            return _held(url)
        mismatch, advice = _mismatch(_QUEEN, health.version)
        try:
            refused = mismatch is None and await _refuses(client, ep.QUEEN_WORKERS)
        except KeyNotProven:  # whoever it is, it only claims to be a queen
            return _held(url)
    return Daemon(
        url=url,
        state="runs",
        version=health.version,
        pid=health.pid,
        refuses_key=refused,
        mismatch=mismatch,
        advice=advice,
        exposed=is_exposed(url),
        is_stalled=health.status == "stalled",
    )


async def hive(config: Config, key: str | None) -> Daemon:
    """The hive of this machine: the one that its pid file names, or what listens at its address."""
    named = probe_files.running("hive-rbee.pid")
    url = named.url if named else bind.url(config.hive.host, config.hive.port)
    pid = named.pid if named else None
    async with _client(config, url, key) as client:
        try:
            health = await client.call(ep.HIVE_HEALTH, within_s=_WITHIN_S)
        except InvalidApiKey:
            return Daemon(url=url, state="runs", pid=pid, refuses_key=True)
        except RbeeError as error:
            return _unanswered(url, named, error)
    mismatch, advice = _mismatch(_HIVE, health.version)
    return Daemon(
        url=url, state="runs", version=health.version, pid=pid, mismatch=mismatch, advice=advice
    )


def worker_port(config: Config) -> Port | None:
    """The first port that a worker would take; None if the hive's address, at which its workers
    listen too, is not one of this machine."""
    host = config.hive.worker_host or config.hive.host
    if not bind.is_local(host):
        where = f"{host}:{_FIRST_WORKER}"
        return Port(where, free=False, remote=True) if config.hive.worker_host else None
    free = bind.is_free(host, _FIRST_WORKER)
    holder = None if free else bind.holder(host, _FIRST_WORKER)
    ours = holder is not None and holder.startswith("llm-worker")
    return Port(f"{host}:{_FIRST_WORKER}", free, holder, ours)


async def nodes(settings: KeeperSettings) -> list[NodeCheck]:
    """Every node as the queen reaches it now; a queen is started if none runs, and ends again."""
    queen = Queen(settings)
    try:
        await queen.reach()
        found = await queen.client.call(ep.QUEEN_CHECK_NODES)
        return found.nodes
    finally:
        await queen.release()


def _client(config: Config, url: str, key: str | None, ca: Path | None = None) -> Client:
    connect_s = min(config.times.connect_s, _WITHIN_S)
    return Client(url, key, connect_s, _WITHIN_S, PlainTransport(ca))


async def _refuses(client: Client, endpoint: ep.Endpoint[ep.Nothing, R]) -> bool:
    try:
        await client.call(endpoint, within_s=_WITHIN_S)
    except InvalidApiKey:
        return True
    except KeyNotProven:
        raise
    except RbeeError:
        return False
    return False


def _unanswered(url: str, named: PidFile | None, error: RbeeError) -> Daemon:
    """Nothing of ours answers: does anything listen there?"""
    host, port = address(url)
    if not bind.is_local(host):
        return Daemon(url=url, state="remote")
    if bind.is_free(host, port):
        return Daemon(url=url, state="free")
    held = _held(url)
    if named is None or not isinstance(error, ConnectionTimeout):
        return held
    if not bind.is_held_by(named.pid, host, port):
        return held
    return Daemon(url=url, state="unresponsive", holder=held.holder, pid=named.pid)


def _held(url: str) -> Daemon:
    host, port = address(url)
    return Daemon(url=url, state="held", holder=bind.holder(host, port))


def _mismatch(program: str, version: str) -> tuple[str | None, str | None]:
    try:
        check("rbee-keeper", __version__, program, version)
    except VersionMismatch as error:
        return error.message, error.advice
    return None, None
