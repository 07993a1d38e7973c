"""docs/reference/errors.md: everything that can go wrong, as a person and a program see it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages import markdown
from rbee.contract.errors import RbeeError
from rbee.runtime.error_text import explain

_HOW = """
Every error body, and the data of every `error` event, is
`{"error": {"code", "message", "details": {…}}}`. The details always have all their keys; an unknown
value is null. Each error is shown below as a person sees it, with made-up details. See also
[what to do when something is wrong](../how-to/troubleshooting.md).
"""

# What stands for each key of the details; a key of another error may want another kind of thing.
_EXAMPLES: dict[str, Any] = {
    "node": "workstation",
    "host": "workstation.home.arpa",
    "port": 22,
    "reason": "connection refused",
    "attempts": 3,
    "program": "rbee-keeper",
    "version": "0.2.0",
    "other_program": "queen-rbee",
    "other_version": "0.1.0",
    "model": "hf:owner/repo:Q8_0",
    "near": ["hf:owner/repo:Q4_K_M"],
    "url": "https://huggingface.co/owner/repo",
    "workers": ["worker-1"],
    "bytes_downloaded": 40_000_000,
    "bytes_total": 100_000_000,
    "file": "model.gguf",
    "expected": "SHA256",
    "actual": "ANOTHER",
    "required": 6000,
    "available": 4000,
    "path": "~/.local/share/rbee/models",
    "device": "cuda:0",
    "backend": "metal",
    "value": "model.safetensors",
    "forms": ["hf:owner/repo", "file:/abs/path.gguf"],
    "errors": [{"field": "max_tokens", "constraint": "ge", "message": "…", "value": 0}],
    "slots_total": 4,
    "slots_busy": 4,
    "waiting": 64,
    "worker_id": "worker-1",
    "tokens": 12,
    "max_tokens": 100,
    "log_tail": [],
    "state": "loading",
    "layers_loaded": 20,
    "layers_total": 32,
    "address": "127.0.0.1:8080",
    "holder": "python3 (pid 4711)",
    "source": "~/.config/rbee/config.toml",
    "key": "laptop",
    "role": "use",
    "allowed": ["hf:owner/repo:Q4_K_M"],
    "limit": 2,
    "correlation_id": "7d5b0c2a",
}
_OTHERS: dict[str, dict[str, Any]] = {
    "CONFIG_INVALID": {"key": "hive.prot"},
    "WRONG_ROLE": {"required": "manage"},
    "BACKEND_UNAVAILABLE": {"available": ["cuda", "cpu"]},
    "PORT_BLOCKED": {"port": 9200},
    "CONNECTION_TIMEOUT": {"port": 9200},
    "STATE_NOT_WRITABLE": {"path": "~/.rbee", "reason": "Permission denied"},
    "INVALID_API_KEY": {"host": "http://127.0.0.1:8080"},
    "TLS_FAILED": {"host": "queen.home.arpa", "port": 8080, "reason": "unknown_ca"},
    "COMPUTE_FAILED": {"reason": "the model computed values that are not numbers"},
    "MODEL_CORRUPT": {"reason": "the file ends too early"},
    "PROGRAM_FAILED": {"program": "rbee-hive", "reason": "its last words"},
    "DOWNLOAD_FAILED": {"attempts": 6},
}
_PROGRAMS = {"queen": "queen", "hive": "hive", "worker": "worker", "keeper": "keeper"}


def page(source: Path) -> str:
    """The whole page; `source` is the folder of the programs, where errors are raised."""
    raised = _raised(source)
    found = sorted(classes(), key=lambda kind: (kind.code, kind.__name__))
    parts = [_error(kind, raised.get(kind.__name__, set())) for kind in found]
    return markdown.page("Errors", "`rbee/contract/errors.py`", _HOW, *parts)


def classes() -> Iterator[type[RbeeError]]:
    """One class for each code; if two share a code, the one that has the code's own status."""
    seen: set[str] = set()
    rest = list(RbeeError.__subclasses__())
    while rest:
        kind = rest.pop(0)
        rest.extend(kind.__subclasses__())
        if kind.code not in seen:
            seen.add(kind.code)
            yield kind


def example(kind: type[RbeeError]) -> RbeeError:
    """An error of this kind with made-up details."""
    values = {**_EXAMPLES, **_OTHERS.get(kind.code, {})}
    return kind(**{key: values.get(key, key) for key in kind.keys})


def _error(kind: type[RbeeError], places: set[str]) -> str:
    status = "No HTTP status" if kind.status is None else f"HTTP {kind.status}"
    source = f", from {', '.join(sorted(places))}" if places else ""
    exit_code = f", exit code {kind.exit_code}" if kind.exit_code != 1 else ""
    keys = ", ".join(markdown.code(key) for key in kind.keys) or "none"
    about = markdown.prose(kind.__doc__) if kind.__doc__ != RbeeError.__doc__ else ""
    parts = [
        f"## {kind.code}",
        f"{status}{source}{exit_code}. Details: {keys}.",
        about,
        f"```\n{explain(example(kind))}\n```",
    ]
    return "\n\n".join(part for part in parts if part)


def _raised(source: Path) -> dict[str, set[str]]:
    """The programs whose code raises each class; shared code counts as any program."""
    names = {kind.__name__ for kind in classes()}
    found: dict[str, set[str]] = {}
    for file in sorted(source.rglob("*.py")):
        place = file.relative_to(source).parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := _called(node.func)) in names:
                found.setdefault(name, set()).add(_PROGRAMS.get(place, "any program"))
    return {name: {"any program"} if "any program" in of else of for name, of in found.items()}


def _called(function: ast.expr) -> str:
    """`Kind(…)` and `Kind.of(…)`."""
    if isinstance(function, ast.Attribute) and function.attr == "of":
        return _called(function.value)
    return function.id if isinstance(function, ast.Name) else ""
