"""Who is served first: deficit round robin between keys, by the tokens that each has used.

A key's account rises by the tokens of its tasks, divided by its weight. The waiting task of the
lowest account goes first, and tasks of one key in the order in which they came. A key that comes
back after a pause begins at the lowest account of those that are there: what it has not used
meanwhile is not saved up. So each task is served after a number of others that depends on nothing
but the accounts when it came.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")

# What a task that is being served counts for, until its tokens are known.
EXPECTED_TOKENS = 512
# What it counts for in the end, at least: to read a prompt that is cached takes time too.
LEAST_TOKENS = 16


class Accounts:
    """The accounts of all keys that have tasks. `weight` is asked for the weight of a key each time
    anew."""

    def __init__(self, weight: Callable[[str], float] = lambda _: 1.0) -> None:
        self._weight = weight
        self._used: dict[str, float] = {}
        self._tasks: Counter[str] = Counter()
        self._served: Counter[str] = Counter()

    def enter(self, key: str) -> None:
        """A task of this key has come."""
        if not self._tasks[key]:
            others = [self._used[other] for other in self._tasks if other != key]
            self._used[key] = max(self._used.get(key, 0.0), min(others, default=0.0))
        self._tasks[key] += 1

    def serve(self, key: str) -> None:
        """One of its tasks is being served."""
        self._served[key] += 1

    def unserve(self, key: str) -> None:
        """It is served no longer."""
        self._served[key] -= 1

    def use(self, key: str, tokens: int) -> None:
        """A task of this key has used so many tokens."""
        self._used[key] += max(tokens, LEAST_TOKENS) / self._weight(key)

    def leave(self, key: str) -> None:
        """A task of this key has gone."""
        self._tasks[key] -= 1
        if not self._tasks[key]:
            del self._tasks[key]
        if not self._tasks:
            self._used.clear()  # nobody waits for anybody

    def account(self, key: str) -> float:
        """What the key has used, with what its tasks that are being served are expected to use."""
        return self._used.get(key, 0.0) + self._served[key] * self.expected(key)

    def expected(self, key: str) -> float:
        """What another task adds to the key's account."""
        return EXPECTED_TOKENS / self._weight(key)

    def order(self, waiting: Mapping[str, Mapping[int, T]]) -> Iterator[T]:
        """The tasks of each key, which stand there by the number of their arrival, in the order in
        which they are to be served."""
        heads = []
        for key, tasks in waiting.items():
            rest = iter(tasks.items())
            turn, task = next(rest)
            heads.append((self.account(key), turn, key, task, rest))
        heapq.heapify(heads)
        while heads:
            account, _, key, task, rest = heads[0]
            yield task
            following = next(rest, None)
            if following is None:
                heapq.heappop(heads)
            else:
                turn, task = following
                heapq.heapreplace(heads, (account + self.expected(key), turn, key, task, rest))
