"""Compare the worker with other llama.cpp servers: same model, same client, same machine.

    python -m benchmarks.worker [--rounds 10] [--peers xllamacpp,llama-cpp-python] [--only NAME]

Needs the extra `bench`. Each round asks every server once, in alternating order. The figures are
medians with the lowest and the highest, and the median of the rounds' ratios to xllamacpp.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from benchmarks.main_job import bundled
from benchmarks.peers import THREADS, Peer, running
from benchmarks.raw_loop import RawLoop
from benchmarks.streams import Answer, ask, together

SLOTS, CONTEXT = 8, 8192
TOKENS_ALONE, TOKENS_TOGETHER = 128, 64
PROMPTS = [
    "Write a short story about a lighthouse keeper.",
    "Explain how bees make honey.",
    "List the planets and their moons.",
    "Describe a day in ancient Rome.",
    "How does a steam engine work?",
    "Tell me about whales and how they sing.",
    "What is a prime number?",
    "Write a poem about rain on a tin roof.",
]
LONG = "The keeper of the lighthouse wrote down the weather, the ships and the birds of the day. "
IN_TURN = 12
BASE = "xllamacpp"
RAW = "raw loop"

Measure = Callable[[Peer, int], Awaitable[float]]


async def one_stream(peer: Peer, _: int) -> float:
    """Tokens per second of one answer."""
    return (await ask(peer, PROMPTS[0], TOKENS_ALONE)).rate


async def eight_streams(peer: Peer, _: int) -> float:
    """Total tokens per second of eight answers, prefill included."""
    return await together(peer, PROMPTS, TOKENS_TOGETHER)


async def first_token(peer: Peer, _: int) -> float:
    """Milliseconds to the first token of a short prompt on an idle server."""
    await asyncio.sleep(0.2)
    return (await ask(peer, PROMPTS[0], 2)).first_ms


async def first_token_unread(peer: Peer, number: int) -> float:
    """Milliseconds to the first token of a new prompt of about 1,000 tokens."""
    return (await ask(peer, long_prompt(number, "so far"), 2, cache=True)).first_ms


async def first_token_read(peer: Peer, number: int) -> float:
    """The same, for a prompt that is in the cache except for its last words."""
    await ask(peer, long_prompt(100 + number, "so far"), 2, cache=True)
    return (await ask(peer, long_prompt(100 + number, "in all"), 2, cache=True)).first_ms


async def first_token_in_turn(peer: Peer, number: int) -> float:
    """Milliseconds to the first token of one of twelve prompts of 1,000 tokens that are asked in
    turn, which is more than the context holds: the median of their second time."""
    prompts = [long_prompt(3000 + number * IN_TURN + each, "so far") for each in range(IN_TURN)]
    for prompt in prompts:
        await ask(peer, prompt, 2, cache=True)
    again = [(await ask(peer, prompt, 2, cache=True)).first_ms for prompt in prompts]
    return statistics.median(again)


def long_prompt(number: int, end: str) -> str:
    """A prompt of about 1,000 tokens, which begins differently for every `number`."""
    return f"Log book {number}. " + LONG * 55 + end


TABLES: dict[str, tuple[str, str, Measure]] = {
    "one": ("one stream", "tokens/s", one_stream),
    "eight": ("eight streams, total", "tokens/s", eight_streams),
    "first": ("short prompt: time to first token", "ms", first_token),
    "unread": ("new 1,000-token prompt: time to first token", "ms", first_token_unread),
    "read": ("cached 1,000-token prompt: time to first token", "ms", first_token_read),
    "turn": ("twelve 1,000-token prompts in turn: time to first token", "ms", first_token_in_turn),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peers", default="xllamacpp,llama-cpp-python")
    parser.add_argument("--only", choices=[*TABLES, "beside"])
    given = parser.parse_args()
    names = ["rbee", *(name for name in given.peers.split(",") if name)]
    with running(names, SLOTS, CONTEXT) as peers:
        asyncio.run(measure(peers, given.rounds, given.only))


async def measure(peers: dict[str, Peer], rounds: int, only: str | None) -> None:
    """Print every table."""
    for peer in peers.values():
        await ask(peer, PROMPTS[0], 16)
    raw = RawLoop(str(bundled()), SLOTS, CONTEXT, THREADS)
    for name, (title, unit, work) in TABLES.items():
        if only in (None, name):
            found = await interleaved(peers, rounds, work, raw if unit == "tokens/s" else None)
            table(f"{title}, {unit}", found)
    if only in (None, "beside"):
        for name in ("rbee", BASE):
            if name in peers:
                await beside(peers[name], max(rounds // 2, 1))


async def interleaved(
    peers: dict[str, Peer], rounds: int, work: Measure, raw: RawLoop | None
) -> dict[str, list[float]]:
    """Ask each server once per round, in alternating order."""
    found: dict[str, list[float]] = {name: [] for name in peers}
    if raw is not None:
        found[RAW] = []
    for number in range(rounds):
        for name in list(found)[:: 1 if number % 2 == 0 else -1]:
            if name == RAW:
                assert raw is not None
                alone = work is one_stream
                prompts = PROMPTS[:1] if alone else PROMPTS
                tokens = TOKENS_ALONE if alone else TOKENS_TOGETHER
                found[RAW].append(raw.rate(prompts, tokens, with_prefill=not alone))
            else:
                found[name].append(await work(peers[name], number))
    return found


def table(title: str, found: dict[str, list[float]]) -> None:
    """One row for each server, with its ratio to the one that all are compared with."""
    print(f"\n{title}")
    for name, values in found.items():
        spread = f"{min(values):.1f}…{max(values):.1f}"
        line = f"  {name:18}{statistics.median(values):9.1f}   {spread:>16}"
        if BASE in found:
            pairs = zip(values, found[BASE], strict=True)
            line += f"   {statistics.median(a / b for a, b in pairs):6.3f} of {BASE}"
        print(line, flush=True)


async def beside(peer: Peer, rounds: int) -> None:
    """Measure a prompt of 1,000 tokens that arrives while seven answers are being made."""
    rows: list[tuple[float, ...]] = []
    for number in range(rounds):
        alone = (await ask(peer, long_prompt(1000 + number, "alone"), 2)).first_ms
        seven = [Answer(0.0) for _ in PROMPTS[1:]]
        work = [
            asyncio.create_task(ask(peer, prompt, 220, answer=answer))
            for prompt, answer in zip(PROMPTS[1:], seven, strict=True)
        ]
        await reached(seven, 20)
        settled = time.perf_counter()
        await reached(seven, 50)
        late = await ask(peer, long_prompt(2000 + number, "beside"), 2)
        await asyncio.gather(*work)
        before = [gap for answer in seven for gap in answer.gaps_ms(settled, late.sent)]
        read = late.arrivals[0]
        while_read = [gap for answer in seven for gap in answer.gaps_ms(late.sent, read)]
        usual, longest = statistics.median(before), max(while_read)
        first = late.first_ms / alone
        rows.append((usual, longest / usual, longest / statistics.median(while_read), first))
    usual, longest, meanwhile, first = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    print(f"\n{peer.name}: a 1,000-token prompt beside seven streams, medians of {rounds} rounds")
    print(f"  gap between tokens before it        {usual:8.1f} ms")
    print(f"  longest gap during its prefill      {longest:8.2f} × that (at most 4)")
    print(f"                                      {meanwhile:8.2f} × the median during it")
    print(f"  its time to first token             {first:8.2f} × alone (at most 2)", flush=True)


async def reached(answers: list[Answer], tokens: int) -> None:
    """Wait until each of the answers has so many tokens."""
    for answer in answers:
        while len(answer.arrivals) < tokens:  # noqa: ASYNC110  an event would cost each token
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    main()
