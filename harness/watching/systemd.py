"""As much of systemd as two units need: it starts and stops what they say, as they say.

A unit's processes are found by a mark in their environment, in place of a control group.
"""

import contextlib
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import psutil

from harness.world.processes import alive
from harness.world.run import Run
from harness.world.waiting import NeverHappenedError, wait_until
from harness.world.world import World

_MARK = "HARNESS_UNIT"


class Unit:
    """One of the user's units."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.file = world.home / ".config" / "systemd" / "user" / f"{name}.service"
        self.killed: list[str] = []
        self._world = world
        self._run: Run | None = None

    def _setting(self, key: str) -> str:
        (found,) = re.findall(rf"^{key}=(.*)$", self.file.read_text(), re.MULTILINE)
        return str(found)

    @property
    def stop_s(self) -> float:
        return float(self._setting("TimeoutStopSec"))

    def start(self) -> None:
        """Type=exec, until it listens. Its environment is as small as a service's."""
        assert self._setting("Type") == "exec", self._setting("Type")
        world = self._world
        mark = {key: world.environment()[key] for key in ("HOME", "TMPDIR", "HARNESS_WORLD")}
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **mark}
        argv = shlex.split(self._setting("ExecStart"))
        name = f"{len(world.runs) + 1:02}-{self.name}"
        self._run = Run(argv, {**environment, _MARK: self.name}, world.evidence.folder, name)
        world.runs.append(self._run)
        world.expected_daemons.add(self._run.pid)
        ready = self._run.ready()
        assert ready["pid"] == self._run.pid, ready

    def stop(self) -> int:
        """Return the exit code; `killed` are the processes that were still alive after TERM."""
        assert self._setting("KillMode") == "mixed", self._setting("KillMode")
        assert self._run
        self._run.send(signal.SIGTERM)
        deadline = time.monotonic() + self.stop_s
        with contextlib.suppress(NeverHappenedError):
            wait_until(f"{self.name} to end", lambda: not self._is_running(), self.stop_s)
        assert time.monotonic() < deadline or self._is_running()
        left = self._group()
        self.killed = [" ".join(process.cmdline()) for process in left]
        for process in left:
            process.kill()
        return self._run.wait(within=5)

    def _is_running(self) -> bool:
        return self._run is not None and self._run.running

    def _group(self) -> list[psutil.Process]:
        found = []
        for process in self._world.processes():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == self.name and alive(process):
                    found.append(process)
        return found


def lines_of_units(folder: Path) -> dict[str, list[str]]:
    """Return the lines of each unit in a folder, by its name, without comments and headings."""
    return {
        file.stem: [line for line in file.read_text().splitlines() if re.match(r"\w+=", line)]
        for file in folder.glob("*.service")
    }


def verify_units(folder: Path, kind: str) -> str:
    """Return what systemd itself says about all units in a folder. System units below another root
    are checked with their programs in /usr/local/bin."""
    units = [str(path) for path in sorted(folder.glob("*.service"))]
    assert units, f"no units in {folder}"
    prefix = []
    if kind == "system":
        mount = 'mount --bind "$1" /usr/local/bin && shift && exec "$@"'
        programs = folder.parents[2] / "usr" / "local" / "bin"
        prefix = ["unshare", "--mount", "sh", "-c", mount, "sh", str(programs)]
    ran = subprocess.run(
        [*prefix, "systemd-analyze", f"--{kind}", "--man=no", "verify", *units],
        env={"XDG_RUNTIME_DIR": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return f"{ran.returncode}: {ran.stdout}{ran.stderr}"
