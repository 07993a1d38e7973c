"""Queen, hive and worker ports of this machine, as they answer just now. Nothing is started."""

from __future__ import annotations

from typing import TypeVar

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import ConnectionTimeout, InvalidApiKey, RbeeError, VersionMismatch
from rbee.contract.versions import check
from rbee.keeper.doctor import probe_files as facts
from rbee.keeper.doctor.check_daemons import Daemon, Port
from rbee.keeper.settings import KeeperSettings, address_of
from rbee.runtime import bind
from rbee.runtime.client import Client, address

R = TypeVar("R")

_QUEEN, _HIVE = "queen-rbee", "rbee-hive"
_WITHIN_S = 3.0
_FIRST_WORKER = 8001


async def queen(settings: KeeperSettings, key: str | None) -> Daemon:
    """Who answers at the queen's address, and whether she takes our key. Raises
    CONFIG_INVALID for a URL that is none."""
    address_of(settings)
    url = settings.queen_url
    async with _client(settings.config, url, key) as client:
        try:
            health = await client.call(ep.QUEEN_HEALTH, within_s=_WITHIN_S)
        except RbeeError as error:
            return _silent(url, facts.running("queen-rbee.pid"), error)
        if health.program != _QUEEN:
            return _held(url)
        mismatch, advice = _mismatch(_QUEEN, health.version)
        refused = mismatch is None and await _refuses(client, ep.QUEEN_WORKERS)
    return Daemon(
        url=url,
        state="runs",
        version=health.version,
        pid=health.pid,
        refuses_key=refused,
        mismatch=mismatch,
        advice=advice,
    )


async def hive(config: Config, key: str | None) -> Daemon:
    """The hive of this machine: the one that its pid file names, else who listens in its place."""
    named = facts.running("hive-rbee.pid")
    url = named.url if named else bind.url(config.hive.host, config.hive.port)
    pid = named.pid if named else None
    async with _client(config, url, key) as client:
        try:
            health = await client.call(ep.HIVE_HEALTH, within_s=_WITHIN_S)
        except InvalidApiKey:
            return Daemon(url=url, state="runs", pid=pid, refuses_key=True)
        except RbeeError as error:
            return _silent(url, named, error)
    mismatch, advice = _mismatch(_HIVE, health.version)
    return Daemon(
        url=url, state="runs", version=health.version, pid=pid, mismatch=mismatch, advice=advice
    )


def workers(config: Config) -> Port | None:
    """The first port that a worker would take; None where the hive's own address, at which its
    workers listen too, is none of this machine."""
    host = config.hive.worker_host or config.hive.host
    if not bind.is_local(host):
        where = f"{host}:{_FIRST_WORKER}"
        return Port(where, free=False, away=True) if config.hive.worker_host else None
    free = bind.is_free(host, _FIRST_WORKER)
    holder = None if free else bind.holder(host, _FIRST_WORKER)
    ours = holder is not None and holder.startswith("llm-worker")
    return Port(f"{host}:{_FIRST_WORKER}", free, holder, ours)


def _client(config: Config, url: str, key: str | None) -> Client:
    return Client(url, key, min(config.times.connect_s, _WITHIN_S), _WITHIN_S)


async def _refuses(client: Client, endpoint: ep.Endpoint[ep.Nothing, R]) -> bool:
    try:
        await client.call(endpoint, within_s=_WITHIN_S)
    except InvalidApiKey:
        return True
    except RbeeError:
        return False
    return False


def _silent(url: str, named: PidFile | None, error: RbeeError) -> Daemon:
    """Nobody of ours answers: is anybody there?"""
    host, port = address(url)
    if not bind.is_local(host):
        return Daemon(url=url, state="away")
    if bind.is_free(host, port):
        return Daemon(url=url, state="free")
    held = _held(url)
    if named is None or not isinstance(error, ConnectionTimeout):
        return held
    if not (held.holder or "").endswith(f"(pid {named.pid})"):
        return held
    return Daemon(url=url, state="hung", holder=held.holder, pid=named.pid)


def _held(url: str) -> Daemon:
    host, port = address(url)
    return Daemon(url=url, state="held", holder=bind.holder(host, port))


def _mismatch(program: str, version: str) -> tuple[str | None, str | None]:
    try:
        check("rbee-keeper", __version__, program, version)
    except VersionMismatch as error:
        return error.message, error.advice
    return None, None
