"""Quantizations as those who publish models write them, and which one is taken."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.quantization import of_file
from rbee.gguf.quantization import bits, by_size, choose

KNOWN = [
    "IQ1_S",
    "IQ2_XXS",
    "IQ3_M",
    "IQ4_XS",
    "IQ4_NL",
    "TQ1_0",
    "TQ2_0",
    "Q2_K",
    "Q2_K_L",
    "Q3_K_S",
    "Q3_K_XL",
    "Q4_0",
    "Q4_1",
    "Q4_K_S",
    "Q4_K_M",
    "Q4_0_4_8",
    "Q5_K_M",
    "Q6_K",
    "Q6_K_L",
    "Q8_0",
    "Q8_K_XL",
    "F16",
    "F32",
    "BF16",
    "MXFP4",
    "MXFP4_MOE",
]


@pytest.mark.parametrize(
    ("path", "quantization"),
    [
        # TheBloke
        ("tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf", "Q4_K_M"),
        ("mistral-7b-instruct-v0.2.Q8_0.gguf", "Q8_0"),
        ("llama-2-70b.q5_K_S.gguf", "Q5_K_S"),
        # bartowski
        ("Llama-3.2-1B-Instruct-Q6_K_L.gguf", "Q6_K_L"),
        ("Llama-3.2-1B-Instruct-IQ4_XS.gguf", "IQ4_XS"),
        ("Llama-3.2-1B-Instruct-Q4_0_8_8.gguf", "Q4_0_8_8"),
        ("Qwen_Qwen3-30B-A3B-bf16/Qwen_Qwen3-30B-A3B-bf16-00001-of-00002.gguf", "BF16"),
        # unsloth
        ("Qwen3-0.6B-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("UD-IQ1_S/DeepSeek-R1-0528-UD-IQ1_S-00001-of-00004.gguf", "IQ1_S"),
        ("DeepSeek-R1.BF16/DeepSeek-R1.BF16-00001-of-00030.gguf", "BF16"),
        # Qwen
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-fp16.gguf", "F16"),
        ("qwen2.5-7b-instruct-q4_0-00001-of-00002.gguf", "Q4_0"),
        # ggml-org
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("ggml-model-f16.gguf", "F16"),
        ("SmolLM3-Q4_K_M.gguf", "Q4_K_M"),
        # lmstudio-community
        ("gemma-3-270m-it-qat-Q4_0.gguf", "Q4_0"),
        ("Meta-Llama-3.1-8B-Instruct-Q3_K_L.gguf", "Q3_K_L"),
        # and others
        ("Phi-3-mini-4k-instruct-q4.gguf", "Q4"),
        ("Model.i1-IQ2_XXS.gguf", "IQ2_XXS"),
        ("bitnet-TQ1_0.gguf", "TQ1_0"),
        ("Q4_K_M.gguf", "Q4_K_M"),
        ("F32/model.gguf", "F32"),
        ("model-Q4_K_M.GGUF", "Q4_K_M"),
    ],
)
def test_a_published_file_shows_its_quantization(path: str, quantization: str) -> None:
    assert of_file(path) == quantization


@pytest.mark.parametrize(
    "path",
    ["model.gguf", "qwen2.5-7b.gguf", "Qwen3-8B.gguf", "f1-racer.gguf", "x-Q9_0.gguf", "q16.gguf"],
)
def test_a_name_that_shows_none_has_none(path: str) -> None:
    assert of_file(path) is None


def test_the_last_one_in_the_path_counts() -> None:
    assert of_file("BF16/model-from-F16-Q8_0.gguf") == "Q8_0"


@pytest.mark.parametrize(
    ("folder", "between"), list(itertools.product(["", "a/", "Q8/x/"], "-. _"))
)
@pytest.mark.parametrize("quantization", KNOWN)
def test_it_is_found_behind_every_separator(folder: str, between: str, quantization: str) -> None:
    assert of_file(f"{folder}model{between}{quantization}.gguf") == quantization
    assert of_file(f"{folder}model{between}{quantization.lower()}.gguf") == quantization


@pytest.mark.parametrize(
    ("quantization", "count"),
    [("Q4_K_M", 4), ("IQ2_XXS", 2), ("BF16", 16), ("F32", 32), ("MXFP4", 4), ("TQ1_0", 1)],
)
def test_bits_are_the_nominal_ones(quantization: str, count: int) -> None:
    assert bits(quantization) == count


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["Q2_K", "Q4_K_M", "Q8_0"], "Q4_K_M"),
        (["Q4_0", "Q4_K_M", "Q4_K_S"], "Q4_K_M"),
        (["Q4_K_L", "Q4_K_M"], "Q4_K_M"),
        (["Q4_0", "Q4_K_S"], "Q4_K_S"),
        (["Q8_0", "Q2_K"], "Q2_K"),
        (["Q3_K_M", "Q5_K_M"], "Q5_K_M"),
        (["Q5_0", "Q5_K_S", "Q3_K_M"], "Q5_K_S"),
        (["F16", "Q8_0"], "Q8_0"),
        (["IQ4_XS", "MXFP4", "Q4_1"], "IQ4_XS"),
        (["BF16"], "BF16"),
    ],
)
def test_without_a_wish_the_nearest_to_four_bits_is_taken(offered: list[str], chosen: str) -> None:
    assert choose(offered) == chosen


@given(st.sets(st.sampled_from(KNOWN), min_size=1))
def test_the_choice_is_the_same_in_whatever_order(offered: set[str]) -> None:
    chosen = choose(sorted(offered))
    assert chosen in offered
    assert chosen == choose(sorted(offered, reverse=True))
    assert all(abs(bits(chosen) - 4) <= abs(bits(other) - 4) for other in offered)


def test_a_listing_goes_from_few_bits_to_many() -> None:
    assert by_size({"F16", "Q8_0", "Q4_K_M", "Q4_0", "Q2_K"}) == [
        "Q2_K",
        "Q4_0",
        "Q4_K_M",
        "Q8_0",
        "F16",
    ]
