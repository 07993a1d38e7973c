"""The program of a worker: its name, and the command that starts it. Nothing heavy is imported
here, since a hive starts its standby workers before its own imports."""

from __future__ import annotations

from rbee.contract.config import Config
from rbee.runtime import paths

WORKER = "llm-worker-rbee"


def worker_command(config: Config) -> list[str]:
    """The command that starts a worker: the config's, otherwise this installation's program. Raises
    CONFIG_INVALID and PROGRAM_FAILED."""
    return paths.program(WORKER, config.worker.command)
