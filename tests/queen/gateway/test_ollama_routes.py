"""Ollama's routes over HTTP: lines, models, errors in its shape, and no body that breaks them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rbee.contract.config import ModelsSection
from rbee.contract.daemons import Ack
from rbee.contract.embeddings import EmbeddingRequest
from rbee.contract.errors import DiskFull, InvalidRequest, QueueFull, WorkerCrashed
from rbee.contract.events import Download, Event, Started
from rbee.contract.models import Deleted, ModelCard, ModelMetadata, NodeDownload, NodeModel
from rbee.contract.workers import LoadedModel
from rbee.queen.gateway.ollama import routes
from rbee.queen.gateway.ollama.shelf import Shelf
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.runtime import server
from rbee.runtime.keyring import Caller, caller
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import ANSWER, FILE, Queen
from tests.queen.gateway.protocols import json_values

Client = TestClient[web.Request, web.Application]
HI = {"model": "repo-q4_k_m", "messages": [{"role": "user", "content": "Hi"}]}
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=2)
CRASH = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
CARD = ModelCard(
    reference=FILE,
    size_bytes=10,
    modified_at_unix=1,
    sha256="a" * 64,
    architecture="llama",
    quantization=None,
    parameters=1_500_000,
    context_length=512,
    embedding_length=64,
    capabilities=["completion", "tools"],
)


class Store:
    """Nodes whose disks and memory the test fills."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.memory: list[LoadedModel] = []
        self.steps: list[Event | Exception] = []

    async def metadata(self, asked: NodeModel) -> ModelMetadata:
        self.asked.append(asked)
        return ModelMetadata({"general.architecture": "llama", "a.nan": None}, "{{ hi }}")

    async def delete(self, asked: NodeModel) -> Deleted:
        self.asked.append(asked)
        return Deleted("gone", 10)

    async def download(self, asked: NodeDownload) -> AsyncIterator[Event | None]:
        self.asked.append(asked)
        yield None
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            yield step

    async def loaded(self) -> list[LoadedModel]:
        return self.memory

    async def shutdown(self, name: str) -> Ack:
        self.asked.append(name)
        self.memory = [each for each in self.memory if each.worker_id != name]
        return Ack("ended")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def client(room: Room, queen: Queen, store: Store) -> AsyncIterator[Client]:
    queen.models = [KnownModel(FILE, "loaded", 1, CARD, ("a", "b"))]
    app = server.application(Lifecycle("queen-rbee", None, None), largest_body=1 << 16)
    routes.add(app, room, Shelf(room, store, store))
    async with TestClient(TestServer(app)) as found:
        yield found


async def lines_of(response: Any) -> list[Any]:
    assert (response.status, response.content_type) == (200, "application/x-ndjson")
    text = await response.text()
    assert text.endswith("\n") and "\n\n" not in text
    return [json.loads(line) for line in text.splitlines()]


async def test_a_stream_is_the_default_and_says_what_the_reply_says(client: Client) -> None:
    for path, asked in (("/api/chat", HI), ("/api/generate", {"prompt": "Hi"})):
        reply = await (await client.post(path, json={**asked, "stream": False})).json()
        for stream in ({}, {"stream": None}, {"stream": True}):
            found = await lines_of(await client.post(path, json={**asked, **stream}))
            texts = [each.get("response", each.get("message", {}).get("content")) for each in found]
            assert texts == ["Hel", "lo", ""]
            assert [each["done"] for each in found] == [False, False, True]
            assert {each["model"] for each in found} == {reply["model"]}
            assert found[-1]["eval_count"] == reply["eval_count"] == 2
        assert reply.get("response", reply.get("message", {}).get("content")) == "Hello"


async def test_an_empty_request_loads_and_a_time_of_0_unloads(
    client: Client, queen: Queen, store: Store
) -> None:
    store.memory = [
        LoadedModel("w-1", FILE, "idle", 5, 0, 512, 9e9),
        LoadedModel("w-2", FILE, "busy", 5, 5, 512, None),
    ]
    for path in ("/api/chat", "/api/generate"):
        asked: dict[str, Any] = {"model": "repo-q4_k_m", "messages": [], "prompt": ""}
        (loaded,) = await lines_of(await client.post(path, json={**asked, "keep_alive": "5m"}))
        assert (loaded["done"], loaded["done_reason"]) == (True, "load")
        assert queen.asked[-1].keep_alive == 300
        (unloaded,) = await lines_of(await client.post(path, json={**asked, "keep_alive": 0}))
        assert (unloaded["done"], unloaded["done_reason"]) == (True, "unload")
        assert queen.asked[-1].keep_alive == 0  # the busy one ends with its answer
        refused = await client.post(path, json={"keep_alive": 0})
        assert refused.status == 400
    assert store.asked == ["w-1"]


