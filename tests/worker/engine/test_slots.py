"""What stays in the KV cache from one request to the next, with a cache that only keeps count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.engine.prompt_cache import PromptCache
from rbee.worker.engine.slots import Slots


class Cache:
    """Which tokens each sequence holds, and what was done to it. Strict about what llama.cpp is
    strict about: a sequence that others are shared into must be empty."""

    def __init__(self, tokens: int = 100, can_cut: bool = True) -> None:
        self.tokens = tokens
        self.can_cut = can_cut
        self.held: dict[int, list[str]] = {}
        self.done: list[tuple[str | int, ...]] = []

    def forget(self, sequence: int, keep: int = 0) -> bool:
        held = self.held.get(sequence, [])
        if keep and not self.can_cut and keep < len(held):
            return False
        assert keep <= len(held)
        self.held[sequence] = held[:keep]
        self.done.append(("forget", sequence, keep))
        return True

    def share(self, source: int, sequence: int, count: int) -> None:
        assert not self.held.get(sequence)
        assert count <= len(self.held[source])
        self.held[sequence] = self.held[source][:count]
        self.done.append(("share", source, sequence, count))

    def clear_cache(self) -> None:
        self.held.clear()

    def state_bytes(self, sequence: int) -> int:
        return len(self.held[sequence])

    def save(self, sequence: int) -> list[str]:
        return list(self.held[sequence])

    def restore(self, sequence: int, state: list[str]) -> bool:
        assert not self.held.get(sequence)
        if sum(len(held) for held in self.held.values()) + len(state) > self.tokens:
            return False
        self.held[sequence] = list(state)
        self.done.append(("restore", sequence, len(state)))
        return True


class Bench:
    """Slots over such a cache; requests go through them as the engine sends them."""

    def __init__(
        self,
        count: int = 3,
        tokens: int = 100,
        can_cut: bool = True,
        border: Callable[[int], int] = lambda at: at,
        saved: int = 0,
    ) -> None:
        """Of prompts that have left the cache, `saved` bytes are kept, one for each token."""
        self.cache = Cache(tokens, can_cut)
        self.prompts = PromptCache(saved, can_cut, lambda: 1000)
        self.slots = Slots(self.cache, count, can_cut, border, self.prompts)

    def take(
        self, prompt: str, room: int = 10, reuse: bool = True, repeatable: bool = False
    ) -> tuple[int, int]:
        tokens: Sequence[int] = list(prompt)  # type: ignore[arg-type]
        return self.slots.take(tokens, room, reuse, repeatable)

    def fill(self, slot: int, tokens: str) -> None:
        self.slots.fill(slot, list(tokens))  # type: ignore[arg-type]
        self.cache.held.setdefault(slot, []).extend(tokens)

    def run(self, prompt: str, answer: str = "", **how: bool) -> tuple[int, int]:
        """A request from its beginning to its end; its slot, and how much it found."""
        slot, cached = self.take(prompt, len(prompt + answer), **how)
        self.fill(slot, prompt[cached:] + answer)
        self.slots.leave(slot)
        return slot, cached

    def holds(self, slot: int) -> str:
        return "".join(self.cache.held.get(slot, []))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_conversation_goes_on_from_all_that_was_computed(bench: Bench) -> None:
    assert bench.run("abc", "de") == (0, 0)
    assert bench.run("abcdefg") == (0, 5)
    assert bench.holds(0) == "abcdefg"
    assert bench.cache.done == []  # nothing to cut, nothing to share


def test_what_the_prompt_does_not_go_on_with_is_cut_off(bench: Bench) -> None:
    bench.run("abc", "de")
    assert bench.run("abcX") == (0, 3)
    assert bench.cache.done == [("forget", 0, 3)]
    assert bench.holds(0) == "abcX"


def test_the_same_prompt_again_computes_its_last_token_only(bench: Bench) -> None:
    bench.run("abc")
    assert bench.run("abc") == (0, 2)
    assert bench.cache.done == [("forget", 0, 2)]


def test_the_beginning_of_a_request_that_runs_is_shared_and_stays_its_own(bench: Bench) -> None:
    first, _ = bench.take("abcd", 10)
    bench.fill(first, "abcd")
    second, cached = bench.take("abX", 10)
    assert (first, second, cached) == (0, 1, 2)
    assert bench.cache.done[-1] == ("share", 0, 1, 2)
    assert (bench.holds(0), bench.holds(1)) == ("abcd", "ab")


def test_what_a_slot_held_goes_before_it_is_shared_into() -> None:
    bench = Bench(count=2)
    bench.run("xyz")
    slot, _ = bench.take("abcd", 10)
    assert slot == 1
    bench.fill(slot, "abcd")
    assert bench.take("abX", 10) == (0, 2)
    assert bench.cache.done == [("forget", 0, 0), ("share", 1, 0, 2)]


def test_without_reuse_a_request_begins_at_the_beginning(bench: Bench) -> None:
    bench.run("abc")
    assert bench.run("abcd", reuse=False) == (1, 0)


def test_without_reuse_the_only_slot_is_emptied() -> None:
    bench = Bench(count=1)
    bench.run("abc")
    assert bench.run("abcd", reuse=False) == (0, 0)
    assert bench.cache.done == [("forget", 0, 0)]
    assert bench.holds(0) == "abcd"


def test_a_model_whose_state_cannot_be_cut_begins_again() -> None:
    bench = Bench(count=1)
    bench.cache.can_cut = False  # it refuses, although it had not said so
    bench.run("abcd")
    assert bench.run("abX") == (0, 0)
    assert bench.holds(0) == "abX"


def test_a_recurrent_model_carries_on_from_its_end_only() -> None:
    bench = Bench(count=2, can_cut=False)
    bench.run("abc")
    assert bench.run("abcd") == (0, 3)
    assert bench.run("abX") == (1, 0)
    assert bench.run("abcd") == (0, 0)


def test_the_slot_that_was_used_longest_ago_is_taken(bench: Bench) -> None:
    for prompt in ("abc", "def", "ghi"):
        bench.run(prompt)
    bench.run("abcd")
    assert bench.run("xyz") == (1, 0)


def test_the_oldest_goes_where_room_is_short() -> None:
    bench = Bench(tokens=10)
    bench.run("abcd")
    bench.run("efgh")
    slot, _ = bench.take("xy", 5)
    assert slot == 2
    assert (bench.holds(0), bench.holds(1)) == ("", "efgh")
    assert bench.run("efghi") == (1, 4)
    assert bench.run("abcde")[1] == 0


def test_room_that_a_request_has_left_is_there_for_others() -> None:
    bench = Bench(tokens=10)
    bench.run("abcdef")
    slot, _ = bench.take("xyz", 4)
    bench.fill(slot, "xyz")
    assert bench.slots.held == 9
    bench.slots.leave(slot)
    slot, _ = bench.take("q", 1)
    assert bench.slots.held == 9
    assert bench.holds(0) == "abcdef"


def test_room_that_is_only_reserved_counts_as_taken() -> None:
    bench = Bench(tokens=10)
    bench.run("abc")
    bench.take("x", 4)
    assert bench.holds(0) == "abc"
    bench.take("y", 4)
    assert bench.holds(0) == ""


def test_what_was_shared_stays_where_its_source_must_go() -> None:
    bench = Bench(tokens=12)
    bench.run("abcdefgh")
    assert bench.take("abX", 8) == (1, 2)
    assert (bench.holds(0), bench.holds(1)) == ("", "ab")


def test_a_slot_that_was_dropped_holds_nothing(bench: Bench) -> None:
    bench.run("abc")
    bench.slots.drop(0)
    assert (bench.slots.held, bench.holds(0)) == (0, "")
    assert bench.run("abcd")[1] == 0


def test_what_all_slots_hold_is_counted(bench: Bench) -> None:
    assert bench.slots.held == 0
    bench.run("abc", "d")
    slot, _ = bench.take("xyz")
    bench.fill(slot, "xy")
    assert bench.slots.held == 6


def test_a_repeatable_request_has_the_cache_for_itself(bench: Bench) -> None:
    bench.run("abc")
    bench.run("def")
    _, cached = bench.take("xyz", 5, repeatable=True)
    assert cached == 0
    assert bench.slots.held == 0
    assert not any(bench.cache.held.values())


def test_a_repeatable_request_reuses_what_was_computed_alone(bench: Bench) -> None:
    bench.run("abc", "de", repeatable=True)
    assert bench.run("abcd", repeatable=True) == (0, 3)
    assert bench.holds(0) == "abcd"


def test_the_first_request_of_all_was_alone_whether_it_wanted_to_or_not(bench: Bench) -> None:
    bench.run("abc")
    assert bench.run("abcd", repeatable=True)[1] == 3


def test_a_repeatable_request_drops_the_rest_that_it_shared_a_beginning_with(
    bench: Bench,
) -> None:
    bench.run("abcdefgh")
    assert bench.run("abX", repeatable=True) == (0, 2)
    assert (bench.holds(0), bench.holds(1)) == ("abX", "")


def test_what_was_read_in_a_long_step_is_not_repeatable(bench: Bench) -> None:
    index, _ = bench.take("abcdef")
    bench.fill(index, "ab")
    bench.slots.fill(index, "cd", in_long_step=True)
    bench.fill(index, "ef")
    bench.slots.leave(index)
    assert bench.run("abcdefg", repeatable=True)[1] == 2


def test_what_is_taken_back_is_read_again(bench: Bench) -> None:
    index, _ = bench.take("abcdef")
    bench.fill(index, "abcd")
    bench.slots.take_back(index, 2)
    bench.slots.leave(index)
    assert bench.run("abcdef")[1] == 2


def test_a_repeatable_request_begins_where_a_chunk_begins() -> None:
    bench = Bench(border=lambda at: at // 4 * 4)
    bench.run("abcdefgh", repeatable=True)
    assert bench.run("abcdefXY", repeatable=True)[1] == 4


def test_a_repeatable_request_reads_again_what_was_made_and_not_read() -> None:
    bench = Bench(border=lambda at: at // 2 * 2)
    bench.run("abc", "defg", repeatable=True)
    assert bench.run("abcdefgh", repeatable=True)[1] == 2


def test_what_goes_on_from_the_middle_of_a_chunk_is_not_repeatable() -> None:
    bench = Bench(border=lambda at: at // 4 * 4)
    bench.run("abcdef")
    assert bench.run("abcdefghij")[1] == 6
    assert bench.run("abcdefghij", repeatable=True)[1] == 0


def test_two_that_begin_in_one_round_are_not_repeatable(bench: Bench) -> None:
    first, _ = bench.take("abcd")
    second, _ = bench.take("wxyz")
    bench.fill(first, "abcd")
    bench.fill(second, "wxyz")
    bench.slots.leave(first)
    bench.slots.leave(second)
    assert bench.run("wxyz!", repeatable=True)[1] == 0


def test_what_was_read_beside_others_does_not_become_repeatable_later(bench: Bench) -> None:
    first, _ = bench.take("abcd")
    second, _ = bench.take("wxyz")
    bench.fill(second, "wxyz")
    bench.slots.leave(second)
    bench.slots.drop(first)
    bench.slots.leave(first)
    bench.run("wxyz12")
    assert bench.run("wxyz12!", repeatable=True)[1] == 0


def test_a_repeatable_request_does_not_reuse_what_was_computed_beside_a_request(
    bench: Bench,
) -> None:
    first, _ = bench.take("abc")
    bench.fill(first, "abc")
    second, _ = bench.take("def")
    bench.fill(second, "def")
    bench.slots.leave(first)
    bench.slots.leave(second)
    assert bench.run("defg", repeatable=True)[1] == 0


def test_nor_does_it_reuse_what_a_later_request_was_computed_beside(bench: Bench) -> None:
    first, _ = bench.take("abc")
    bench.fill(first, "abc")
    bench.take("def")
    bench.fill(first, "d")
    bench.slots.leave(first)
    bench.slots.leave(1)
    assert bench.run("abcde", repeatable=True)[1] == 0


def test_nor_what_was_computed_while_the_cache_held_something_else(bench: Bench) -> None:
    bench.run("abc")
    bench.run("def")
    assert bench.run("defg", repeatable=True)[1] == 0


def test_a_repeatable_request_beside_others_drops_nothing(bench: Bench) -> None:
    bench.run("abc")
    bench.take("def")
    bench.fill(1, "def")
    assert bench.take("abcX", 10, repeatable=True) == (0, 3)
    assert bench.holds(1) == "def"


def test_what_a_repeatable_request_computed_beside_others_is_not_reused_by_the_next(
    bench: Bench,
) -> None:
    bench.take("abc")
    bench.fill(0, "abc")
    bench.run("def", repeatable=True)
    bench.slots.leave(0)
    assert bench.run("defg", repeatable=True)[1] == 0


_TEXT = st.text("ab", min_size=1, max_size=6)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "fill", "leave", "drop"]),
        _TEXT,
        st.integers(0, 5),
        st.booleans(),
        st.booleans(),
    ),
    max_size=30,
)


@given(_STEPS, st.booleans(), st.sampled_from([0, 8, 100]))
def test_whatever_happens_the_cache_holds_what_the_slots_say_and_never_too_much(
    steps: list[tuple[str, str, int, bool, bool]], can_cut: bool, saved: int
) -> None:
    count, tokens = 3, 20
    bench = Bench(count, tokens, can_cut, saved=saved)
    rooms: dict[int, int] = {}
    for what, text, more, reuse, repeatable in steps:
        room = len(text) + more + 1
        if what == "take" and len(rooms) < count and sum(rooms.values()) + room <= tokens:
            slot, cached = bench.take(text, room, reuse, repeatable)
            assert slot not in rooms
            assert cached < len(text)
            assert cached == 0 or reuse
            assert bench.holds(slot) == text[:cached]
            rooms[slot] = room
            bench.fill(slot, text[cached:])
            left = {s: len(bench.holds(s)) for s in range(count) if s not in rooms}
            assert sum(rooms.values()) + sum(left.values()) <= tokens
        elif rooms and what in ("fill", "leave", "drop"):
            slot = list(rooms)[more % len(rooms)]
            if what == "fill" and len(bench.holds(slot)) < rooms[slot]:
                bench.fill(slot, text[:1])
            elif what != "fill":
                if what == "drop":
                    bench.slots.drop(slot)
                bench.slots.leave(slot)
                del rooms[slot]
        assert bench.slots.held == sum(len(bench.holds(slot)) for slot in range(count))
        assert bench.slots.held <= tokens
        assert bench.prompts.size_bytes == bench.prompts.tokens <= saved
