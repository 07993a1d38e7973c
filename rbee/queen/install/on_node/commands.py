"""The commands that the queen gives on the node, by name."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from .clone import fetch
from .environment import build, make_wheel_folder
from .processes import FailedError
from .survey import survey


def main(command: str, *words: str) -> int:
    """The exit status."""
    # Others may read the programs that are put there, and not write them, whatever umask the
    # account has. git and pip inherit it.
    os.umask(0o022)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "survey": survey,
        "fetch": fetch,
        "wheel-folder": make_wheel_folder,
        "build": build,
    }
    answer: dict[str, Any]
    try:
        answer = commands[command](*words)
    except FailedError as error:
        answer = {"failed": error.program, "code": error.code}
    except OSError as error:
        print(error, file=sys.stderr)
        answer = {"failed": "python3", "code": 1}
    print(json.dumps(answer))
    return 1 if "failed" in answer else 0


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)
