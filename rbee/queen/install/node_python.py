"""The Python of a node: found there, and set to work with what we send it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from rbee.queen.install import on_node
from rbee.queen.install.plan import FoundPython
from rbee.queen.ssh.remote import Remote, Result

# A login without a terminal often has a PATH that lacks what people install.
_PATH = 'PATH="$PATH:$HOME/.local/bin:/usr/local/bin:/opt/homebrew/bin:/usr/local/cuda/bin"\n'
_FIND = (
    _PATH
    + """for name in "$@"; do
  path=$(command -v "$name") || continue
  version=$("$path" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>&1) || continue
  printf 'python %s %s\\n' "$version" "$path"
done
"""
)
_RUN = _PATH + 'export PATH; exec "$@"\n'
_FOUND_WITHIN_S = 60.0


class NodeFailedError(Exception):
    """What was asked for did not come about: `program` failed, `code` below zero is the number of
    a signal, and `said` is all that was said on the way."""

    def __init__(self, program: str, code: int, said: str) -> None:
        super().__init__(f"{program} failed")
        self.program = program
        self.code = code
        self.said = said


async def find(remote: Remote, names: Sequence[str]) -> list[FoundPython]:
    """Those of the commands that are there and run, in this order."""
    result = await remote.run(_FIND, *names, within_s=_FOUND_WITHIN_S)
    lines = [line.split(" ", 2) for line in result.out.splitlines()]
    return [
        FoundPython(line[2], tuple(map(int, line[1].split("."))))
        for line in lines
        if len(line) == 3 and line[0] == "python" and line[1].replace(".", "").isdigit()
    ]


async def ask(
    remote: Remote,
    python: str,
    words: Sequence[str],
    within_s: float,
    on_line: Callable[[str], None],
) -> dict[str, Any]:
    """Have the node do one of the commands of `on_node.program`. Raises NodeFailedError."""
    command = [python, *on_node.words(), *words]
    result = await remote.run(_RUN, *command, within_s=within_s, on_line=on_line)
    answer = _answer(result)
    if result.code != 0 or "failed" in answer:
        program, code = answer.get("failed", "python3"), answer.get("code", result.code)
        raise NodeFailedError(str(program), int(code), result.err or result.out)
    return answer


async def run(remote: Remote, *words: str, within_s: float) -> Result:
    """A program of the node, by its path."""
    return await remote.run(_RUN, *words, within_s=within_s)


def _answer(result: Result) -> dict[str, Any]:
    """The last line; what stands before it is the noise of somebody's .bashrc."""
    lines = result.out.rstrip("\n").splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
