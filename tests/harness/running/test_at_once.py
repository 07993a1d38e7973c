"""Commands that run at once: each is shown, and none that failed is overlooked."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(*lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.running.at_once", *lines],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shell(script: str) -> str:
    return shlex.join(["sh", "-c", script])


def test_each_is_shown_with_its_output_in_the_order_given(tmp_path: Path) -> None:
    there = shlex.quote(str(tmp_path / "there"))
    mkfifo = shell(f"mkfifo {there}")
    assert run(mkfifo).returncode == 0
    # A pipe is opened only once the other command opens it too: they run at the same time.
    first = shell(f"cat {there}; echo wrong >&2")
    second = shell(f"echo hello > {there}; echo sent")
    done = run(first, second)
    assert (done.returncode, done.stdout) == (0, f"$ {first}\nhello\nwrong\n$ {second}\nsent\n")


def test_one_that_fails_fails_them_all() -> None:
    done = run(shell("exit 3"), shell("echo fine"))
    assert done.returncode == 1
    assert "fine\n" in done.stdout
    assert done.stdout.endswith(f"failed with 3: {shell('exit 3')}\n")


def test_without_commands_nothing_has_been_checked() -> None:
    assert run().returncode == 2