async def test_who_may_not_manage_takes_nothing_out_of_memory(
    room: Room, queen: Queen, store: Store
) -> None:
    shelf = Shelf(room, store, store)
    caller.set(Caller("guest", "use"))
    from rbee.contract.errors import WrongRole
    from rbee.contract.ollama import OllamaChat

    with pytest.raises(WrongRole):
        await shelf.unload(OllamaChat(model="big"))


async def test_models_in_lists_and_one_by_one(client: Client, store: Store) -> None:
    listed = await (await client.get("/api/tags")).json()
    names = [each["name"] for each in listed["models"]]
    assert names == [FILE, "big:latest"]  # what the other alias means is nowhere
    assert {each["digest"] for each in listed["models"]} == {"a" * 64}
    assert listed["models"][0]["details"]["parameter_size"] == "1.50M"
    for name in ("big", "big:latest", FILE, "hf.co/Owner/Repo-GGUF:Q4_K_M", "repo-q4_k_m"):
        for field in ("model", "name"):
            shown = await client.post("/api/show", json={field: name})
            assert (await shown.json())["model_info"]["general.parameter_count"] == 1_500_000
    assert store.asked[0] == NodeModel(FILE, "a")
    assert (await client.post("/api/show", json={"model": "Small"})).status == 404
    assert (await client.post("/api/show", json={})).status == 400


async def test_what_is_in_memory_has_the_name_it_was_asked_by(
    client: Client, queen: Queen, store: Store
) -> None:
    store.memory = [
        LoadedModel("w-1", FILE, "idle", 5, 4, 512, None),
        LoadedModel("w-2", FILE, "idle", 5, 0, 512, 1.0),  # it ends at this moment
        LoadedModel("w-3", "file:/secret.gguf", "idle", 5, 0, 512, None),
    ]
    (found,) = (await (await client.get("/api/ps")).json())["models"]
    assert (found["name"], found["size_vram"], found["context_length"]) == ("big:latest", 4, 512)
    queen.answers = [[Started("r", FILE, "w-1", "a"), *ANSWER]]
    await (await client.post("/api/chat", json=HI)).read()
    (found,) = (await (await client.get("/api/ps")).json())["models"]
    assert found["model"] == "repo-q4_k_m:latest"


async def test_a_model_that_stays_for_longer_than_there_are_years_stays_for_ever(
    client: Client, store: Store
) -> None:
    never = LoadedModel("w-1", FILE, "idle", 5, 4, 512, None)
    found = []
    for expires_at in (None, 1e308, 3.6e15):
        store.memory = [replace(never, expires_at=expires_at)]
        reply = await client.get("/api/ps")
        assert reply.status == 200
        found.append((await reply.json())["models"][0]["expires_at"][:4])
    assert found == [str(datetime.now(UTC).year + 300)] * 3


async def test_an_answer_without_a_model_is_called_by_the_default(
    queen: Queen, store: Store
) -> None:
    room = Room(queen, queen, ModelsSection(default="hf:a/b"))
    app = server.application(Lifecycle("queen-rbee", None, None))
    routes.add(app, room, Shelf(room, store, store))
    async with TestClient(TestServer(app)) as client:
        asked = {"messages": HI["messages"], "stream": False}
        reply = await (await client.post("/api/chat", json=asked)).json()
    assert (reply["model"], queen.asked[0].model) == ("hf:a/b", "hf:a/b")


@pytest.mark.parametrize(
    ("path", "asked", "field", "name"),
    [
        ("/api/chat", HI, "prompt", "messages"),
        ("/api/chat", HI, "response_format.json_schema.schema", "format"),
        ("/api/chat", HI, "tools[0].function.parameters", "tools[0].function.parameters"),
        ("/api/generate", {"prompt": "a"}, "prompt", "prompt"),
        ("/api/generate", {"prompt": "a"}, "messages[0].content", "prompt"),
        ("/api/generate", {"prompt": "a"}, "response_format.json_schema.schema", "format"),
    ],
)
async def test_an_error_of_the_worker_names_the_field_of_the_protocol(
    client: Client, queen: Queen, path: str, asked: dict[str, Any], field: str, name: str
) -> None:
    queen.answers = [[InvalidRequest.of(field, "less", "Expected less")]]
    reply = await (await client.post(path, json=asked)).json()
    assert f"not valid: {name}: Expected less" in reply["error"]
    assert reply["rbee"]["details"]["errors"][0]["field"] == name


