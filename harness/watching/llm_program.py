"""The command line `llm`, set up in a world as our page shows, and what it keeps about its answers.

It is a test dependency, and is installed beside the programs of ours.
"""

import json
import re
from pathlib import Path

from harness.world.world import World

_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "clients.md"
_QUEEN = "http://127.0.0.1:8080"


def set_up(world: World) -> None:
    """Write the files that the page has a person write, with this world's queen and key."""
    section = _PAGE.read_text(encoding="utf-8").partition("\n## llm\n")[2].partition("\n## ")[0]
    found = re.search(r"```yaml\n(.+?)```", section, re.DOTALL)
    assert found, f"{_PAGE} shows no models for llm"
    models = found[1]
    assert _QUEEN in models, models
    folder = _folder(world)
    folder.mkdir(parents=True)
    models_file = folder / "extra-openai-models.yaml"
    models_file.write_text(models.replace(_QUEEN, world.queen_url), encoding="utf-8")
    (folder / "keys.json").write_text(json.dumps({"rbee": world.key}))


def logged(world: World) -> list[tuple[str, int, int]]:
    """The conversation, the tokens of the prompt and those of the answer, of each response."""
    run = world.start("llm logs list --json -n 0")
    assert run.wait(within=30) == 0, run.stderr.text
    names = ("conversation_id", "input_tokens", "output_tokens")
    found = sorted(json.loads(run.stdout.text), key=lambda each: each["datetime_utc"])
    return [tuple(each[name] for name in names) for each in found]


def _folder(world: World) -> Path:
    return world.home / ".config" / "io.datasette.llm"
