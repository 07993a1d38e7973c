"""A hive lets another one fetch a model: with a ticket, that model, for an hour."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee.contract.errors import InvalidRequest, ModelNotFound
from rbee.contract.model_ref import parse
from rbee.contract.models import DownloadRequest, ModelSource, SharedModel
from rbee.hive import routes
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import read_range
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.node_source import NodeSource
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.hive.models.shared_models import TICKET_S, SharedModels
from rbee.runtime import server
from rbee.runtime.concurrency import in_thread
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.narration import Narrator
from tests.hive.conftest import HubServer, write_gguf
from tests.hive.models.test_provisioner import Made as Right

DATA = bytes(range(256)) * 40
SUM = hashlib.sha256(DATA).hexdigest()
NAME = "m-Q8_0.gguf"
REF = parse(f"hf:owner/repo/{NAME}")
MODEL = RemoteModel(REF, "main", (RemoteFile(NAME, len(DATA), SUM),))
OTHER = RemoteModel(parse("hf:owner/other/o.gguf"), "main", (RemoteFile("o.gguf", 3, "0" * 64),))
KEY = "k" * 43


class Made:
    """A hive's routes, with one model that came by a download and one that was put there."""

    def __init__(self, home: Path) -> None:
        self.folder = Folder(home / "models")
        self.inventory = Inventory(home / "models.db", self.folder, Narrator(lambda _: None))
        self.now = 1000.0
        self.lifecycle = Lifecycle("rbee-hive", None, KEY)
        self.shared = SharedModels(self.inventory, self.lifecycle.keys, lambda: self.now)
        self.lifecycle.keys = self.shared
        app = server.application(self.lifecycle)
        app[routes.SHARED] = self.shared
        routes.add(app)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def fetched(self, model: RemoteModel, data: bytes) -> Path:
        path = self.folder.target(model.reference, model.files[0].path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sums = [file.sha256 or "" for file in model.files]
        await self.inventory.add_downloaded(model, path, "Q8_0", sums)
        return path

    def source(self, shared: SharedModel, url: str | None = None) -> NodeSource:
        return NodeSource(ModelSource("left", url or self.url, None, shared), 2.0)

    async def status(self, method: str, path: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers) as answer,
        ):
            return answer.status


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    one = Made(tmp_path)
    await one.fetched(MODEL, DATA)
    await one.server.start_server(shutdown_timeout=0.05)
    async with asyncio.timeout(20):
        yield one
    await one.server.close()
    await one.inventory.close()


async def got(source: NodeSource, start: int, length: int) -> bytes:
    return await in_thread(read_range, source, MODEL, start, length)


async def test_a_model_is_shared_with_the_names_sizes_and_hashes_of_its_files(made: Made) -> None:
    shared = await made.shared.share(parse("hf:owner/repo"))
    assert shared.reference == str(REF)
    assert [(file.name, file.size_bytes, file.sha256) for file in shared.files] == [
        (NAME, len(DATA), SUM)
    ]
    assert shared.expires_in_s == TICKET_S == 3600


async def test_the_ticket_brings_the_file_from_any_byte_on(made: Made) -> None:
    source = made.source(await made.shared.share(REF))
    assert await got(source, 0, len(DATA)) == DATA
    assert await got(source, 777, 100) == DATA[777:877]


async def test_a_ticket_opens_the_files_of_its_model_and_nothing_else(made: Made) -> None:
    other = await made.fetched(OTHER, b"abc")
    ticket = (await made.shared.share(REF)).ticket
    assert await made.status("GET", f"/v1/models/files/{NAME}", ticket) == 200
    assert await made.status("GET", f"/v1/models/files/{other.name}", ticket) == 404
    assert await made.status("GET", "/v1/models/files/..%2F..%2Fmodels.db", ticket) == 404
    for method, path in [
        ("GET", "/v1/models"),
        ("POST", "/v1/models/share"),
        ("POST", "/v1/models/delete"),
        ("POST", "/v1/admin/shutdown"),
        ("GET", "/metrics"),
    ]:
        assert await made.status(method, path, ticket) == 403, path


async def test_without_a_ticket_there_is_no_file(made: Made) -> None:
    await made.shared.share(REF)
    assert await made.status("GET", f"/v1/models/files/{NAME}", KEY) == 404
    assert await made.status("GET", f"/v1/models/files/{NAME}", "x" * 43) == 401


