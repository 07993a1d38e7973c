"""`--help` is fast because the command line imports nothing but click."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
from rbee.keeper.__main__ import main
try:
    main()
finally:
    print(*sorted(name for name in sys.modules if "." not in name or name.startswith("rbee")))
"""


@pytest.mark.parametrize(
    "words", [[], ["setup", "add-node"], ["pool"], ["infer"], ["models", "download"], ["doctor"]]
)
def test_help_imports_click_and_the_command_line_only(words: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _CODE, *words, "--help"], capture_output=True, text=True, check=True
    )
    modules = set(ran.stdout.splitlines()[-1].split())
    own = {name for name in modules if name.startswith("rbee")}
    assert "rbee.keeper.cli" in own
    allowed = ("rbee.keeper.cli", "rbee.keeper.__main__")
    assert {name for name in own - {"rbee", "rbee.keeper"} if not name.startswith(allowed)} == set()
    slow = {"aiohttp", "asyncio", "asyncssh", "msgspec", "tomlkit", "http", "ssl", "rich"}
    assert modules & slow == set()