async def test_a_download_is_told_in_steps(client: Client, store: Store) -> None:
    store.steps = [Download("downloading", 3, 9), Download("retrying"), Download("complete", 9, 9)]
    for name in ("model", "name"):
        asked = {name: "hf.co/o/r:Q8_0"}
        steps = await lines_of(await client.post("/api/pull", json=asked))
        assert [each.get("completed") for each in steps if "digest" in each] == [3, 9]
        assert (steps[0]["status"], steps[-1]) == ("pulling manifest", {"status": "success"})
        whole = await client.post("/api/pull", json={**asked, "stream": False})
        assert await whole.json() == {"status": "success"}
    assert store.asked[0] == NodeDownload("hf:o/r:Q8_0")
    store.steps = [DiskFull(required=2, available=1, path="/m")]
    assert "error" in (await lines_of(await client.post("/api/pull", json=asked)))[-1]
    assert (await client.post("/api/pull", json={**asked, "stream": False})).status == 507


async def test_a_model_is_deleted_from_every_node(client: Client, store: Store) -> None:
    reply = await client.delete("/api/delete", json={"model": "big"})
    assert (reply.status, await reply.read()) == (200, b"")
    assert store.asked == [NodeModel(FILE, "a"), NodeModel(FILE, "b")]
    assert (await client.delete("/api/delete", json={"name": "Small"})).status == 404


async def test_vectors_in_both_forms(client: Client, queen: Queen) -> None:
    asked = {"model": "big", "input": ["a", "b"], "dimensions": 2}
    new = await (await client.post("/api/embed", json=asked)).json()
    assert (new["model"], new["embeddings"], new["prompt_eval_count"]) == ("big", [[1, 0]] * 2, 2)
    assert queen.wanted[0].texts.dimensions == 2  # type: ignore[union-attr]
    old = await client.post("/api/embeddings", json={"model": "big", "prompt": "a"})
    assert await old.json() == {"embedding": [1, 0]}
    empty = await client.post("/api/embed", json={"model": "big", "input": []})
    assert (await empty.json())["embeddings"] == []


@pytest.mark.parametrize(
    ("said", "truncate", "max_length"),
    [
        ({}, True, None),
        ({"truncate": None, "options": None}, True, None),
        ({"truncate": True, "options": {}}, True, None),
        ({"truncate": False, "options": {"num_ctx": 2048.0}}, False, 2048),
        ({"options": {"num_ctx": 0}}, True, None),
        ({"options": {"num_ctx": 1e30}}, True, 2**31 - 1),
    ],
)
async def test_a_text_is_cut_unless_the_client_wants_an_error(
    client: Client, queen: Queen, said: dict[str, Any], truncate: bool, max_length: int | None
) -> None:
    await client.post("/api/embed", json={"model": "big", "input": "a", **said})
    texts = queen.wanted[0].texts
    assert isinstance(texts, EmbeddingRequest)
    assert (texts.truncate, texts.max_length) == (truncate, max_length)


async def test_the_older_form_cuts_no_text(client: Client, queen: Queen) -> None:
    asked = {"model": "big", "prompt": "a", "truncate": True, "options": {"num_ctx": 9}}
    await client.post("/api/embeddings", json=asked)
    texts = queen.wanted[0].texts
    assert isinstance(texts, EmbeddingRequest)
    assert (texts.truncate, texts.max_length) == (False, 9)


async def test_a_context_for_a_text_is_a_whole_number(client: Client) -> None:
    asked = {"model": "big", "input": "a", "options": {"num_ctx": 1.5}}
    reply = await client.post("/api/embed", json=asked)
    assert reply.status == 400
    assert "options.num_ctx" in (await reply.json())["error"]


_ASKED = ["model", "messages", "prompt", "options", "format", "tools", "think", "keep_alive"]
_MORE = ["context", "stream", "input", "name", "system", "raw", "images", "suffix", "top_logprobs"]
FIELDS = st.sampled_from([*_ASKED, *_MORE])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.dictionaries(FIELDS, json_values, max_size=4), place=st.integers(0, 5))
async def test_no_body_breaks_a_route(client: Client, body: dict[str, Any], place: int) -> None:
    path = ["chat", "generate", "embed", "embeddings", "show", "pull"][place]
    reply = await client.post(f"/api/{path}", json=body)
    text = await reply.text()
    if reply.status != 200:
        assert 400 <= reply.status < 500, (reply.status, text)
        assert set(json.loads(text)) == {"error", "rbee"}
