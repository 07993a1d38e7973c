"""Checks of queen, hive, ports and nodes: what runs, and whether it can be reached."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

import msgspec

from rbee.contract.registry import NodeCheck
from rbee.keeper.doctor.findings import Finding, fine, problem, warning

# SSH itself takes a few seconds; certificates and tokens tolerate five minutes.
_EXACT_S, _TOLERABLE_S = 5.0, 300.0


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """The queen or hive of this machine, and its address. `free`: nothing listens there. `held`:
    something else does. `unresponsive`: it is ours and does not answer. `remote`: the address is
    another machine's, and nothing answers. `untrusted`: TLS fails there. `mismatch` and `advice`
    concern its version, or its certificate. `exposed`: it is reached over a network, without TLS.
    `is_stalled`: it answers, but decides nothing while tasks wait.
    """

    url: str
    state: Literal["runs", "free", "held", "unresponsive", "remote", "untrusted"]
    holder: str | None = None
    version: str | None = None
    pid: int | None = None
    refuses_key: bool = False
    mismatch: str | None = None
    advice: str | None = None
    exposed: bool = False
    is_stalled: bool = False


class Port(msgspec.Struct, frozen=True):
    """`holder` is the program that listens there, `ours` if it is one of our workers. `remote`: the
    address is not one of this machine."""

    address: str
    free: bool
    holder: str | None = None
    ours: bool = False
    remote: bool = False


def queen(found: Daemon) -> Finding:
    name, at = "queen", found.url
    if found.state == "free":
        return fine(name, f"none runs; a command that needs one starts it at {at}")
    if found.state == "held":
        said = f"{at} is held by {found.holder or 'another program'}, which is not queen-rbee"
        return problem(name, said, "end it, or set another [queen] port in the config file")
    if found.state == "remote":
        said = f"nothing answers at {at}, which is not this machine"
        return problem(name, said, "start it there: rbee-keeper daemon start")
    if found.state == "unresponsive":
        return problem(
            name, f"it runs (pid {found.pid}), but does not answer", "rbee-keeper daemon stop"
        )
    if found.state == "untrusted":
        return problem(name, found.mismatch or f"TLS fails at {at}", found.advice)
    if found.mismatch is not None:
        return problem(name, found.mismatch, "rbee-keeper daemon stop", found.advice)
    if found.refuses_key:
        said = f"it runs at {at} (pid {found.pid}), but does not accept this machine's key"
        end = f"kill {found.pid}  # ends it in order; the next one has this key"
        return problem(name, said, end)
    if found.is_stalled:
        said = f"it runs at {at} (pid {found.pid}), but decides nothing while tasks wait"
        return problem(name, said, "rbee-keeper daemon stop", "its log says more: ~/.rbee/logs")
    if found.exposed:
        said = f"{found.version} runs at {at}; keys and prompts that go there are not encrypted"
        return warning(name, said, "on its machine: rbee-keeper auth certificate --use")
    return fine(name, f"{found.version} runs at {at}, pid {found.pid}")


def hive(found: Daemon) -> Finding:
    name, at = "hive", found.url
    if found.state == "free":
        return fine(name, f"none runs on this machine; the queen starts one at {at}")
    if found.state == "remote":
        said = f"none can listen at {at}, which is not an address of this machine"
        return problem(name, said, "set [hive] host to one of this machine's: 127.0.0.1")
    if found.state == "held":
        said = f"{at} is held by {found.holder or 'another program'}: a hive takes a free port"
        return warning(name, said, "end it, or set another [hive] port in the config file")
    if found.state == "unresponsive":
        kill = f"kill -KILL {found.pid}  # its workers end with it"
        return problem(name, f"it runs (pid {found.pid}), but does not answer", kill)
    pid = f"pid {found.pid}" if found.pid is not None else "pid unknown"
    if found.refuses_key:
        said = f"the one at {at} ({pid}) does not accept this machine's key: is it another queen's?"
        end = f"kill {found.pid}" if found.pid is not None else "end it"
        return problem(name, said, f"if nobody needs it: {end}; otherwise set another [hive] port")
    if found.mismatch is not None:
        return problem(name, found.mismatch, "rbee-keeper hive stop --node localhost", found.advice)
    return fine(name, f"{found.version} runs at {at}, {pid}")


def workers(port: Port) -> Finding:
    name = "worker ports"
    if port.remote:
        said = f"no worker can listen at {port.address}, which is not an address of this machine"
        return problem(name, said, "set [hive] worker_host to one of this machine's: 127.0.0.1")
    if port.free:
        return fine(name, f"free from {port.address} up")
    if port.ours:
        return fine(name, f"{port.address} and up; a worker runs")
    said = f"{port.address} is held by {port.holder or 'another program'}"
    return warning(name, f"{said}: workers take the next ones", "end that program, if you know it")


def pid_files(stale: Sequence[str]) -> Finding:
    if not stale:
        return fine("pid files", "each names a running process")
    said = f"left by a daemon that was killed: {', '.join(stale)}"
    return warning("pid files", said, shlex.join(["rm", *stale]))


def nodes(found: Sequence[NodeCheck]) -> list[Finding]:
    """One for each node, and one more if its clock is wrong."""
    if not found:
        return [fine("nodes", "only this machine is known")]
    return [finding for each in found for finding in (*_node(each), *_clock(each))]


def _node(found: NodeCheck) -> list[Finding]:
    name = f"node {found.node}"
    if found.error is not None:
        retry = f"rbee-keeper hive status --node {shlex.quote(found.node)}"
        return [problem(name, found.error, found.advice or retry)]
    hive = "its hive runs" if found.hive == "running" else f"its hive is {found.hive}"
    return [fine(name, f"it can be reached; rbee {found.version}, {hive}")]


def _clock(found: NodeCheck) -> list[Finding]:
    ahead = found.clock_ahead_s
    if ahead is None or abs(ahead) < _EXACT_S:
        return []
    said = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the queen's"
    how = problem if abs(ahead) >= _TOLERABLE_S else warning
    advice = f"on {found.node}: sudo timedatectl set-ntp true"
    return [how(f"clock of {found.node}", said, advice)]
