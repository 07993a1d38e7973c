"""Programs from npm that people point at the queen, each of the version that the scenarios know.

`python -m harness.npm_programs [NAME …]` fetches them, or all, into a folder outside the tree, some
hundred megabytes each at most. A scenario tagged with a program's name runs where it has been
fetched.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.world.run import Run
from harness.world.world import World

_FETCHED_WITHIN_S = 600


@dataclass(frozen=True)
class NpmProgram:
    """The program `command` of a package of the registry, or `node` for one that is a library,
    with the versions of others that are used `beside` it."""

    package: str
    version: str
    command: str
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def wanted(self) -> dict[str, str]:
        """The versions of all its packages."""
        return {self.package: self.version, **dict(self.beside)}

    @property
    def folder(self) -> Path:
        """Where it is, or would be, with everything that it needs."""
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        name = "+".join(f"{package}@{version}" for package, version in self.wanted.items())
        return caches / "rbee-harness" / name.replace("/", "+")

    @property
    def modules(self) -> Path:
        return self.folder / "node_modules"

    @property
    def fetched(self) -> bool:
        return self.modules.exists()

    def fetch(self) -> None:
        """Install it unless it is there. Raises CalledProcessError or TimeoutExpired, with npm's
        own words on standard error, and then leaves nothing."""
        if self.fetched:
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix="unfinished-"))
        quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
        # Newer versions of npm run a package's own script only where this allows it.
        wanted = {
            "dependencies": self.wanted,
            "allowScripts": {self.package: True},
        }
        (unfinished / "package.json").write_text(json.dumps(wanted))
        try:
            subprocess.run(
                ["npm", "install", "--prefix", str(unfinished), *quiet],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                check=True,
                timeout=_FETCHED_WITHIN_S,
            )
            unfinished.rename(self.folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def run(
        self,
        world: World,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        within: float,
    ) -> Run:
        """Run it in a world to its end, with a HOME in which there is nothing yet."""
        home = tempfile.mkdtemp(dir=world.root, prefix=f"{self.command}-")
        path = os.pathsep.join([str(self.modules / ".bin"), world.environment()["PATH"]])
        others = world.extra_environment
        world.extra_environment = {**others, **environment, "HOME": home, "PATH": path}
        try:
            run = world.start(self.command, more=arguments)
        finally:
            world.extra_environment = others
        run.wait(within)
        return run


PROGRAMS = {
    "claude-code": NpmProgram("@anthropic-ai/claude-code", "2.1.332", "claude"),
    "codex": NpmProgram("@openai/codex", "0.171.0", "codex"),
    "opencode": NpmProgram("opencode-ai", "1.18.33", "opencode"),
    "ai-sdk": NpmProgram(
        "ai",
        "6.0.326",
        "node",
        beside=(
            ("@ai-sdk/anthropic", "3.0.140"),
            ("@ai-sdk/openai", "3.0.141"),
            ("@ai-sdk/openai-compatible", "2.0.92"),
            ("ollama-ai-provider-v2", "3.6.0"),
            ("zod", "4.6.7"),
        ),
    ),
}


def reason_against(name: str) -> str:
    """Why scenarios with this program are skipped where it was not fetched."""
    return f"{PROGRAMS[name].package} was not fetched: python -m harness.npm_programs {name}"


def main(names: Sequence[str]) -> int:
    """Fetch the programs with these names, or all of them; the exit code."""
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown or shutil.which("npm") is None:
        known = ", ".join(PROGRAMS)
        print(f"Expected npm on the PATH, and names among: {known}", file=sys.stderr)
        return 2
    for name in names or PROGRAMS:
        try:
            PROGRAMS[name].fetch()
        except subprocess.SubprocessError as error:
            print(f"{name} could not be fetched: {error}", file=sys.stderr)
            return 1
        print(f"{name}: {PROGRAMS[name].folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
