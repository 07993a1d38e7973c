"""The AI SDK from npm, pointed at the queen: what each of its providers finds there."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.npm_programs import PROGRAMS
from harness.world.world import World

_SCRIPT = Path(__file__).with_suffix(".mjs")
_WITHIN_S = 90


def ask(world: World, model: str, caller: str) -> dict[str, dict[str, Any]]:
    """By provider, what it was answered by `model`, and by `caller`, which calls a function."""
    program = PROGRAMS["ai-sdk"]
    folder = Path(tempfile.mkdtemp(dir=world.root, prefix="ai-sdk-"))
    # Node looks for packages beside the script.
    (folder / "node_modules").symlink_to(program.modules)
    script = shutil.copy(_SCRIPT, folder)
    environment = {"QUEEN": world.queen_url, "KEY": world.key}
    run = program.run(world, [str(script), model, caller], environment, _WITHIN_S)
    assert run.exit_code == 0, run.stderr.text[-2000:]
    lines = [json.loads(line) for line in run.stdout.text.splitlines() if line.startswith("{")]
    return {line["provider"]: line for line in lines}
