"""Many clients at one worker: each asks, some leave in the middle, the next one takes the slot."""

import http.client
import itertools
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from harness.watching.standalone_worker import StandaloneWorker, done_of, pieces_of
from harness.world.http_client import EventStream
from harness.world.waiting import wait_until

_BUSY = 503
_WITHIN_S = 60


@dataclass(frozen=True)
class Plan:
    """`leaves` says how: "", "DELETE" or "closes"; `after` how many tokens."""

    number: int
    leaves: str = ""
    after: int = 0


class ConcurrentClients:
    """`failures` names every stream that did not go as planned; empty is good."""

    def __init__(self, worker: StandaloneWorker, tokens: int) -> None:
        self._worker = worker
        self._tokens = tokens
        self._plans: Iterator[Plan] = iter(())
        self._lock = threading.Lock()
        self.failures: list[str] = []
        self.cut_short = 0

    def run(self, client_plans: list[Plan], at_once: int) -> None:
        """Run all of them, never more than `at_once` at the same time."""
        self._plans = iter(client_plans)
        threads = [threading.Thread(target=self._queue, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        wait_until(
            "every client to finish",
            lambda: [thread.is_alive() for thread in threads],
            _WITHIN_S,
            lambda alive: not any(alive),
        )

    def _queue(self) -> None:
        while True:
            with self._lock:
                plan = next(self._plans, None)
            if plan is None:
                return
            try:
                self._run_plan(plan)
            except (AssertionError, OSError, http.client.HTTPException) as error:
                self.failures.append(f"{plan}: {error}")

    def _run_plan(self, plan: Plan) -> None:
        stream = wait_until(
            "a free slot at the worker",
            lambda: self._ask(plan),
            _WITHIN_S,
            lambda got: got is not None,
        )
        assert stream is not None
        if not plan.leaves:
            stream.wait_for_end(_WITHIN_S)
            assert done_of(stream)["total_tokens"] == len(pieces_of(stream)) == self._tokens
            return
        request_id = stream.wait_for("accepted", _WITHIN_S).data["request_id"]
        wait_until("the moment to leave", lambda: len(pieces_of(stream)) >= plan.after, _WITHIN_S)
        if plan.leaves == "DELETE":
            assert self._worker.delete(request_id).status == 204
            stream.wait_for_end(_WITHIN_S)
        else:
            stream.close()
        self.cut_short += not stream.named("done")

    def _ask(self, plan: Plan) -> EventStream | None:
        """Return None while the worker is still cleaning up after the client that left."""
        stream = self._worker.ask(f"Story number {plan.number}: once upon a time", self._tokens)
        if stream.refused is None:
            return stream
        assert stream.refused.status == _BUSY, stream.refused
        return None


def client_plans(count: int, tokens: int, seed: int) -> list[Plan]:
    """Every third client leaves, by DELETE or by closing, at a moment chosen by `seed`."""
    moments = random.Random(seed)
    ways = itertools.cycle(["DELETE", "closes"])
    return [
        Plan(number, next(ways), moments.randrange(tokens)) if number % 3 == 2 else Plan(number)
        for number in range(count)
    ]
