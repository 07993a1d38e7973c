"""Why a worker has ended, from what is known of it."""

from __future__ import annotations

import signal

from rbee.contract.errors import ModelCorrupt, RbeeError, UnsupportedModelFormat
from rbee.contract.model_ref import FORMS
from rbee.contract.workers import WorkerState
from rbee.gguf.file_changes import Change
from rbee.hive.workers.launch import WorkerSpec
from rbee.hive.workers.worker_logs import last_line_of_llama

# The signals by which a native library ends itself. KILL is not one of them: it mostly comes from
# a kernel that is short of memory.
_CRASHES = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE})


def why(
    spec: WorkerSpec,
    state: WorkerState,
    code: int,
    lines: list[str],
    reported: RbeeError | None,
    change: Change | None,
) -> tuple[str, RbeeError | None]:
    """The reason in words, and the error, if it is more than a crash.

    `state` is the worker's last one, `code` its exit code (negative: a signal), `lines` the last of
    its log, `reported` the error that it reported itself, and `change` what happened to the files
    of its model since the worker was started.
    """
    if change is not None and reported is None:
        return f"{change.file} has changed since it was started, and {_exit(code)}", None
    error = reported
    if error is None and state == "loading" and -code in _CRASHES:
        # Some false values in a header abort llama.cpp, and so do its own faults.
        line = last_line_of_llama(lines) or "it printed nothing"
        error = _unloadable(spec, f"{line} (signal {-code})")
    elif isinstance(error, ModelCorrupt) and spec.is_hash_known:
        error = _unloadable(spec, str(error.details["reason"]))
    return str(error) if error else _exit(code), error


def _unloadable(spec: WorkerSpec, reason: str) -> UnsupportedModelFormat:
    other = "use another model or quantization, or an rbee with a newer llama.cpp"
    if spec.is_hash_known:
        hint = f"The file was whole when it came: {other}."
    else:
        hint = f"Nothing is known of the file's sha256: download it again, or {other}."
    return UnsupportedModelFormat(
        f"llama.cpp can't load {spec.file}: {reason}",
        value=spec.file,
        forms=list(FORMS),
        hint=hint,
    )


def _exit(code: int) -> str:
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
