"""What clients call models, and what they mean."""

from __future__ import annotations

import pytest

from rbee.contract import model_ref
from rbee.queen.gateway.model_names import Names

QWEN = "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf"
BUNDLED = "bundled:smollm2-135m-instruct"
TINY = "file:/models/Tiny.gguf"
OLD = "hf:a/old@v1/old.gguf"
KNOWN = [QWEN, BUNDLED, TINY, OLD, "hf:one/x/same.gguf", "hf:two/y/same.gguf"]
ALIASES = {**model_ref.ALIASES, "big": "hf:a/b", "Tiny": "hf:c/d", "tiny.gguf": "hf:e/f"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (QWEN, QWEN),
        (QWEN.removeprefix("hf:"), QWEN),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", QWEN),
        ("qwen2.5-0.5b-instruct-q4_k_m", QWEN),
        ("QWEN2.5-0.5B-INSTRUCT-Q4_K_M", QWEN),
        ("qwen2.5-0.5b-instruct-q4_k_m:latest", QWEN),
        ("qwen/qwen2.5-0.5b-instruct-gguf", "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF"),
        ("Qwen2.5-0.5B-Instruct-GGUF", "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF"),
        ("smollm2-135m-instruct", BUNDLED),
        ("smollm2", "smollm2"),
        ("SmolLM2:latest", "smollm2"),
        ("big", "big"),
        ("BIG", "big"),
        ("big:latest", "big"),
        ("Tiny", "Tiny"),  # an alias hides a file's name
        (TINY, TINY),
        ("/models/Tiny.gguf", TINY),
        ("Tiny.gguf", TINY),
        ("tiny.gguf", "tiny.gguf"),
        ("TINY.gguf", None),  # the alias, or the file
        ("same", None),
        ("same.gguf", None),
        ("one/x/same.gguf", "hf:one/x/same.gguf"),
        ("old", OLD),
        ("a/old", "a/old"),  # not that revision
        ("hf:new/model:Q8_0", "hf:new/model:Q8_0"),
        ("new/model", "new/model"),
        ("new/model:latest", "new/model"),
        ("file:/not/there.gguf", "file:/not/there.gguf"),
        ("gpt-4o", None),
        ("default", None),
        ("", None),
        (":latest", None),
        ("../../etc/passwd", None),
        ("a/b/c", None),
        ("x" * 5000, None),
    ],
)
def test_a_name_means_one_model_or_none(name: str, meant: str | None) -> None:
    assert Names(KNOWN, ALIASES).resolve(name) == meant


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    error = Names(KNOWN, ALIASES).not_found("smollm3")
    assert (error.code, error.status) == ("MODEL_NOT_FOUND", 404)
    assert error.details["near"][0] == "smollm2"
    assert "smollm2" in error.advice
    assert "nearest" not in Names([], {}).not_found("zzzzzz").advice
    assert len(Names([], {}).not_found("x" * 5000).message) < 300
