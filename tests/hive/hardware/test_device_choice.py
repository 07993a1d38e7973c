"""Which device a model goes to."""

from __future__ import annotations

from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware.device_choice import choose, label, same_cards

GB = 10**9


def card(index: int, free: int, total: int = 24, backend: str = "cuda") -> DeviceMemory:
    return DeviceMemory(backend, index, "card", total * GB, free * GB)


def test_without_a_wish_the_freest_is_taken() -> None:
    assert choose("cuda", None, [card(0, 5), card(1, 9), card(2, 7)]) == card(1, 9)


def test_of_two_as_free_the_first_is_taken() -> None:
    assert choose("cuda", None, [card(1, 9), card(0, 9)]) == card(0, 9)


def test_the_device_that_was_asked_for_is_taken_however_full_it_is() -> None:
    assert choose("cuda", 0, [card(0, 0), card(1, 9)]) == card(0, 0)


def test_where_there_is_no_such_device_the_freest_counts() -> None:
    assert choose("cuda", 7, [card(0, 5), card(1, 9)]) == card(1, 9)


def test_only_the_backends_own_devices_count() -> None:
    assert choose("vulkan", None, [card(0, 5), card(0, 2, backend="vulkan")]) == card(
        0, 2, backend="vulkan"
    )
    assert choose("metal", None, [card(0, 5)]) is None


def test_a_card_that_does_not_tell_its_memory_has_none_of_its_own() -> None:
    assert choose("cuda", 0, [card(0, 0, total=0)]) is None


def test_a_device_is_told_by_backend_and_number_and_the_cpu_by_its_name() -> None:
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
