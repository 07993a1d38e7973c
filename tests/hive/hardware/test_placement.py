"""Whether a model can run here, and on which device."""

from __future__ import annotations

import pytest

from rbee.contract.errors import BackendUnavailable, ErrorBody, RbeeError, VramExhausted
from rbee.contract.nodes import DeviceMemory
from rbee.gguf.memory import required_bytes
from rbee.hive.hardware.placement import (
    arithmetic,
    choose_backend,
    choose_device,
    label,
    largest_that_fits,
    require_device,
    require_memory,
    same_cards,
)

MB = 1_000_000
GB = 10**9


def test_a_model_needs_a_fifth_more_than_its_size() -> None:
    assert required_bytes(1000 * MB, 0) == 1200 * MB
    assert required_bytes(1000 * MB, 200 * MB) == 1200 * MB


def test_a_large_cache_counts_where_it_is_more() -> None:
    assert required_bytes(1000 * MB, 201 * MB) == 1201 * MB


def test_the_arithmetic_is_reported_as_it_is_done() -> None:
    reported = arithmetic(98_362_432, 11 * MB, 20_480 * MB)
    assert reported == "needs 118 MB (1.2 × 98 MB), 20480 MB are free"


def test_the_cache_is_reported_where_it_counts() -> None:
    reported = arithmetic(98_362_432, 188 * MB, 20_480 * MB)
    assert reported == "needs 286 MB (98 MB and 188 MB of KV cache), 20480 MB are free"


def test_a_model_that_just_fits_fits() -> None:
    require_memory(1200 * MB, 1200 * MB, "localhost", "cpu:0")


def test_a_model_that_lacks_one_byte_does_not_fit() -> None:
    with pytest.raises(VramExhausted) as caught:
        require_memory(1200 * MB + 1, 1200 * MB, "node-7", "cuda:1")
    assert (caught.value.details["node"], caught.value.details["device"]) == ("node-7", "cuda:1")


def test_the_megabytes_that_are_reported_never_look_as_if_it_fitted() -> None:
    with pytest.raises(VramExhausted) as caught:
        require_memory(1200 * MB + 1, 1200 * MB + 0, "n", "d")
    assert caught.value.details["required"] > caught.value.details["available"]
    assert caught.value.details["required"] == 1201
    assert "1201 MB" in caught.value.message


def test_a_model_that_would_fit_is_named() -> None:
    with pytest.raises(VramExhausted) as caught:
        require_memory(2 * MB, MB, "node-7", "cpu", "hf:owner/repo/m-Q2_K.gguf")
    assert "hf:owner/repo/m-Q2_K.gguf would fit" in caught.value.message
    assert "2 MB" in caught.value.message
    reported = {"node", "device", "required", "available", "fitting"}
    assert set(caught.value.details) == reported
    assert "--model hf:owner/repo/m-Q2_K.gguf" in caught.value.advice


def test_where_nothing_would_fit_nothing_is_named() -> None:
    with pytest.raises(VramExhausted) as caught:
        require_memory(2 * MB, MB, "node-7", "cpu")
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


def test_the_command_is_the_advice_also_after_it_has_crossed_http() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose_backend("cuda", ["cpu"], "CMAKE_ARGS=… pip")
    body = caught.value.envelope().error
    over = RbeeError.from_body(ErrorBody(body.code, body.message, body.details))
    assert over.advice.endswith("CMAKE_ARGS=… pip")
    assert "Available here: cpu." in over.advice


def test_without_a_command_the_details_are_the_contracts() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose_backend("metal", ["cpu"])
    assert set(caught.value.details) == {"backend", "available"}
    assert caught.value.advice.startswith("Available here: cpu.")


def card(index: int, free: int, total: int = 24, backend: str = "cuda") -> DeviceMemory:
    return DeviceMemory(backend, index, "card", total * GB, free * GB)


def test_without_a_wish_the_freest_is_taken() -> None:
    assert choose_device("cuda", None, [card(0, 5), card(1, 9), card(2, 7)]) == card(1, 9)


def test_of_two_as_free_the_first_is_taken() -> None:
    assert choose_device("cuda", None, [card(1, 9), card(0, 9)]) == card(0, 9)


def test_the_device_that_was_asked_for_is_taken_however_full_it_is() -> None:
    assert choose_device("cuda", 0, [card(0, 0), card(1, 9)]) == card(0, 0)


