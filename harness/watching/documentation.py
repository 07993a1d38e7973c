"""The commands of a page of the documentation, and what it says that they show."""

import re
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from harness.world.commands import INSTALLED
from harness.world.run import Run
from harness.world.world import World

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT = "$ "
_ANY = "…"
_HOME = "/home/you"
_QUEEN = "http://127.0.0.1:8080"


@dataclass
class Example:
    """A command as it is typed, and the lines below it; `shows` where the page says them."""

    command: str
    shown: list[str] = field(default_factory=list)
    shows: bool = False


def examples(page: str) -> list[Example]:
    """In the order of the page, a path in the repository; those of one page build on each other.

    A block without prompts is commands only.
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
    """Those that are typed: the others begin as told, and each of these is in the page."""
    left_out = {
        beginning: [each for each in found if each.command.startswith(beginning)]
        for beginning in beginnings
    }
    assert all(left_out.values()), f"not in the page: {left_out}"
    return [each for each in found if not each.command.startswith(tuple(beginnings))]


def type_in_a_shell(world: World, command: str) -> Run:
    """As a person's shell takes it: redirections, quotes and comments as well."""
    if world.commands.replaced and "PATH" not in world.extra_environment:
        folder = _programs(world)
        world.extra_environment["PATH"] = f"{folder}:{world.environment()['PATH']}"
    return world.start("bash -c", more=[command])


def _programs(world: World) -> Path:
    """The programs that are judged, under the names that the documentation has for them."""
    folder = world.root / "programs"
    folder.mkdir()
    for role, command in world.commands.replaced.items():
        program = folder / INSTALLED[role]
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def differences(example: Example, world: World, run: Run) -> list[str]:
    """What is shown and does not come, and what goes to standard output and is not shown; figures
    may differ. A line of … stands for lines of standard error."""
    out, errors = (
        [_shape(line) for line in _at_home(text, world).splitlines()]
        for text in (run.stdout.text, run.stderr.text)
    )
    shown = [_shape(line) for line in example.shown if line != _ANY]
    missing = [f"not shown by the program: {line}" for line in shown if line not in out + errors]
    unsaid = [f"not in the page: {line}" for line in out if line not in shown]
    if _ANY not in example.shown:
        unsaid += [f"not in the page: {line}" for line in errors if line not in shown]
    return missing + unsaid


def _at_home(text: str, world: World) -> str:
    """As a reader's machine would have it."""
    return text.replace(str(world.home), _HOME).replace(world.queen_url, _QUEEN)


def _shape(line: str) -> str:
    """Without its figures, and without what their width makes of a table."""
    line = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", line)
    line = re.sub(r"\bcorrelation id: [0-9a-f]{16}\b", "CORRELATION-ID", line)
    line = re.sub(r"\bworker-[0-9a-f-]{36}\b", "WORKER-ID", line)
    line = re.sub(r"\d+(\.\d+)? (MB|GB)\b", "SIZE", line)
    line = re.sub(r"\d+(\.\d+)? s\b|\bpid \d+", "FIGURE", line)
    return re.sub(r" {2,}", "  ", line)
