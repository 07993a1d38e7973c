"""What a worker imports, up to a loaded model: each of these modules costs its start or its memory.

A process of its own imports it all, since pytest's has everything already.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# What each would cost, and when it is imported after all.
_NEVER = {
    "numpy": "80 ms and 20 MB: with the first request for embeddings, a form or logprobs",
    "llguidance": "60 ms: with the first request for a form",
    "diskcache": "with the upper half of llama-cpp-python, which rbee does not use",
    "llama_cpp": "that half itself: `rbee.worker.model.bindings` has what is below it",
    "llama_cpp.llama": "the same",
    "jinja2": "50 ms and 6 MB: in the process that renders chat templates",
}

_ALL = """
import json, sys
import rbee.worker.app
from rbee.worker.model import context, llama, sampling
llama.initialise()
print(json.dumps(sorted(sys.modules)))
"""
_LOADED = """
import asyncio, json, sys
from pathlib import Path
from rbee.contract.config import Config
from rbee.worker.engine.load import Load
from rbee.worker.settings import WorkerSettings

settings = WorkerSettings(
    model=Path(sys.argv[1]), model_ref="m", worker_id="w", backend="cpu", device=0,
    host="127.0.0.1", port=0, slots=1, context=64, threads=1, mmap=True, cache_ram_mb=0,
    callback_url=None,
    lifeline=False, insecure=False, config=Config(),
)

async def load():
    return await asyncio.to_thread(Load(settings, lambda _: None, lambda _: None))

asyncio.run(load())
print(json.dumps(sorted(sys.modules)))
"""


def imported(program: str, *arguments: str) -> set[str]:
    """The modules that a program has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_a_worker_that_waits_for_its_model_has_imported_only_what_it_needs() -> None:
    found = imported(_ALL)
    assert "llama_cpp.llama_cpp" in found
    assert {name: why for name, why in _NEVER.items() if name in found} == {}


def test_a_worker_that_has_loaded_its_model_has_imported_only_what_it_needs(
    alphabet: Path,
) -> None:
    found = imported(_LOADED, str(alphabet))
    assert {name: why for name, why in _NEVER.items() if name in found} == {}


def test_a_worker_listens_before_it_imports_llama_cpp() -> None:
    found = imported("import json, sys, rbee.worker.app\nprint(json.dumps(sorted(sys.modules)))")
    assert "rbee.worker.requests.requests" in found
    assert not {"rbee.worker.model.bindings", "llama_cpp", "llguidance", "numpy"} & found
