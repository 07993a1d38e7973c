"""Checks of the four programs, what they compute on, and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rbee.contract.nodes import Detected
from rbee.keeper.doctor.findings import Finding, fine, problem, warning

_UNKNOWN = "llama.cpp can't be asked"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """`command` starts it here; `version` is its answer, or `error` is why there is none. `on_path`
    is the one that a shell finds, and `path_version` its answer if it is another program."""

    name: str
    command: str
    version: str | None = None
    error: str | None = None
    on_path: str | None = None
    path_version: str | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The default model; what it needs is None if it is not here yet. `free` and `total` are the
    machine's own memory, `largest` is that of the largest device. All in bytes."""

    model: str
    needed: int | None
    free: int
    total: int
    largest: int
    error: str | None = None
    advice: str | None = None


class Units(msgspec.Struct, frozen=True):
    """Unit files of ours, of one person or of the system: those that would be written differently
    now, those that would not, and the command that writes them."""

    outdated: list[str]
    current: list[str]
    install: str


def programs(found: Sequence[Program], version: str) -> Finding:
    name = "programs"
    broken = [each for each in found if each.error is not None]
    others = [each for each in found if each.error is None and each.version != version]
    said = [f"{each.name}: {each.command}: {each.error}" for each in broken]
    advice = []
    if broken:
        settings = " and ".join(f"[{_section(each.name)}] command" for each in broken)
        advice.append(f"correct {settings} in the config file, or: pip install rbee")
    if others:
        theirs = ", ".join(f"{each.name} is {each.version}" for each in others)
        said.append(f"{theirs}, but rbee-keeper is {version}")
        advice.append(f"pip install 'rbee=={version}'")
    if said:
        return problem(name, "; ".join(said), *advice)
    missing = [each.name for each in found if each.on_path is None]
    if missing:
        return warning(name, f"PATH does not have {', '.join(missing)}", "rbee-keeper install")
    different = [each for each in found if each.path_version not in (None, version)]
    if different:
        theirs = ", ".join(f"{each.on_path} is {each.path_version}" for each in different)
        return warning(name, f"PATH has other versions: {theirs}", "rbee-keeper install")
    return fine(name, f"all four are installed, version {version}")


def _section(program: str) -> str:
    return {"queen-rbee": "queen", "rbee-hive": "hive", "llm-worker-rbee": "worker"}.get(
        program, "keeper"
    )


def backends(found: Detected) -> Finding:
    name = "backends"
    usable = ", ".join(found.backends)
    unknown = [note for note in found.notes if note.startswith(_UNKNOWN)]
    if unknown:
        return problem(name, unknown[0], "llm-worker-rbee detect")
    if found.advice:
        cards = ", ".join(each.name for each in found.hardware if each.backend != "cpu")
        said = f"llama.cpp computes on {usable}, and not on everything that is here: {cards}"
        return warning(name, said, *found.advice)
    if found.notes:
        return warning(name, f"{usable}; {'; '.join(found.notes)}", "rbee-hive detect")
    return fine(name, f"llama.cpp computes on {usable}")


def memory(found: Memory) -> Finding:
    name = "memory"
    if found.error is not None:
        return problem(name, found.error, found.advice)
    free = f"{found.free / 1e9:.1f} of {found.total / 1e9:.1f} GB are free"
    if found.needed is None:
        return fine(name, f"{free}; {found.model} is not downloaded yet")
    needed = found.needed
    needs = f"{found.model} needs {_amount(needed)}"
    smaller = "set [models] default to a smaller model: rbee-keeper models info MODEL"
    if needed > found.largest:
        return problem(name, f"{needs}, which is more than this machine has: {free}", smaller)
    if needed > found.free and found.largest <= found.total:
        return warning(name, f"{needs}; {free}", f"end other programs, or {smaller}")
    return fine(name, f"{free}; {needs}")


def _amount(size: int) -> str:
    """As `rbee-keeper models info` shows it."""
    return f"{size / 1e9:.1f} GB" if size >= 10e9 else f"{size / 1e6:.0f} MB"


def terminal(encoding: str) -> Finding:
    if encoding.lower().replace("-", "") in ("utf8", "utf8sig"):
        return fine("terminal", "it shows every character (UTF-8)")
    said = f"it is set to {encoding}: many characters come out wrong"
    return warning("terminal", said, "export LANG=C.UTF-8")


def units(found: Sequence[Units]) -> list[Finding]:
    """No finding if there are no units: they are optional."""
    findings = []
    for each in found:
        if each.outdated:
            said = f"{', '.join(each.outdated)}: written by another installation, or with other"
            findings.append(warning("systemd", f"{said} settings", each.install))
        elif each.current:
            said = f"{', '.join(each.current)} fit this installation"
            findings.append(fine("systemd", said))
    return findings
