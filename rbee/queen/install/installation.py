"""`setup install`: rbee brought to a node, from a repository or from this machine, told step by
step.

Nothing is changed before all that can be known in advance speaks for it, and the installation of
before is used until the new one works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from rbee.contract.errors import ProgramFailed
from rbee.queen.install import node_python
from rbee.queen.install import plan as installing
from rbee.queen.install.packing import Packed, pack
from rbee.queen.install.plan import Facts, FoundPython, Installation, Installed
from rbee.queen.ssh.detection import detected
from rbee.queen.ssh.remote import Remote
from rbee.runtime.cancellation import stop
from rbee.runtime.narration import Say

_QUEEN = "queen-rbee"
_LOG = logging.getLogger("install")
_ASKED_WITHIN_S = 120.0
_CLONED_WITHIN_S = 1800.0
# llama.cpp for CUDA on a slow machine. A link that breaks is noticed in seconds all the same.
_BUILT_WITHIN_S = 4 * 3600.0
_MB = 1_000_000


async def install(
    remote: Remote, wanted: Installation, say: Say, beat_s: float = 10.0
) -> Installed:
    """Install rbee on the node, or upgrade it. How a long step goes on is told every `beat_s`
    seconds.

    Raises INVALID_REQUEST, PROGRAM_FAILED with what was said there, SSH_CONNECTION_FAILED.
    """
    installing.check(wanted)
    return await _Course(remote, wanted, say, beat_s).run()


class _Course:
    """One installation. `_python` is the node's, by its path; `_last` what it said last."""

    def __init__(self, remote: Remote, wanted: Installation, say: Say, beat_s: float) -> None:
        self._remote = remote
        self._wanted = wanted
        self._narrate = say
        self._beat_s = beat_s
        self._name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._python = ""
        self._last = ""

    async def run(self) -> Installed:
        """From the first question to the answer of the new program."""
        wanted = self._wanted
        python = await self._find()
        asked = await self._ask("facts", wanted.folder, wanted.git_branch, doing="looking around")
        facts = msgspec.convert(asked, Facts)
        backend = installing.backend_of(wanted, facts)
        with tempfile.TemporaryDirectory(prefix="rbee-wheels-") as folder:
            packed = None
            if wanted.wheel:
                packed = await asyncio.to_thread(
                    pack, Path(folder), wanted.node, facts.machine, backend
                )
            whole = packed is not None and packed.whole
            error = installing.refusal(wanted, facts, python, whole)
            if error is not None:
                raise error
            told = f"{wanted.node} has Python {python.release}, rbee goes to {facts.folder}"
            self._say("🔎", told)
            if packed is None:
                within, what = await self._clone(facts)
            else:
                within, what = await self._send(facts, packed)
        words = installing.pip_words(what, backend, sent=packed is not None, whole=whole)
        await self._build(facts, within, backend, words)
        return await self._look(facts.folder)

    async def _find(self) -> FoundPython:
        own = sys.version_info[:2] if self._wanted.wheel else None
        found = await node_python.find(self._remote, installing.python_names(own))
        chosen = installing.choose_python(self._wanted.node, found)
        self._python = chosen.path
        return chosen

    async def _clone(self, facts: Facts) -> tuple[str, str]:
        """Where pip shall run, and what it shall install."""
        url, branch = self._wanted.git_repo_url or "", self._wanted.git_branch
        known = installing.redacted(url)
        doing = f"cloning on {self._wanted.node}"
        there = ": it is there, so what is new is fetched" if facts.clone else ""
        self._say("📥", f"{doing}: {known} at {branch} into {facts.folder}{there}")
        words = "fetch", facts.folder, url, branch
        await self._ask(*words, doing=doing, within_s=_CLONED_WITHIN_S)
        return ".", "."

    async def _send(self, facts: Facts, packed: Packed) -> tuple[str, str]:
        node = self._wanted.node
        own = packed.wheels[0].name
        if packed.whole:
            what = f"{len(packed.wheels)} wheels, all that rbee needs"
        else:
            what = "rbee's wheel alone, and pip there fetches the rest"
            self._say("📎", f"{node} can't use the packages from here: {packed.why}")
        doing = f"sending to {node}"
        self._say("📦", f"{doing}: {what} ({packed.size / _MB:.1f} MB)")
        there = (await self._ask("room", facts.folder, self._name, doing=doing))["wheels"]
        async with self._pulse(doing):
            for turn, path in enumerate(packed.wheels, start=1):
                self._last = f"{turn} of {len(packed.wheels)}, {path.name}"
                await self._remote.put(path, f"{there}/{path.name}")
        return there, f"./{own}"

    async def _build(
        self, facts: Facts, within: str, backend: str | None, words: list[str]
    ) -> None:
        cmake = installing.cmake_arguments(backend)
        doing = f"building on {self._wanted.node}"
        how = f", llama.cpp is compiled for {backend}, which takes a while" if cmake else ""
        self._say("🔨", f"{doing}: rbee in an environment of its own{how}")
        await self._ask(
            "build",
            facts.folder,
            self._name,
            within,
            backend or "",
            cmake,
            *words,
            doing=doing,
            within_s=_BUILT_WITHIN_S,
        )

    async def _look(self, folder: str) -> Installed:
        """What the new program says of itself, and of the machine."""
        node, hive = self._wanted.node, f"{folder}/.venv/bin/rbee-hive"
        within_s = _ASKED_WITHIN_S
        told = await node_python.run(self._remote, hive, "--version", within_s=within_s)
        version = told.out.split()[-1] if told.code == 0 and told.out.split() else None
        if version is None:
            error = node_python.NodeFailedError("rbee-hive", told.code, told.err or told.out)
            raise self._explained(error, f"starting {hive} on {node}")
        said = await node_python.run(self._remote, hive, "detect", "--json", within_s=within_s)
        found = detected(said.out) if said.code == 0 else None
        there = f", backends: {', '.join(found.backends)}" if found else ""
        self._say("✅", f"complete: rbee {version} is installed on {node} at {folder}{there}")
        if found is None:
            why = installing.last_lines(said.err or said.out, count=1)
            self._say("⚠️", f"{node} could not tell what it can compute on: {why}")
        return Installed(version, folder, found)

    # How it is asked and told

    async def _ask(
        self, *words: str, doing: str, within_s: float = _ASKED_WITHIN_S
    ) -> dict[str, Any]:
        self._last = ""
        try:
            async with self._pulse(doing):
                return await node_python.ask(
                    self._remote, self._python, words, within_s, self._hear
                )
        except node_python.NodeFailedError as error:
            raise self._explained(error, doing) from None

    @contextlib.asynccontextmanager
    async def _pulse(self, doing: str) -> AsyncIterator[None]:
        """Tell now and then how it goes on, for as long as it does."""

        async def beat() -> None:
            began = time.monotonic()
            while True:
                await asyncio.sleep(self._beat_s)
                took = f"{time.monotonic() - began:.0f} s"
                self._say("⏳", f"{doing}, {took} so far: {self._last or 'nothing was said yet'}")

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            await stop(task)

    def _hear(self, line: str) -> None:
        """A line of git or pip. Those without words only say that the other end lives, and the
        answer is none of theirs."""
        said = installing.last_lines(line, count=1).strip()
        if said and not said.startswith("{"):
            _LOG.info("%s: %s", self._wanted.node, said)
            self._last = said[:120]

    def _say(self, emoji: str, text: str) -> None:
        self._narrate(_QUEEN, emoji, text)

    def _explained(self, error: node_python.NodeFailedError, doing: str) -> ProgramFailed:
        node = self._wanted.node
        reason = installing.reason_of(error.program, error.code, error.said)
        return ProgramFailed(
            f"{doing} failed: {reason}",
            program=error.program,
            reason=reason,
            hint=f"What was there before is as it was. Mend that on {node} and run the command "
            "again; all that was said there is in the queen's log.",
        )
