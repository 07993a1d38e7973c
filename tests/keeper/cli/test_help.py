"""`--help` is fast because the command line imports nothing but click."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "words", [[], ["setup", "add-node"], ["pool"], ["infer"], ["models", "download"], ["doctor"]]
)
def test_help_imports_click_and_the_command_line_only(words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "rbee.keeper", *words, "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = set(re.findall(r"^import time: .*\| *(\S+)$", ran.stderr, re.MULTILINE))
    own = {name for name in modules if name.startswith("rbee")}
    assert "rbee.keeper.cli" in own
    small = {"rbee.runtime.leave", "rbee.runtime.usage"}
    others = own - {"rbee", "rbee.keeper", "rbee.runtime"} - small
    assert {name for name in others if not name.startswith("rbee.keeper.cli")} == set()
    slow = {"aiohttp", "asyncio", "asyncssh", "msgspec", "tomlkit", "http", "ssl", "rich"}
    assert modules & slow == set()
