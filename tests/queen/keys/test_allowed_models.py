"""Which models a key may use: what a reference means counts, not how it is spelled."""

from __future__ import annotations

import pytest

from rbee.contract.model_ref import parse
from rbee.queen.keys.allowed_models import judge, named_by_operator

REPOSITORY = "hf:o/r"
Q4, Q8 = "hf:o/r:Q4_K_M", "hf:o/r:Q8_0"
FILE = "hf:o/r/m-Q4_K_M.gguf"


@pytest.mark.parametrize(
    ("model", "allowed", "verdict"),
    [
        (REPOSITORY, [REPOSITORY], "yes"),
        (Q8, [REPOSITORY], "yes"),
        (FILE, [REPOSITORY], "yes"),
        ("hf:o/r/unnamed.gguf", [REPOSITORY], "yes"),
        ("hf:O/R:q8_0", [REPOSITORY], "yes"),
        ("hf:o/r@v2", [REPOSITORY], "no"),
        (REPOSITORY, ["hf:o/r@v2"], "no"),
        ("hf:o/r@v2:Q8_0", ["hf:o/r@v2"], "yes"),
        ("hf:o/r2", [REPOSITORY], "no"),
        (Q4, [Q4], "yes"),
        ("hf:o/r:q4_k_m", [Q4], "yes"),
        ("hf:o/r:FP16", ["hf:o/r:F16"], "yes"),
        (FILE, [Q4], "yes"),
        ("hf:o/r/deep/m-q4_k_m.gguf", [Q4], "yes"),
        (Q8, [Q4], "no"),
        ("hf:o/r/m-Q8_0.gguf", [Q4], "no"),
        ("hf:o/r/unnamed.gguf", [Q4], "no"),
        (REPOSITORY, [Q4], "ask"),
        (REPOSITORY, [FILE], "ask"),
        (Q4, [FILE], "ask"),
        (FILE, [FILE], "yes"),
        ("hf:o/r/other-Q4_K_M.gguf", [FILE], "no"),
        (REPOSITORY, [Q4, REPOSITORY], "yes"),
        (REPOSITORY, ["hf:a/b", Q4], "ask"),
        ("file:/m/a.gguf", ["file:/m/a.gguf"], "yes"),
        ("file:/m/b.gguf", ["file:/m/a.gguf"], "no"),
        ("file:/m/x/../a.gguf", ["file:/m/a.gguf"], "no"),
        ("smollm2", ["bundled:smollm2-135m-instruct"], "yes"),
        ("smollm2", [REPOSITORY], "no"),
        (REPOSITORY, [], "no"),
    ],
)
def test_what_is_asked_against_what_is_allowed(
    model: str, allowed: list[str], verdict: str
) -> None:
    assert judge(parse(model), map(parse, allowed)) == verdict


def test_without_a_list_a_file_counts_only_if_the_operator_has_named_it() -> None:
    file, other = parse("file:/m/a.gguf"), parse("file:/m/b.gguf")
    assert named_by_operator(file, [file])
    assert not named_by_operator(other, [file])
    assert named_by_operator(parse(REPOSITORY), [])
    assert named_by_operator(parse("smollm2"), [])
