"""What each key has asked for since the queen started, for /metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from rbee.queen.tasks.task import Task
from rbee.runtime.gauges import Gauge


class KeyFigures:
    """Counts tasks by the name of their key; the operator's own is called operator."""

    def __init__(self) -> None:
        self._tasks: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()

    def begin(self, task: Task) -> None:
        """Count a task that begins."""
        self._tasks[task.caller.name] += 1

    def end(self, task: Task) -> None:
        """Count the tokens of a task that has ended."""
        self._tokens[task.caller.name] += task.tokens

    def gauges(self, in_flight: Mapping[str, int]) -> Iterator[Gauge]:
        """The figures of every key that has asked; `in_flight` are its tasks now."""
        for name in sorted(self._tasks):
            key = {"key": name}
            yield Gauge("rbee_key_tasks", "Tasks of a key.", self._tasks[name], key, "counter")
            tokens = self._tokens[name]
            yield Gauge("rbee_key_tokens", "Tokens answered to a key.", tokens, key, "counter")
            running = in_flight.get(name, 0)
            yield Gauge("rbee_key_tasks_running", "Tasks that run or wait.", running, key)
