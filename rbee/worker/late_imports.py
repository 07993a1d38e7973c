"""What a worker needs for its load and its first answer, and does not import before it listens.

What only some answers need, such as grammars, comes with the first of those.
"""

from __future__ import annotations

import importlib

_NEEDED = (
    "rbee.gguf.reader",
    "rbee.worker.engine.page_cache",
    "rbee.worker.model.choose_template",
    "rbee.worker.model.context",
    "rbee.worker.model.sampling",
    "rbee.worker.model.stepwise",
    "rbee.worker.engine.prompt_cache",
    "rbee.worker.engine.sequence",
    "rbee.worker.engine.slots",
    "rbee.worker.requests.metrics",
    "rbee.worker.requests.model_files",
    "rbee.worker.requests.prompt",
    "rbee.worker.requests.tool_use",
    "rbee.worker.requests.answer_form",
)


def import_now() -> None:
    """Import it all. Raises what an import raises."""
    for name in _NEEDED:
        importlib.import_module(name)
