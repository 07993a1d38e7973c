"""The commands on a page of the documentation, and the output that it shows for them."""

import re
import shlex
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from harness.world.commands import INSTALLED
from harness.world.run import Run
from harness.world.world import World

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_JSON = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT = "$ "
_ANY = "…"
_HOME = "/home/you"
_QUEEN = "http://127.0.0.1:8080"


@dataclass
class Example:
    """A command as it is typed, and the lines below it; `shows` if the page shows its output."""

    command: str
    shown: list[str] = field(default_factory=list)
    shows: bool = False


def examples(page: str) -> list[Example]:
    """Return the examples in the order of the page; those of one page build on each other.

    `page` is a path in the repository. A block without prompts contains only commands.
    """
    text = (_ROOT / page).read_text(encoding="utf-8")
    return [example for block in _BLOCK.findall(text) for example in _in_block(block)]


def _in_block(block: str) -> list[Example]:
    lines = block.replace("\\\n", "").splitlines()
    if not any(line.startswith(_PROMPT) for line in lines):
        return [Example(line) for line in lines]
    found: list[Example] = []
    for line in lines:
        if line.startswith(_PROMPT):
            found.append(Example(line.removeprefix(_PROMPT), shows=True))
        else:
            found[-1].shown.append(line)
    return found


def without(found: list[Example], beginnings: Collection[str]) -> list[Example]:
    """Leave out the commands with these beginnings, each of which must be on the page."""
    left_out = {
        beginning: [each for each in found if each.command.startswith(beginning)]
        for beginning in beginnings
    }
    assert all(left_out.values()), f"not on the page: {left_out}"
    return [each for each in found if not each.command.startswith(tuple(beginnings))]


def write_shown(world: World, page: str, name: str) -> None:
    """Write the first JSON of a page into a file where commands are typed."""
    text = (_ROOT / page).read_text(encoding="utf-8")
    shown = _JSON.search(text)
    assert shown, f"{page} shows no JSON"
    folder = Path(world.environment()["TMPDIR"])
    (folder / name).write_text(shown[1], encoding="utf-8")


def type_in_a_shell(world: World, command: str) -> Run:
    """Run it as the user's shell would: with redirections, quotes and comments."""
    if world.commands.replaced and "PATH" not in world.extra_environment:
        folder = _programs(world)
        world.extra_environment["PATH"] = f"{folder}:{world.environment()['PATH']}"
    return world.start("bash -c", more=[command])


def _programs(world: World) -> Path:
    """Return a folder with the judged programs under their documented names."""
    folder = world.root / "programs"
    folder.mkdir()
    for role in world.commands.replaced:
        program = folder / INSTALLED[role]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(world.commands.argv(role))} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def differences(example: Example, world: World, run: Run) -> list[str]:
    """Return the lines that the page shows and the program does not print, and those of standard
    output that the page does not show. Numbers may differ. A line of … stands for lines of standard
    error."""
    out, errors = (
        [_shape(line) for line in _at_home(text, world).splitlines()]
        for text in (run.stdout.text, run.stderr.text)
    )
    shown = [_shape(line) for line in example.shown if line != _ANY]
    missing = [f"not shown by the program: {line}" for line in shown if line not in out + errors]
    not_shown = [f"not on the page: {line}" for line in out if line not in shown]
    if _ANY not in example.shown:
        not_shown += [f"not on the page: {line}" for line in errors if line not in shown]
    return missing + not_shown


def _at_home(text: str, world: World) -> str:
    """Return the text as it would be on a reader's machine."""
    return text.replace(str(world.home), _HOME).replace(world.queen_url, _QUEEN)


def _shape(line: str) -> str:
    """Remove the numbers, and the padding that depends on their width."""
    line = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", line)
    line = re.sub(r"\bcorrelation id: [0-9a-f]{16}\b", "CORRELATION-ID", line)
    line = re.sub(r"\bworker-[0-9a-f-]{36}\b", "WORKER-ID", line)
    line = re.sub(r"\d+(\.\d+)? (MB|GB)\b", "SIZE", line)
    line = re.sub(r"\d+(\.\d+)? s\b|\bpid \d+", "FIGURE", line)
    return re.sub(r" {2,}", "  ", line)
