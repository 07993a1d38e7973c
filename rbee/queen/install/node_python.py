"""The Python of a node: found there, and made to run `on_node`, which is sent to it as text.

That part is for Python 3.11 and the standard library alone. Paths and addresses come as arguments,
and no shell reads them. Its answer is the last line on standard output, in JSON; what git and pip
print goes to standard error. It is packed, because small SSH servers take commands of 9000 bytes at
most.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from rbee.queen.install.plan import FoundPython
from rbee.queen.ssh.connection import Result

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
# A module before those that import it.
_MODULES = ("processes", "clone", "survey", "environment", "commands")
_LOADER = """
import base64, json, sys, types, zlib
package = types.ModuleType("on_node")
package.__path__ = []
sys.modules["on_node"] = package
for name, text in json.loads(zlib.decompress(base64.b64decode(sys.argv[1]))).items():
    module = types.ModuleType("on_node." + name)
    module.__package__ = "on_node"
    sys.modules[module.__name__] = module
    exec(compile(text, name + ".py", "exec"), module.__dict__)
sys.exit(module.main(*sys.argv[2:]))
"""


class Remote(Protocol):
    """One node, reached by SSH. Raises SSH_CONNECTION_FAILED if it can't be reached."""

    node: str

    async def run(
        self,
        script: str,
        *words: str,
        within_s: float = 30.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run the POSIX sh `script` there; `words` arrive as $1, $2 … as they are. `on_line` hears
        each line of both outputs as it comes."""
        ...

    async def put(self, source: Path | bytes, path: str) -> None:
        """Write a file there; a relative `path` is relative to the home."""
        ...


class NodeFailedError(Exception):
    """`program` failed there with `code`, which is the negative number of a signal, after it wrote
    `output`."""

    def __init__(self, program: str, code: int, output: str) -> None:
        super().__init__(f"{program} failed")
        self.program = program
        self.code = code
        self.output = output


async def find(remote: Remote, names: Sequence[str]) -> list[FoundPython]:
    """The commands that are there and run, in this order."""
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
    """Run one of the commands of `on_node.commands` on the node. Raises NodeFailedError."""
    command = [python, *python_arguments(), *words]
    result = await remote.run(_RUN, *command, within_s=within_s, on_line=on_line)
    answer = _answer(result)
    if result.code != 0 or "failed" in answer:
        program, code = answer.get("failed", "python3"), answer.get("code", result.code)
        raise NodeFailedError(str(program), int(code), result.err or result.out)
    return answer


async def run(remote: Remote, *words: str, within_s: float) -> Result:
    """Run a program of the node, by its path."""
    return await remote.run(_RUN, *words, within_s=within_s)


def python_arguments() -> list[str]:
    """The arguments of the node's Python; those of `commands.main` follow them."""
    folder = Path(__file__).parent / "on_node"
    texts = {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in _MODULES}
    packed = zlib.compress(json.dumps(texts).encode(), level=9)
    return ["-I", "-c", _LOADER, base64.b64encode(packed).decode()]


def _answer(result: Result) -> dict[str, Any]:
    """The last line; what stands before it is the noise of somebody's .bashrc."""
    lines = result.out.rstrip("\n").splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
