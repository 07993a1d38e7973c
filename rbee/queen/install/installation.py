"""`setup install`: put rbee on a node from a repository or from this machine, told step by step.

Nothing is changed before everything that can be checked in advance is checked, and the previous
installation stays in use until the new one works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from rbee.contract.errors import ProgramFailed
from rbee.queen.install import node_python, plan
from rbee.queen.install.node_python import Remote
from rbee.queen.install.plan import FoundPython, Installation, Installed, Machine, Survey
from rbee.queen.install.wheels import Packed, pack
from rbee.queen.ssh.hive_process import parse_detected
from rbee.runtime.concurrency import in_thread, stop
from rbee.runtime.narration import Say

_QUEEN = "queen-rbee"
_LOG = logging.getLogger("install")
_ASKED_WITHIN_S = 120.0
_CLONED_WITHIN_S = 1800.0
# llama.cpp for CUDA on a slow machine. A connection that breaks is noticed in seconds anyway.
_BUILT_WITHIN_S = 4 * 3600.0
_MB = 1_000_000
Pack: TypeAlias = Callable[[Path, str, Machine, str | None], Packed]


async def install(
    remote: Remote,
    wanted: Installation,
    say: Say,
    progress_every_s: float = 10.0,
    pack: Pack = pack,
) -> Installed:
    """Install rbee on the node, or upgrade it. The progress of a long step is narrated every
    `progress_every_s` seconds.

    Raises INVALID_REQUEST, PROGRAM_FAILED with the output from there, SSH_CONNECTION_FAILED.
    """
    plan.check(wanted)
    return await _Steps(remote, wanted, say, progress_every_s, pack).run()


class _Steps:
    """Of one installation. `_python` is the path of the node's; `_last_line` its last output."""

    def __init__(
        self, remote: Remote, wanted: Installation, say: Say, progress_every_s: float, pack: Pack
    ) -> None:
        self._remote = remote
        self._wanted = wanted
        self._narrate = say
        self._progress_every_s = progress_every_s
        self._pack = pack
        self._name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._python = ""
        self._last_line = ""

    async def run(self) -> Installed:
        """From finding a Python to the first answer of the new program."""
        wanted = self._wanted
        python = await self._find()
        answer = await self._ask("survey", wanted.folder, wanted.git_branch, doing="looking around")
        survey = msgspec.convert(answer, Survey)
        backend = plan.backend_of(wanted, survey)
        with tempfile.TemporaryDirectory(prefix="rbee-wheels-") as folder:
            packed = None
            if wanted.wheel:
                packed = await in_thread(
                    self._pack, Path(folder), wanted.node, survey.machine, backend
                )
            whole = packed is not None and packed.whole
            error = plan.refusal(wanted, survey, python, whole)
            if error is not None:
                raise error
            where = f"{wanted.node} has Python {python.release}, rbee goes to {survey.folder}"
            self._say("🔎", where)
            if packed is None:
                within, what = await self._clone(survey)
            else:
                within, what = await self._send(survey, packed)
        arguments = plan.pip_arguments(what, backend, sent=packed is not None, whole=whole)
        await self._build(survey, within, backend, arguments)
        return await self._verify(survey.folder)

    async def _find(self) -> FoundPython:
        own = sys.version_info[:2] if self._wanted.wheel else None
        found = await node_python.find(self._remote, plan.python_names(own))
        chosen = plan.choose_python(self._wanted.node, found)
        self._python = chosen.path
        return chosen

    async def _clone(self, survey: Survey) -> tuple[str, str]:
        """The folder that pip runs in, and what it installs."""
        url, branch = self._wanted.git_repo_url or "", self._wanted.git_branch
        known = plan.redacted(url)
        doing = f"cloning on {self._wanted.node}"
        there = ": it is there, so what is new is fetched" if survey.clone else ""
        self._say("📥", f"{doing}: {known} at {branch} into {survey.folder}{there}")
        words = "fetch", survey.folder, url, branch
        await self._ask(*words, doing=doing, within_s=_CLONED_WITHIN_S)
        return ".", "."

    async def _send(self, survey: Survey, packed: Packed) -> tuple[str, str]:
        node = self._wanted.node
        own = packed.wheels[0].name
        if packed.whole:
            what = f"{len(packed.wheels)} wheels, all that rbee needs"
        else:
            what = "rbee's wheel alone, and pip there fetches the rest"
            self._say("📎", f"{node} can't use the packages from here: {packed.why}")
        doing = f"sending to {node}"
        self._say("📦", f"{doing}: {what} ({packed.size / _MB:.1f} MB)")
        there = (await self._ask("wheel-folder", survey.folder, self._name, doing=doing))["wheels"]
        async with self._progress(doing):
            for turn, path in enumerate(packed.wheels, start=1):
                self._last_line = f"{turn} of {len(packed.wheels)}, {path.name}"
                await self._remote.put(path, f"{there}/{path.name}")
        return there, f"./{own}"

    async def _build(
        self, survey: Survey, within: str, backend: str | None, arguments: list[str]
    ) -> None:
        cmake = plan.cmake_arguments(backend)
        doing = f"building on {self._wanted.node}"
        how = f", llama.cpp is compiled for {backend}, which takes a while" if cmake else ""
        self._say("🔨", f"{doing}: rbee in an environment of its own{how}")
        await self._ask(
            "build",
            survey.folder,
            self._name,
            within,
            backend or "",
            cmake,
            *arguments,
            doing=doing,
            within_s=_BUILT_WITHIN_S,
        )

    async def _verify(self, folder: str) -> Installed:
        """Ask the new program for its version, and what the machine can compute on."""
        node, hive = self._wanted.node, f"{folder}/.venv/bin/rbee-hive"
        within_s = _ASKED_WITHIN_S
        asked = await node_python.run(self._remote, hive, "--version", within_s=within_s)
        version = asked.out.split()[-1] if asked.code == 0 and asked.out.split() else None
        if version is None:
            error = node_python.NodeFailedError("rbee-hive", asked.code, asked.err or asked.out)
            raise self._explained(error, f"starting {hive} on {node}")
        detect = await node_python.run(self._remote, hive, "detect", "--json", within_s=within_s)
        found = parse_detected(detect.out) if detect.code == 0 else None
        there = f", backends: {', '.join(found.backends)}" if found else ""
        self._say("✅", f"complete: rbee {version} is installed on {node} at {folder}{there}")
        if found is None:
            why = plan.last_lines(detect.err or detect.out, count=1)
            self._say("⚠️", f"{node} could not tell what it can compute on: {why}")
        return Installed(version, folder, found)

    # Questions and narration

    async def _ask(
        self, *words: str, doing: str, within_s: float = _ASKED_WITHIN_S
    ) -> dict[str, Any]:
        self._last_line = ""
        try:
            async with self._progress(doing):
                return await node_python.ask(
                    self._remote, self._python, words, within_s, self._hear
                )
        except node_python.NodeFailedError as error:
            raise self._explained(error, doing) from None

    @contextlib.asynccontextmanager
    async def _progress(self, doing: str) -> AsyncIterator[None]:
        """Narrate now and then how far it is."""

        async def narrate() -> None:
            began = time.monotonic()
            while True:
                await asyncio.sleep(self._progress_every_s)
                took = f"{time.monotonic() - began:.0f} s"
                self._say("⏳", f"{doing}, {took} so far: {self._last_line or 'no output yet'}")

        task = asyncio.create_task(narrate())
        try:
            yield
        finally:
            await stop(task)

    def _hear(self, line: str) -> None:
        """A line of git or pip. An empty one only tells that the node is alive, and the answer in
        JSON is not theirs."""
        text = plan.last_lines(line, count=1).strip()
        if text and not text.startswith("{"):
            _LOG.info("%s: %s", self._wanted.node, text)
            self._last_line = textwrap.shorten(text, 120, placeholder=" …")

    def _say(self, emoji: str, text: str) -> None:
        self._narrate(_QUEEN, emoji, text)

    def _explained(self, error: node_python.NodeFailedError, doing: str) -> ProgramFailed:
        node = self._wanted.node
        reason = plan.reason_of(error.program, error.code, error.output)
        return ProgramFailed(
            f"{doing} failed: {reason}",
            program=error.program,
            reason=reason,
            hint=f"What was there before is as it was. Fix that on {node} and run the command "
            "again; the whole output is in the queen's log.",
        )
