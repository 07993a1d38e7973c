"""Runs commands at once, since one that computes uses one core only.

    python -m harness.running.at_once mypy lint-imports 'sphinx-build docs site'

The output of each is shown when it has ended, in the order given. Exit code 1 if one of them
failed, 2 if there is none.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence


def main(lines: Sequence[str]) -> int:
    if not lines:
        print("Name the commands, each as one argument.", file=sys.stderr)
        return 2
    running = [
        subprocess.Popen(shlex.split(line), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in lines
    ]
    failed = []
    for line, process in zip(lines, running, strict=True):
        output, _ = process.communicate()
        print(f"$ {line}\n{output.decode(errors='replace')}", end="", flush=True)
        if process.returncode:
            failed.append(f"failed with {process.returncode}: {line}")
    print("".join(f"{each}\n" for each in failed), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
