"""The four programs, what they compute with, and the shell that starts them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rbee.contract.nodes import Detected
from rbee.keeper.doctor.findings import Finding, fine, problem, warning

_UNASKED = "llama.cpp can't be asked"
_SURPLUS = 1.2  # of a model's size, as the hive's preflight has it


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """`command` starts it here; `version` is what it answers, else `error` why not. `on_path` is
    the one that a shell finds, `path_version` what that answers where it is another one."""

    name: str
    command: str
    version: str | None = None
    error: str | None = None
    on_path: str | None = None
    path_version: str | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The model that runs where none is named; its size is None where it is not here yet. `free`
    and `total` are the machine's own; `largest` is that of the largest device. Bytes."""

    model: str
    size: int | None
    free: int
    total: int
    largest: int
    error: str | None = None
    advice: str | None = None


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
    strange = [each for each in found if each.path_version not in (None, version)]
    if strange:
        theirs = ", ".join(f"{each.on_path} is {each.path_version}" for each in strange)
        return warning(name, f"PATH has others: {theirs}", "rbee-keeper install")
    return fine(name, f"all four are there, version {version}")


def _section(program: str) -> str:
    return {"queen-rbee": "queen", "rbee-hive": "hive", "llm-worker-rbee": "worker"}.get(
        program, "keeper"
    )


def backends(found: Detected) -> Finding:
    name = "backends"
    usable = ", ".join(found.backends)
    unasked = [note for note in found.notes if note.startswith(_UNASKED)]
    if unasked:
        return problem(name, unasked[0], "llm-worker-rbee detect")
    if found.advice:
        cards = ", ".join(each.name for each in found.hardware if each.backend != "cpu")
        said = f"llama.cpp computes on {usable}, and not on all that is here: {cards}"
        return warning(name, said, *found.advice)
    if found.notes:
        return warning(name, f"{usable}; {'; '.join(found.notes)}", "rbee-hive detect")
    return fine(name, f"llama.cpp computes on {usable}")


def memory(facts: Memory) -> Finding:
    name = "memory"
    if facts.error is not None:
        return problem(name, facts.error, facts.advice)
    free = f"{facts.free / 1e9:.1f} of {facts.total / 1e9:.1f} GB are free"
    if facts.size is None:
        return fine(name, f"{free}; {facts.model} is not fetched yet")
    needed = round(_SURPLUS * facts.size)
    needs = f"{facts.model} needs {needed / 1e9:.1f} GB"
    smaller = "rbee-keeper models info MODEL, and a smaller one as [models] default"
    if needed > facts.largest:
        return problem(name, f"{needs}, which is more than this machine has: {free}", smaller)
    if needed > facts.free and facts.largest <= facts.total:
        return warning(name, f"{needs}; {free}", f"end other programs, or: {smaller}")
    return fine(name, f"{free}; {needs}")


def terminal(encoding: str) -> Finding:
    if encoding.lower().replace("-", "") in ("utf8", "utf8sig"):
        return fine("terminal", "it takes every letter (UTF-8)")
    return warning(
        "terminal", f"it is set to {encoding}: many letters come out wrong", "export LANG=C.UTF-8"
    )


def units(outdated: Sequence[str], present: Sequence[str], install: str) -> list[Finding]:
    """Nothing where there are none: not everybody wants them."""
    if outdated:
        said = f"{', '.join(outdated)}: written by another installation, or with other settings"
        return [warning("systemd", said, install)]
    return [fine("systemd", f"{', '.join(present)} fit this installation")] if present else []
