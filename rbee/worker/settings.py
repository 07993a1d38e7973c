"""The settings of a worker: flags for this model, the config file for all workers."""

from __future__ import annotations

from pathlib import Path

from rbee.runtime.daemon_settings import DaemonSettings


class WorkerSettings(DaemonSettings, frozen=True, kw_only=True):
    """`context` and `threads` are None for the default; `callback_url` is None without a hive."""

    model: Path
    model_ref: str
    worker_id: str
    backend: str
    device: int
    slots: int
    context: int | None
    threads: int | None
    mmap: bool
    cache_ram_mb: int
    callback_url: str | None
