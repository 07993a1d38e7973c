"""Who is served first, and that nobody waits for ever."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee.queen.tasks.fairness import EXPECTED_TOKENS, LEAST_TOKENS, Accounts
from tests.queen.tasks.conftest import histories

A_DAY = 1_000_000


class Lab:
    """One slot, and keys whose tasks wait for it: `served` are the keys in the order in which they
    got it."""

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        self.weights = weights or {}
        self.accounts = Accounts(lambda key: self.weights.get(key, 1.0))
        self.waiting: dict[str, dict[int, str]] = {}
        self.served: list[str] = []
        self._arrivals = 0

    def come(self, key: str, count: int = 1) -> None:
        for _ in range(count):
            self.accounts.enter(key)
            self.waiting.setdefault(key, {})[self._arrivals] = f"{key}{self._arrivals}"
            self._arrivals += 1

    def order(self) -> list[str]:
        return list(self.accounts.order(self.waiting))

    def serve(self, tokens: int = 100) -> str:
        first = self.order()[0]
        key = first[0]
        turn = next(turn for turn, task in self.waiting[key].items() if task == first)
        del self.waiting[key][turn]
        if not self.waiting[key]:
            del self.waiting[key]
        self.accounts.serve(key)
        self.accounts.unserve(key)
        self.accounts.use(key, tokens)
        self.accounts.leave(key)
        self.served.append(key)
        return first


def test_tasks_of_one_key_are_served_in_the_order_in_which_they_came() -> None:
    lab = Lab()
    lab.come("a", 4)
    assert lab.order() == ["a0", "a1", "a2", "a3"]
    assert [lab.serve() for _ in range(4)] == ["a0", "a1", "a2", "a3"]


def test_a_key_that_floods_waits_for_the_others() -> None:
    lab = Lab()
    lab.come("a", 5)
    lab.serve()
    lab.come("b")
    lab.come("c")
    assert lab.order() == ["a1", "b5", "c6", "a2", "a3", "a4"]


def test_what_is_being_served_counts() -> None:
    lab = Lab()
    lab.come("a", 3)
    lab.accounts.serve("a")
    lab.come("b", 2)
    assert lab.order() == ["b3", "a0", "b4", "a1", "a2"]
    lab.accounts.unserve("a")
    assert lab.order() == ["a0", "b3", "a1", "b4", "a2"]


def test_a_long_answer_counts_more_than_a_short_one() -> None:
    lab = Lab()
    lab.come("a", 3)
    lab.come("b", 6)
    for _ in range(6):
        lab.serve(1000 if lab.order()[0].startswith("a") else 250)
    assert Counter(lab.served) == {"a": 2, "b": 4}


def test_a_key_with_twice_the_weight_gets_twice_as_much() -> None:
    lab = Lab({"b": 2})
    lab.come("a", 30)
    lab.come("b", 30)
    for _ in range(30):
        lab.serve()
    assert Counter(lab.served) == {"a": 10, "b": 20}


def test_a_weight_that_is_changed_counts_at_once() -> None:
    lab = Lab({"b": 4})
    lab.come("a", 3)
    lab.come("b", 3)
    assert [each[0] for each in lab.order()] == list("abbbaa")
    lab.weights = {"a": 4}
    assert [each[0] for each in lab.order()] == list("abaabb")


def test_who_was_away_has_saved_nothing_up() -> None:
    lab = Lab()
    lab.come("a", 3)
    lab.serve(A_DAY)
    lab.come("b", 50)
    for _ in range(20):
        lab.serve(EXPECTED_TOKENS)
    assert Counter(lab.served[1:]) == pytest.approx({"a": 2, "b": 18})


def test_when_nobody_is_left_all_begin_anew() -> None:
    lab = Lab()
    lab.come("a")
    lab.serve(A_DAY)
    lab.come("b", 2)
    lab.come("a", 2)
    assert lab.order() == ["b1", "a3", "b2", "a4"]


def test_a_task_that_says_nothing_counts_too() -> None:
    accounts = Accounts()
    accounts.enter("a")
    accounts.use("a", 1)
    assert accounts.account("a") == LEAST_TOKENS


@settings(max_examples=histories(300), deadline=None)
@given(
    before=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 4000)), max_size=30),
    flood=st.lists(st.sampled_from("abcd"), max_size=40),
    later=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 4000)), max_size=80),
)
def test_who_comes_is_served_after_one_or_two_of_each_other_key(
    before: list[tuple[str, int]], flood: list[str], later: list[tuple[str, int]]
) -> None:
    """Whatever they have used before, and whatever they ask for meanwhile."""
    lab = Lab()
    for key, tokens in before:
        lab.come(key)
        lab.serve(tokens)
    for key in flood:
        lab.come(key)
    lab.come("x")
    first: Counter[str] = Counter()
    for key, tokens in later:
        lab.come(key)
        if lab.serve(tokens).startswith("x"):
            break
        first[lab.served[-1]] += 1
    assert all(count <= 2 for count in first.values())


WEIGHTS = st.lists(st.floats(0.25, 8), min_size=2, max_size=4)


@settings(max_examples=histories(200), deadline=None)
@given(weights=WEIGHTS, tokens=st.lists(st.integers(LEAST_TOKENS, 4000), min_size=1, max_size=20))
def test_the_shares_of_tokens_come_to_be_those_of_the_weights(
    weights: list[float], tokens: list[int]
) -> None:
    """While each of them always has a task that waits, no account is more than one task behind
    another: so for each, the difference from its share is bounded, whatever was served."""
    of = dict(zip("abcd", weights, strict=False))
    lab = Lab(of)
    for key in of:
        lab.come(key, 2)
    used: Counter[str] = Counter()
    for served in range(200):
        size = tokens[served % len(tokens)]
        key = lab.serve(size)[0]
        used[key] += size
        lab.come(key)
    accounts = {key: used[key] / weight for key, weight in of.items()}
    most = max(max(tokens) / weight for weight in weights)
    assert max(accounts.values()) - min(accounts.values()) <= most + 1e-6


@settings(max_examples=histories(200), deadline=None)
@given(
    weights=WEIGHTS,
    own=st.floats(0.25, 8),
    tokens=st.lists(st.integers(LEAST_TOKENS, 4000), min_size=1, max_size=40),
)
def test_with_weights_too_whoever_comes_waits_for_a_bounded_number_of_others(
    weights: list[float], own: float, tokens: list[int]
) -> None:
    """Each other key may first use up what it is behind, which is one task at most, and then one
    task more."""
    of = dict(zip("abcd", weights, strict=False))
    lab = Lab({**of, "x": own})
    for key in of:
        lab.come(key, 300)
    for size in tokens:
        lab.serve(size)
    lab.come("x")
    longest = max(max(tokens) / weight for weight in weights)
    before: Counter[str] = Counter()
    for served in range(1000):
        key = lab.serve(tokens[served % len(tokens)])[0]
        if key == "x":
            break
        before[key] += 1
    assert before["x"] == 0 and lab.served[-1] == "x"
    for key, count in before.items():
        # At the lowest account it came, and none goes before it with a higher one.
        assert (count - 1) * min(tokens) / of[key] <= longest + 1e-6