async def test_a_ticket_expires(made: Made) -> None:
    shared = await made.shared.share(REF)
    made.now += TICKET_S - 1
    assert await got(made.source(shared), 0, 10) == DATA[:10]
    made.now += 1
    assert await made.status("GET", f"/v1/models/files/{NAME}", shared.ticket) == 401
    with pytest.raises(TransientError, match="it has another key"):
        await got(made.source(shared), 0, 10)


async def test_of_very_many_tickets_the_oldest_are_forgotten(made: Made) -> None:
    first = await made.shared.share(REF)
    latest = [await made.shared.share(REF) for _ in range(256)]
    assert made.shared.caller(first.ticket) is None
    assert all(made.shared.caller(each.ticket) for each in latest)


async def test_what_does_not_know_the_ticket_is_not_sent_it(made: Made) -> None:
    shared = await made.shared.share(REF)
    heard: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization", ""))
        return web.json_response({"program": "rbee-hive", "wants_key": True, "proof": "0" * 64})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as stranger:
        url = str(stranger.make_url("")).rstrip("/")
        with pytest.raises(TransientError, match="it is not the hive that shares it"):
            await got(made.source(shared, url), 0, 10)
    assert heard == [""]


@pytest.mark.parametrize("fault", ["gone", "shorter"])
async def test_a_file_that_is_not_as_it_came_is_not_shared(made: Made, fault: str) -> None:
    path = made.folder.target(REF, NAME)
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(DATA[:-1])
    with pytest.raises(ModelNotFound):
        await made.shared.share(REF)


async def test_a_file_without_a_known_hash_is_not_shared(made: Made) -> None:
    path = made.folder.root / "owner" / "mine" / "mine-Q8_0.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF, it says")
    assert await made.inventory.find(parse("hf:owner/mine")) is not None
    with pytest.raises(ModelNotFound, match="known hash"):
        await made.shared.share(parse("hf:owner/mine"))


async def test_a_hive_that_wants_no_key_shares_nothing(made: Made) -> None:
    with pytest.raises(InvalidRequest, match="runs without a key"):
        await SharedModels(made.inventory, None).share(REF)


async def test_a_file_that_has_another_size_by_now_is_refused(made: Made) -> None:
    shared = await made.shared.share(REF)
    made.folder.target(REF, NAME).write_bytes(DATA + DATA)
    with pytest.raises(TransientError, match="another file has its name"):
        await got(made.source(shared), 0, 10)


async def test_a_file_that_was_deleted_is_not_sent(made: Made) -> None:
    shared = await made.shared.share(REF)
    made.folder.target(REF, NAME).unlink()
    with pytest.raises(TransientError, match="HTTP 404"):
        await got(made.source(shared), 0, 10)


async def test_a_hive_that_ends_does_not_wait_for_a_slow_reader(made: Made) -> None:
    """More than the buffers of a connection hold."""
    large = RemoteModel(REF, "main", (RemoteFile(NAME, 64 << 20, SUM),))
    await made.fetched(large, bytes(64 << 20))
    ticket = (await made.shared.share(REF)).ticket
    headers = {"Authorization": f"Bearer {ticket}"}
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{made.url}/v1/models/files/{NAME}", headers=headers)
        await answer.content.readany()
        made.lifecycle.over.set()
        with pytest.raises(aiohttp.ClientError):
            await rest(answer)
        answer.close()


async def rest(answer: Any) -> None:
    while await answer.content.readany():
        pass


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999", "http://[::1", "http://a..b:1", "http://:1", "http://x\u00e9"]
)
async def test_an_address_that_is_none_is_a_source_that_fails(made: Made, url: str) -> None:
    source = made.source(await made.shared.share(REF), url)
    with pytest.raises(TransientError):
        await got(source, 0, 10)


async def test_a_node_whose_file_is_no_model_any_more_leaves_it_to_the_hub(
    made: Made, hub_server: HubServer, home: Path
) -> None:
    data = write_gguf(home / "source.gguf").read_bytes()
    size, sha256 = len(data), hashlib.sha256(data).hexdigest()
    model = RemoteModel(REF, "main", (RemoteFile(NAME, size, sha256),))
    path = await made.fetched(model, data)
    source = ModelSource("left", made.url, None, await made.shared.share(REF))
    path.write_bytes(bytes(size))
    hub_server.holds({NAME: data})
    right = Right(home, hub_server)
    try:
        reply = await right.provisioner.download(DownloadRequest(str(REF), sources=[source]))
        async for _ in right.provisioner.progress(reply.download_id):
            pass
    finally:
        await right.inventory.close()
    assert right.said[0].startswith(f"the node left does not send {REF} (")
    assert (right.root / "owner/repo" / NAME).read_bytes() == data
