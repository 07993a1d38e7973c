"""What several parts of the worker's tests need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from rbee.contract.config import Config
from rbee.worker.settings import WorkerSettings


def settings_of(path: Path, **others: Any) -> WorkerSettings:
    """The settings of a worker of two slots for a model's file, on the CPU, but for `others`."""
    settings = WorkerSettings(
        model=path,
        model_ref=f"file:{path}",
        worker_id="w",
        backend="cpu",
        device=0,
        host="127.0.0.1",
        port=0,
        slots=2,
        context=None,
        threads=1,
        mmap=True,
        cache_ram_mb=0,
        callback_url=None,
        lifeline=False,
        insecure=False,
        config=Config(),
    )
    return msgspec.structs.replace(settings, **others)