def test_where_there_is_no_such_device_the_freest_counts() -> None:
    assert choose_device("cuda", 7, [card(0, 5), card(1, 9)]) == card(1, 9)


def test_only_the_backends_own_devices_count() -> None:
    assert choose_device("vulkan", None, [card(0, 5), card(0, 2, backend="vulkan")]) == card(
        0, 2, backend="vulkan"
    )
    assert choose_device("metal", None, [card(0, 5)]) is None


def test_a_card_that_does_not_tell_its_memory_has_none_of_its_own() -> None:
    assert choose_device("cuda", 0, [card(0, 0, total=0)]) is None


def test_a_device_is_reported_by_backend_and_number_and_the_cpu_by_its_name() -> None:
    assert label(card(1, 5)) == "cuda:1"
    assert label(card(0, 5, backend="cpu")) == "cpu"


def test_cards_with_about_the_same_memory_are_the_same_and_tell_what_is_free_now() -> None:
    known = [card(0, 20, total=23), card(1, 20, total=7)]
    now = [card(1, 1, total=7), card(0, 2, total=24)]
    assert same_cards(known, now) == [card(0, 2, total=24), card(1, 1, total=7)]


def test_a_divided_card_is_another_one() -> None:
    assert same_cards([card(0, 9, total=10)], [card(0, 70, total=80)]) is None


def test_another_number_of_cards_is_not_the_same() -> None:
    assert same_cards([card(0, 9)], [card(0, 9), card(1, 9)]) is None
    assert same_cards([card(0, 9), card(1, 9)], [card(0, 9), card(2, 9)]) is None


def test_one_tenth_more_memory_is_the_same_card_and_anything_above_is_not() -> None:
    assert same_cards([card(0, 9, total=10)], [card(0, 9, total=11)]) == [card(0, 9, total=11)]
    assert same_cards([card(0, 9, total=10)], [card(0, 9, total=9)]) == [card(0, 9, total=9)]
    assert same_cards([card(0, 9, total=20)], [card(0, 9, total=23)]) is None


def test_only_cuda_cards_are_compared() -> None:
    others = [card(0, 9), card(0, 9, backend="vulkan")]
    assert same_cards([card(0, 9)], others) == [card(0, 9)]


def test_the_largest_that_fits_is_named() -> None:
    sizes = {"small": 100 * MB, "large": 300 * MB, "middle": 200 * MB}
    assert largest_that_fits(sizes, 0, 360 * MB) == "large"
    assert largest_that_fits(sizes, 0, 360 * MB - 1) == "middle"
    assert largest_that_fits(sizes, 0, 120 * MB - 1) is None
    assert largest_that_fits({}, 0, GB) is None


def test_the_cache_counts_in_what_fits() -> None:
    sizes = {"small": 100 * MB, "large": 300 * MB}
    assert largest_that_fits(sizes, 100 * MB, 399 * MB) == "small"
    assert largest_that_fits(sizes, 100 * MB, 400 * MB) == "large"


def test_a_device_that_is_there_or_was_not_asked_for_is_fine() -> None:
    require_device("cuda", 1, {"cuda": 2, "cpu": 1})
    require_device("cuda", None, {"cpu": 1})


@pytest.mark.parametrize(
    ("backend", "wanted", "count"), [("cuda", 2, 2), ("cpu", 1, 1), ("metal", 0, 0)]
)
def test_a_device_that_is_not_there_is_named_with_those_that_are(
    backend: str, wanted: int, count: int
) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        require_device(backend, wanted, {"cuda": 2, "cpu": 1, "metal": 0})
    words = f"The backend {backend} has no device {wanted} on this node, only {count} of them."
    assert caught.value.message == words
    assert caught.value.details == {"backend": backend, "available": ["cuda 0…1", "cpu 0…0"]}


def test_a_node_without_backends_has_none_to_choose() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose_backend(None, [])
    assert caught.value.details == {"backend": None, "available": []}


def test_what_the_device_has_in_all_is_called_so() -> None:
    with pytest.raises(VramExhausted) as caught:
        require_memory(3 * MB, 2 * MB + 1, "node-7", "cuda:1", in_all=True)
    assert "2 MB in all on" in caught.value.message
    assert "free" not in caught.value.message
    assert (caught.value.details["required"], caught.value.details["available"]) == (3, 2)
