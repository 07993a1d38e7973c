"""Whether a model can run here."""

from __future__ import annotations

import pytest

from rbee.contract.errors import BackendUnavailable, VramExhausted
from rbee.hive.hardware.placement import arithmetic, check_memory, choose_backend, required_bytes

MB = 1_000_000


def test_a_model_needs_a_fifth_more_than_its_size() -> None:
    assert required_bytes(1000 * MB, 0) == 1200 * MB
    assert required_bytes(1000 * MB, 200 * MB) == 1200 * MB


def test_a_large_cache_counts_where_it_is_more() -> None:
    assert required_bytes(1000 * MB, 201 * MB) == 1201 * MB


def test_the_arithmetic_is_told_as_it_is_done() -> None:
    told = arithmetic(98_362_432, 11 * MB, 20_480 * MB)
    assert told == "needs 118 MB (1.2 × 98 MB), 20480 MB are free"


def test_the_cache_is_told_where_it_counts() -> None:
    told = arithmetic(98_362_432, 188 * MB, 20_480 * MB)
    assert told == "needs 286 MB (98 MB and 188 MB of KV cache), 20480 MB are free"


def test_a_model_that_just_fits_fits() -> None:
    check_memory(1200 * MB, 1200 * MB, "localhost", "cpu:0")


def test_a_model_that_lacks_one_byte_does_not_fit() -> None:
    with pytest.raises(VramExhausted) as caught:
        check_memory(1200 * MB + 1, 1200 * MB, "node-7", "cuda:1")
    assert (caught.value.details["node"], caught.value.details["device"]) == ("node-7", "cuda:1")


def test_the_megabytes_that_are_told_never_look_as_if_it_fitted() -> None:
    with pytest.raises(VramExhausted) as caught:
        check_memory(1200 * MB + 1, 1200 * MB + 0, "n", "d")
    assert caught.value.details["required"] > caught.value.details["available"]
    assert caught.value.details["required"] == 1201
    assert "1201 MB" in caught.value.message


def test_a_model_that_would_fit_is_named() -> None:
    with pytest.raises(VramExhausted) as caught:
        check_memory(2 * MB, MB, "node-7", "cpu", "hf:owner/repo/m-Q2_K.gguf")
    assert "hf:owner/repo/m-Q2_K.gguf would fit" in caught.value.message
    assert "2 MB" in caught.value.message
    told = {"node", "device", "required", "available", "fitting"}
    assert set(caught.value.details) == told
    assert "--model hf:owner/repo/m-Q2_K.gguf" in caught.value.advice


def test_where_nothing_would_fit_nothing_is_named() -> None:
    with pytest.raises(VramExhausted) as caught:
        check_memory(2 * MB, MB, "node-7", "cpu")
    assert "would fit" not in caught.value.message


def test_without_a_wish_the_nodes_best_backend_is_taken() -> None:
    assert choose_backend(None, ["cuda", "cpu"]) == "cuda"


def test_a_backend_that_is_there_is_taken() -> None:
    assert choose_backend("cpu", ["cuda", "cpu"]) == "cpu"


def test_a_backend_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose_backend("metal", ["cuda", "cpu"])
    assert caught.value.details == {"backend": "metal", "available": ["cuda", "cpu"]}
    assert "cuda, cpu" in caught.value.advice
