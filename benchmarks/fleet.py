"""The queen's decisions with many nodes: how long one takes, how many events are absorbed, memory.

    python -m benchmarks.fleet

The fleet and the dispatcher are the real ones; what hives would send is made here, as the bytes of
their event streams.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import statistics
import time

import msgspec

from rbee.contract.model_ref import parse
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.tasks.decide import Spot
from rbee.queen.tasks.dispatcher import Dispatcher, Turn
from rbee.queen.tasks.room import Rules
from rbee.queen.tasks.wants import Want
from rbee.runtime import sse
from rbee.runtime.keyring import Caller

GB = 1_000_000_000


class Lab:
    """`nodes` nodes, each with some of the models on its disk and its share of the workers."""

    def __init__(self, nodes: int, workers: int, models: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.fleet = Fleet()
        self.models = [f"hf:owner/model-{number}-GGUF" for number in range(models)]
        self.rows: list[tuple[str, WorkerRow]] = []
        for number in range(nodes):
            name = f"node{number}" if number else "localhost"
            self.fleet.connected(name, 0.0)
            self.fleet.told(name, self._facts(), 0.0)
        for number in range(workers):
            node = self.random.choice(list(self.fleet.nodes))
            row = WorkerRow(
                id=f"worker-{number}",
                url="http://10.0.0.1:8001",
                model_ref=f"{self.models[number % models]}/model-Q4_K_M.gguf",
                backend="cuda",
                device=0,
                state="idle",
                last_activity=None,
                last_health=None,
                slots_total=1,
                slots_available=1,
            )
            self.rows.append((node, row))
            self.fleet.worker_told(node, row, 0.0)

    def change_memory(self) -> None:
        """A node tells that it has more or less memory than before."""
        node = self.random.choice(list(self.fleet.nodes.values()))
        assert node.facts is not None
        facts = msgspec.structs.replace(node.facts, memory=self._memory())
        self.fleet.told(node.name, facts, 0.0)

    def _facts(self) -> NodeFacts:
        held = self.random.sample(self.models, 20)
        models = [HeldModel(f"{each}/model-Q4_K_M.gguf", "Q4_K_M", 5 * GB, 6 * GB) for each in held]
        devices = {"cuda": 1, "cpu": 1}
        return NodeFacts(["cuda", "cpu"], devices, self._memory(), models, 100 * GB)

    def _memory(self) -> list[DeviceMemory]:
        return [DeviceMemory("cuda", 0, "card", 24 * GB, self.random.randrange(24) * GB)]


async def decisions(lab: Lab, keys: int, waiting: int, rounds: int) -> dict[str, float]:
    """Fill every slot, let `waiting` tasks wait; then, each time, end one and ask for another,
    while a node tells new facts. Every line looks for a place for a second worker."""
    rules = Rules(replicate_after_s=0.001)
    dispatcher = Dispatcher(lab.fleet, 2 * waiting, rules=rules)
    served: dict[Turn, asyncio.Task[Spot]] = {}
    took: list[float] = []
    decide = dispatcher._decide

    def timed() -> None:
        began = time.perf_counter()
        decide()
        took.append((time.perf_counter() - began) * 1000)

    dispatcher._decide = timed  # type: ignore[method-assign]
    callers = [Caller(f"key{number}", "use") for number in range(keys)]

    def ask() -> None:
        model = lab.random.choice(lab.models)
        turn = dispatcher.enter(lab.random.choice(callers), lambda _: None)
        served[turn] = asyncio.create_task(turn.next(Want(parse(model))))

    for _ in range(len(lab.rows) + waiting):
        ask()
        if len(served) % 500 == 0:
            await asyncio.sleep(0)
    await settle()
    running = [turn for turn, going in served.items() if going.done()]
    took.clear()
    for _ in range(rounds):
        ended = running.pop(lab.random.randrange(len(running)))
        served.pop(ended)
        ended.accepted()
        ended.end(lab.random.randrange(1, 2000))
        ask()
        lab.change_memory()
        await settle()
        running = [turn for turn, going in served.items() if going.done()]
    found = sorted(took)
    for turn, going in served.items():
        going.cancel()
        turn.end(0)
    return {
        "waiting": float(waiting),
        "median_ms": statistics.median(found),
        "p99_ms": found[int(len(found) * 0.99)],
        "longest_ms": found[-1],
    }


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def events(lab: Lab, count: int) -> float:
    """Events of workers absorbed in a second, from their bytes."""
    changed: list[bytes] = []
    for number in range(count):
        _, row = lab.rows[number % len(lab.rows)]
        state = "busy" if number % 2 else "idle"
        changed.append(sse.encode(msgspec.structs.replace(row, state=state)))
    parser, began = sse.Parser(), time.perf_counter()
    for number, chunk in enumerate(changed):
        node, _ = lab.rows[number % len(lab.rows)]
        for raw in parser.feed(chunk):
            event = sse.decode(raw)
            assert isinstance(event, WorkerRow)
            lab.fleet.worker_told(node, event, 1.0)
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=5000)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    lab = Lab(given.nodes, given.workers, given.models, given.seed)
    rate = events(lab, 50_000)
    found = asyncio.run(decisions(lab, given.keys, given.waiting, given.rounds))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{given.nodes} nodes, {given.workers} workers, {given.models} models, {given.keys} keys")
    print(f"events absorbed in a second: {rate:,.0f}")
    print("  ".join(f"{name} {value:.2f}" for name, value in found.items()))
    print(f"memory {memory:.0f} MB")


if __name__ == "__main__":
    main()
