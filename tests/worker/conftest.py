"""What several parts of the worker's tests need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rbee.contract.config import Config
from rbee.worker.settings import WorkerSettings


@pytest.fixture(scope="session")
def settings_for() -> Callable[[Path], WorkerSettings]:
    """The settings of a worker of two slots for a model's file, on the CPU."""

    def settings(path: Path) -> WorkerSettings:
        return WorkerSettings(
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
            api_key_file=None,
            lifeline=False,
            insecure=False,
            config=Config(),
        )

    return settings
