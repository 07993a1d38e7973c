"""Text reaches a terminal or a log through a few modules, which make it safe to show."""

from __future__ import annotations

import ast
from pathlib import Path

import rbee

ROOT = Path(rbee.__file__).parent
WRITERS = {
    "runtime/outputs.py": "what Screen, the bars and the countdown have made safe",
    "runtime/daemon.py": "the ready line, and errors as error_text has them",
    "runtime/daemon_settings.py": "settings as TOML, and errors as error_text has them",
    "runtime/leave.py": "words of the system",
    "keeper/__main__.py": "a word of ours",
    "keeper/cli/machine.py": "a script of ours",
    "keeper/terminal/confirm.py": "a question that is made safe",
    "keeper/cli/verbs.py": "the help of a command",
    "worker/cli.py": "names of devices that are made safe",
    "queen/install/on_node/commands.py": "JSON, and errors, for the queen that asked",
}


def _writes(call: ast.Call) -> bool:
    said = ast.unparse(call.func)
    if said == "print":
        return not any(
            each.arg == "file" and ast.unparse(each.value) not in ("sys.stderr", "sys.stdout")
            for each in call.keywords
        )
    streams = ("sys.stdout", "sys.stderr", "sys.stdout.buffer", "sys.stderr.buffer")
    return said.startswith("click.echo") or said in {f"{each}.write" for each in streams}


def test_no_other_module_writes_to_a_terminal() -> None:
    found = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and _writes(node)
    }
    assert found == set(WRITERS)
