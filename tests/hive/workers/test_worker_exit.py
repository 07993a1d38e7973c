"""Why a worker has ended: its model's file, llama.cpp, or something else."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest

from rbee.contract.errors import BackendUnavailable, ModelCorrupt, UnsupportedModelFormat
from rbee.contract.workers import WorkerState
from rbee.gguf.file_changes import Change
from rbee.hive.workers.launch import WorkerSpec
from rbee.hive.workers.worker_exit import why

SPEC = WorkerSpec(
    worker_id="w-1",
    model_ref="hf:a/b:m.gguf",
    file="/m.gguf",
    backend="cpu",
    device=0,
    slots=2,
    correlation_id="c-1",
)
VERIFIED = msgspec.structs.replace(SPEC, is_hash_known=True)
STAMP = "2026-11-27T21:00:00.123"


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE"])
def test_a_crash_while_loading_says_that_llama_cpp_cant_load_the_model(name: str) -> None:
    number = signal.Signals[name]
    _, error = why(SPEC, "loading", -number, ["model.cpp:12: broken"], None, None)
    assert isinstance(error, UnsupportedModelFormat)
    wanted = f"llama.cpp can't load /m.gguf: model.cpp:12: broken (signal {int(number)})"
    assert error.message == wanted


@pytest.mark.parametrize("code", [0, 1, 3, signal.SIGABRT, -signal.SIGKILL, -signal.SIGTERM])
def test_an_exit_or_a_signal_from_outside_is_not_llama_cpps_doing(code: int) -> None:
    assert why(SPEC, "loading", code, [], None, None)[1] is None


@pytest.mark.parametrize("state", ["idle", "busy", "unhealthy"])
def test_a_crash_after_the_load_is_not_about_loading(state: WorkerState) -> None:
    assert why(SPEC, state, -signal.SIGSEGV, [], None, None)[1] is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a.cpp:1: GGML_ASSERT(x) failed"], "a.cpp:1: GGML_ASSERT(x) failed"),
        ([f"{STAMP} ERROR   llama-cpp [c-1] no such tensor"], "no such tensor"),
        ([f"{STAMP} WARNING llama-cpp a bad token"], "a bad token"),
        (['{"level":"error","logger":"llama-cpp","message":"no"}'], "no"),
        ([], "it printed nothing"),
    ],
)
@pytest.mark.parametrize(
    "ours",
    [
        [],
        [f"{STAMP} INFO    llm-worker-rbee [c-1] reading"],
        ['{"level":"info","logger":"llm-worker-rbee","message":"reading"}', ""],
    ],
)
def test_the_reason_is_the_last_line_of_llama_cpp_and_not_of_ours(
    lines: list[str], said: str, ours: list[str]
) -> None:
    _, error = why(SPEC, "loading", -signal.SIGABRT, [*lines, *ours], None, None)
    assert error is not None
    assert error.message.endswith(f": {said} (signal 6)")


def test_a_file_that_llama_cpp_refuses_is_corrupt_unless_it_was_whole() -> None:
    refused = ModelCorrupt(file="/m.gguf", reason="no tensor x")
    assert why(SPEC, "loading", 1, [], refused, None)[1] is refused
    reason, error = why(VERIFIED, "loading", 1, [], refused, None)
    assert isinstance(error, UnsupportedModelFormat)
    assert reason == error.message == "llama.cpp can't load /m.gguf: no tensor x"


def test_the_advice_depends_on_what_is_known_of_the_file() -> None:
    _, unknown = why(SPEC, "loading", -6, [], None, None)
    _, known = why(VERIFIED, "loading", -6, [], None, None)
    assert unknown is not None
    assert known is not None
    assert "sha256" in unknown.advice
    assert "download" in unknown.advice
    assert "whole" in known.advice
    assert "download" not in known.advice


def test_other_errors_of_the_worker_stay_what_they_are() -> None:
    named = BackendUnavailable(backend="cuda", available=["cpu"])
    assert why(VERIFIED, "loading", -6, [], named, None) == (named.message, named)


@pytest.mark.parametrize(
    ("code", "how"), [(-signal.SIGBUS, "ended by signal 7"), (0, "ended with code 0")]
)
@pytest.mark.parametrize("state", ["loading", "busy"])
def test_a_file_that_has_changed_is_the_reason(state: WorkerState, code: int, how: str) -> None:
    change = Change(Path("/m.gguf"), in_place=True)
    reason, error = why(SPEC, state, code, [], None, change)
    assert reason.startswith("/m.gguf has changed")
    assert how in reason
    assert error is None
