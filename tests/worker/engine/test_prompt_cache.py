"""Prompts that leave the KV cache and come back: which are kept, and which are read again."""

from __future__ import annotations

import pytest

from rbee.worker.engine.prompt_cache import PromptCache, Saved
from tests.worker.engine.test_slots import Bench


def saved(text: str, size_bytes: int | None = None) -> Saved:
    tokens = [ord(letter) for letter in text]
    return Saved(tokens, 0, text, len(text) if size_bytes is None else size_bytes)


def kept(cache: PromptCache) -> list[str]:
    return [each.state for each, _ in cache.find([0], 1000)]


@pytest.fixture
def cache() -> PromptCache:
    return PromptCache(20, True, lambda: 1000)


@pytest.fixture
def bench() -> Bench:
    return Bench(saved=100)


def test_the_state_that_was_used_longest_ago_goes_where_room_is_short(cache: PromptCache) -> None:
    for text in ("abcdefgh", "ijklmnop", "qrstuvwx"):
        cache.add(saved(text))
    assert kept(cache) == ["ijklmnop", "qrstuvwx"]
    assert (cache.size_bytes, cache.tokens) == (16, 16)


def test_a_state_that_a_longer_one_covers_is_dropped(cache: PromptCache) -> None:
    cache.add(saved("abc"))
    cache.add(saved("abcd"))
    assert kept(cache) == ["abcd"]
    assert cache.covers(saved("ab").tokens)
    assert not cache.covers(saved("abx").tokens)


def test_a_state_that_cannot_be_cut_covers_only_itself() -> None:
    cache = PromptCache(20, False, lambda: 1000)
    cache.add(saved("abc"))
    cache.add(saved("abcd"))
    assert kept(cache) == []  # neither is a beginning of that prompt
    assert cache.tokens == 7
    assert cache.covers(saved("abc").tokens)
    assert not cache.covers(saved("ab").tokens)


def test_a_state_is_found_for_each_prompt_that_begins_like_it(cache: PromptCache) -> None:
    cache.add(saved("abcd"))
    [(_, length)] = cache.find(saved("abXY").tokens, 100)
    assert length == 2
    [(_, length)] = cache.find(saved("abcd").tokens, 100)
    assert length == 3  # the last token is always read
    assert cache.find(saved("abcd").tokens, 3) == []


def test_a_state_is_not_kept_if_it_takes_more_than_half_of_the_free_memory() -> None:
    cache = PromptCache(100, True, lambda: 60)
    assert cache.has_room(30)
    assert not cache.has_room(31)


def test_nothing_is_kept_where_it_is_turned_off() -> None:
    assert not PromptCache(0, True, lambda: 1000).has_room(1)


def test_a_prompt_has_the_cells_for_itself_and_the_others_come_back(bench: Bench) -> None:
    bench.run("abcd", "ef")
    slot, cached = bench.take("wxyz")
    assert cached == 0
    assert bench.slots.held == 0
    bench.fill(slot, "wxyz")
    bench.slots.leave(slot)
    slot, cached = bench.take("abcdefg")
    assert cached == 6
    assert bench.holds(slot) == "abcdef"
    assert bench.slots.held == 6


def test_more_prompts_are_kept_than_there_are_slots_and_than_the_context_holds() -> None:
    bench = Bench(count=2, tokens=10, saved=100)
    prompts = [letter * 8 for letter in "abcdefg"]
    for prompt in prompts:
        assert bench.run(prompt)[1] == 0
    for prompt in prompts:
        assert bench.run(prompt)[1] == 7


def test_a_conversation_that_goes_on_takes_its_state_with_it(bench: Bench) -> None:
    bench.run("abcd", "ef")
    bench.run("wxyz")
    bench.run("abcdefg", "h")
    bench.run("wxyz1")
    assert sorted(map("".join, kept_by(bench))) == ["abcdefgh"]


def test_a_long_state_stays_for_others_that_share_its_beginning(bench: Bench) -> None:
    bench.run("abcdefghij")
    bench.run("xyz")
    assert bench.run("abcX")[1] == 3
    bench.run("xyz1")
    assert bench.run("abcdefghijk")[1] == 10


def test_what_has_no_room_in_memory_stays_in_the_cache_until_its_cells_are_wanted() -> None:
    bench = Bench(tokens=10, saved=3)
    bench.run("abcd")
    slot, _ = bench.take("xyz", 4)
    assert bench.holds(0) == "abcd"
    bench.slots.leave(slot)
    bench.take("uvw", 8)
    assert bench.slots.held == 0


def test_a_state_that_does_not_fit_beside_running_requests_is_not_restored() -> None:
    bench = Bench(tokens=12, saved=100)
    bench.run("abcdefgh")
    slot, _ = bench.take("x", 6)
    bench.fill(slot, "x")
    assert bench.take("abcX", 5)[1] == 0


def test_a_repeatable_request_reuses_what_was_computed_alone_before_others_came() -> None:
    bench = Bench(saved=100, border=lambda at: at // 2 * 2)
    bench.run("abcde")
    bench.run("xyz")
    assert bench.run("abcdef", repeatable=True)[1] == 4


def test_a_repeatable_request_does_not_reuse_what_was_computed_beside_others(bench: Bench) -> None:
    first, _ = bench.take("abc")
    bench.fill(first, "abc")
    second, _ = bench.take("def")
    bench.fill(second, "def")
    bench.slots.leave(first)
    bench.slots.leave(second)
    bench.run("xyz")
    assert bench.run("defg", repeatable=True)[1] == 0


def test_a_recurrent_model_carries_on_from_a_state_in_memory() -> None:
    bench = Bench(can_cut=False, saved=100)
    bench.run("abc")
    bench.run("xyz")
    assert bench.run("abX")[1] == 0
    assert bench.run("abcd")[1] == 3


def test_a_state_that_is_given_up_for_another_while_it_comes_back_is_used_all_the_same() -> None:
    bench = Bench(count=1, saved=4)
    bench.run("abcd")
    bench.run("wxyz")
    assert bench.run("abcde") == (0, 4)
    assert kept_by(bench) == [list("wxyz")]


def test_nothing_is_left_after_a_clear(bench: Bench) -> None:
    bench.run("abcd")
    bench.run("wxyz")
    bench.slots.clear()
    assert (bench.prompts.tokens, bench.slots.held) == (0, 0)
    assert bench.run("abcde")[1] == 0


def kept_by(bench: Bench) -> list[list[str]]:
    return [each.state for each, _ in bench.prompts.find([0, 0], 1000)]
