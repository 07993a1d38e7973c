"""Log lines as values: JSON lines, levels, and the logs that earlier workers left."""

import json
import os
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from harness.watching import logs
from harness.world.world import World

FIELDS = {"time", "level", "logger", "message", "correlation_id"}
_LEVEL = re.compile(r"^\S+ ([A-Z]+) +[\w.-]+ ")


def now() -> float:
    """Seconds since the epoch, as log lines have them."""
    return time.time()


def json_lines(world: World, program: str) -> list[dict[str, Any]]:
    """Return the lines of a program's only log; ValueError for one that is not JSON."""
    return [json.loads(line) for line in logs.written(world.home, program)]


def levels(text: str) -> set[str]:
    """Return the levels of a daemon's lines."""
    return {match[1] for line in text.splitlines() if (match := _LEVEL.match(line))}


def leave_logs(world: World, count: int, lines: int = 1) -> list[Path]:
    """Write logs as of workers that ended, a minute after each other, the first most recently. The
    log of the last one was rotated."""
    folder = logs.folder(world.home)
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o700)
    left = []
    for number in range(count):
        name = logs.worker_log_name(f"worker-{uuid.uuid4()}")
        path = folder / f"{name}.log"
        ended = time.time() - 60 * (number + 1)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000", time.localtime(ended))
        text = "".join(f"{stamp} INFO    model-loader line {each}\n" for each in range(lines))
        path.touch(mode=0o600)
        path.write_text(text)
        os.utime(path, (ended, ended))
        left.append(path)
    if count > 1:
        shutil.copy2(left[-1], f"{left[-1]}.1")
    return left
