"""The clients of workers: kept for the next question, and let go of when nobody uses them."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidApiKey
from rbee.queen.nodes.worker_clients import WorkerClients
from rbee.runtime.client import Client
from tests.queen.sshd import until

from .conftest import Start
from .fake_hive import FakeHive


def connect_to(worker: FakeHive, key: str = "key-of-the-node") -> Client:
    return Client(worker.url, key, connect_s=2, silence_s=2)


async def ask(clients: WorkerClients, worker: FakeHive) -> None:
    async with clients.use(worker.url, lambda: connect_to(worker)) as client:
        await client.call(ep.HIVE_WORKERS)


async def test_one_connection_serves_one_question_after_the_other(fake_hive: Start) -> None:
    worker, clients = await fake_hive(), WorkerClients()
    for _ in range(3):
        await ask(clients, worker)
    assert len(worker.asked) == 3
    assert len(worker.connections) == 1
    await clients.forget()


async def test_what_comes_in_place_of_a_worker_has_to_prove_itself(fake_hive: Start) -> None:
    worker, clients = await fake_hive(), WorkerClients()
    await ask(clients, worker)
    port = worker.port
    await worker.close()
    stranger = await fake_hive(port)
    stranger.key = "another"
    with pytest.raises(InvalidApiKey):
        await ask(clients, stranger)
    assert (stranger.asked, stranger.refused) == ([], [])
    await clients.forget()


async def test_a_client_in_use_is_closed_by_its_last_user(fake_hive: Start) -> None:
    worker, clients = await fake_hive(), WorkerClients()
    go_on = asyncio.Event()

    async def late() -> object:
        await go_on.wait()
        return {"workers": []}

    worker.replies[ep.HIVE_WORKERS.path] = late
    asking = [asyncio.create_task(ask(clients, worker)) for _ in range(2)]
    await until(lambda: len(worker.asked) == 2)
    await clients.forget()
    go_on.set()
    await asyncio.gather(*asking)
    await until(lambda: not any(each.transport for each in worker.connections))
    await ask(clients, worker)
    assert len(worker.connections) == 3
    await clients.forget()
