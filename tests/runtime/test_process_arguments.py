"""What others see as the arguments of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SHOWS = """
import os, sys
from pathlib import Path
from rbee.runtime.process_arguments import show_arguments
show_arguments(sys.argv[1].split("|"))
print(Path("/proc/self/cmdline").read_text().split(chr(0))[-4:])
print(os.environ["MARK"], "MARK=here" in Path("/proc/self/environ").read_text().split(chr(0)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
@pytest.mark.parametrize("model", ["/m.gguf", "/a folder/ü.gguf", "/" + "long" * 2000])
def test_they_are_shown_word_for_word_and_the_environment_stays(tmp_path: Path, model: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(SHOWS)
    command = [sys.executable, str(file), f"--model|{model}"]
    environment = {"MARK": "here", "PYTHONPATH": str(Path.cwd())}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == [f"{[str(file), '--model', model, '']}", "here True"]
