"""What scenarios want to find nothing with finds something where there is something."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from harness.watching import footprint, terminal_screen
from harness.world.terminal import Terminal


@pytest.fixture
def process() -> Iterator[psutil.Process]:
    """One with `a-word` on its command line, and `a-value` in its environment."""
    waits = [sys.executable, "-c", "print(flush=True); input()", "--key=a-word"]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    started = subprocess.Popen(
        waits, stdin=pipe, stdout=pipe, stderr=nowhere, env={"KEY": "a-value"}
    )
    assert started.stdout
    started.stdout.readline()  # earlier, the kernel may not have its command line yet
    yield psutil.Process(started.pid)
    started.communicate()


def test_a_secret_in_a_process(process: psutil.Process) -> None:
    assert len(footprint.secret_in_processes("a-word", [process])) == 1
    assert len(footprint.secret_in_processes("a-value", [process])) == 1
    assert footprint.secret_in_processes("another", [process]) == []


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("one.log", "below/two.log", "key"):
        (tmp_path / name).write_text("it is s3cr3t.")
    found = footprint.secret_in_files("s3cr3t", tmp_path, except_for=tmp_path / "key")
    assert sorted(found) == [str(tmp_path / "below/two.log"), str(tmp_path / "one.log")]


def test_a_file_that_an_injected_command_left(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    subprocess.run(["sh", "-c", "touch pwned"], cwd=tmp_path / "home", check=True)
    assert footprint.injected_files(SimpleNamespace(root=tmp_path)) == [tmp_path / "home/pwned"]  # type: ignore[arg-type]


def test_a_colour_on_a_terminal(tmp_path: Path) -> None:
    red = ["/bin/sh", "-c", "printf '\\033[31mred\\033[0m'"]
    terminal = Terminal(red, dict(os.environ, TMPDIR=str(tmp_path)), tmp_path / "copy", 80)
    assert terminal.wait(5) == 0
    assert terminal.colours == {b"31"}


def test_a_bar_in_the_wrong_place() -> None:
    bar = "━" * 12 + "─" * 8 + " 60 %"
    good, twice, wide = f"text\n{bar}\n", f"{bar}\n{bar}\n", f"{bar}{' ' * 14}x\n"
    terminal = SimpleNamespace(screens=[good, twice, wide])
    assert terminal_screen.misplaced_bars(terminal, 40) == [twice, wide]  # type: ignore[arg-type]
