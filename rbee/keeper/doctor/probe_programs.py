"""Asks our own programs what only they know: their version, and what they compute on."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Sequence

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import ProgramFailed, RbeeError
from rbee.contract.nodes import Detected
from rbee.keeper.doctor.check_programs import Program
from rbee.runtime import paths

_VERSION_WITHIN_S = 20.0
_DETECT_WITHIN_S = 90.0


async def programs(config: Config) -> list[Program]:
    """All four programs, and what a shell finds under their names."""
    configured = {
        "rbee-keeper": None,
        "queen-rbee": config.queen.command,
        "rbee-hive": config.hive.command,
        "llm-worker-rbee": config.worker.command,
    }
    return list(await asyncio.gather(*(_program(*each) for each in configured.items())))


async def _program(name: str, configured: str | None) -> Program:
    on_path = shutil.which(name)
    command = configured or name
    version = error = other = None
    try:
        words = paths.program(name, configured)
        command = configured or words[0]
        version = await _version(words, name)
        if on_path is not None and configured is None and not _is_same(on_path, words[0]):
            other = await _version([on_path], name)
    except RbeeError as failed:
        error = str(failed.details.get("reason") or failed.message)
    return Program(
        name=name,
        command=command,
        version=version,
        error=error,
        on_path=on_path,
        path_version=other,
    )


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


async def _version(words: Sequence[str], name: str) -> str:
    """What it prints: `queen-rbee, version 0.1.0`. Raises PROGRAM_FAILED for another program."""
    out = await _output([*words, "--version"], _VERSION_WITHIN_S)
    found = re.fullmatch(rf"{re.escape(name)}, version (\S+)\s*", out)
    if found is None:
        raise ProgramFailed(program=words[0], reason=f"it does not say that it is {name}")
    return found[1]


async def detect(config: Config) -> Detected:
    """What the machine has and what llama.cpp can use of it. Raises PROGRAM_FAILED."""
    words = paths.program("rbee-hive", config.hive.command)
    try:
        return msgspec.json.decode(
            await _output([*words, "detect", "--json"], _DETECT_WITHIN_S), type=Detected
        )
    except msgspec.MsgspecError as error:
        raise ProgramFailed(program="rbee-hive detect", reason=str(error)) from None


async def _output(words: Sequence[str], within_s: float) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise ProgramFailed(program=words[0], reason=error.strerror or str(error)) from None
    try:
        out, errors = await asyncio.wait_for(process.communicate(), within_s)
    except TimeoutError:
        raise ProgramFailed(program=words[0], reason=f"no answer within {within_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        reason = lines[0] if lines else f"it ended with code {process.returncode}"
        raise ProgramFailed(program=words[0], reason=reason)
    return out.decode(errors="replace")
