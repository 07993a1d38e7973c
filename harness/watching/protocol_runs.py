"""Many clients at one queen, one or more of each protocol: at once, that close, and that fail."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable

from harness.watching.every_protocol import ASK, WITHIN_S, Answer, Clients, Question
from harness.world import cluster
from harness.world.world import World

_ENDLESS = Question("Say something nice about cats.", 6000)
# One for each protocol fits into the context of a worker.
_LONG = Question("Say something nice about cats.", 1000)


def meanwhile(world: World, first: str, question: Question) -> dict[str, tuple[Answer, int]]:
    """The answers in all protocols but `first`, one after the other, while that one streams an
    answer that goes on; each with how many characters of that came meanwhile."""

    async def ask() -> dict[str, tuple[Answer, int]]:
        clients = Clients(world)
        long, endless = Question(question.said, 6000, system=question.system), Answer()
        streaming = asyncio.create_task(clients.ask(first, long, endless))
        try:
            async with asyncio.timeout(WITHIN_S):
                await endless.begun.wait()
                found = {}
                for protocol in ASK:
                    if protocol != first:
                        before = len(endless.text)
                        answer = await clients.answer(protocol, question)
                        found[protocol] = answer, len(endless.text) - before
            assert not streaming.done(), endless
            return found
        finally:
            streaming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await streaming

    return asyncio.run(ask())


def at_once(world: World, count: int) -> dict[str, list[tuple[str, Answer]]]:
    """So many streams of each protocol at once, each with a text that it must say: that text, as
    JSON, and the answer."""

    async def ask() -> dict[str, list[tuple[str, Answer]]]:
        clients = Clients(world)
        asked = {
            protocol: [Question("Say it.", 60, f"{place} {at}") for at in range(count)]
            for place, protocol in enumerate(ASK)
        }
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            running = {
                protocol: [
                    (question, group.create_task(clients.answer(protocol, question)))
                    for question in questions
                ]
                for protocol, questions in asked.items()
            }
        return {
            protocol: [(json.dumps(question.wanted), task.result()) for question, task in each]
            for protocol, each in running.items()
        }

    return asyncio.run(ask())


def closed_in_the_middle(world: World) -> dict[str, float]:
    """How many seconds after the client of a stream has closed it the only worker is idle again,
    for each protocol in turn."""

    async def close(clients: Clients, protocol: str) -> float:
        async with asyncio.timeout(WITHIN_S):
            pieces = ASK[protocol](clients, _ENDLESS, Answer())
            while not await anext(pieces):
                pass
            await asyncio.to_thread(cluster.wait_for_state, world, "busy")
            await pieces.aclose()
            closed = time.monotonic()
            await asyncio.to_thread(cluster.wait_for_state, world, "idle")
            return time.monotonic() - closed

    async def ask() -> dict[str, float]:
        clients = Clients(world)
        return {protocol: await close(clients, protocol) for protocol in ASK}

    return asyncio.run(ask())


def refused(world: World, key: str) -> dict[str, Answer]:
    """What each protocol's client gets for a question with this key."""

    async def ask() -> dict[str, Answer]:
        clients = Clients(world, key)
        return {protocol: await clients.answer(protocol, _ENDLESS) for protocol in ASK}

    return asyncio.run(ask())


def broken_off(world: World, by: Callable[[], object]) -> dict[str, Answer]:
    """The answers that stream in all protocols at once, each of which has begun when `by` ends
    them."""

    async def ask() -> dict[str, Answer]:
        clients, found = Clients(world), {protocol: Answer() for protocol in ASK}
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            for protocol, answer in found.items():
                group.create_task(clients.ask(protocol, _LONG, answer))
            for answer in found.values():
                await answer.begun.wait()
            await asyncio.to_thread(by)
        return found

    return asyncio.run(ask())
