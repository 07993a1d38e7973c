"""llama.cpp's own routes: its completion as a task, slots as they are known, errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbee.contract.config import ModelsSection
from rbee.contract.errors import InvalidRequest, PromptTooLong, QueueFull, WorkerCrashed
from rbee.contract.events import Accepted, Done, StopReason, Token
from rbee.contract.llama_cpp import LlamaCompletion
from rbee.contract.tasks import InferenceRequest, TaskRequest
from rbee.contract.texts import (
    DetokenizeRequest,
    PlainText,
    PromptText,
    TemplateText,
    TokenizeRequest,
    Tokens,
)
from rbee.contract.validation import decode
from rbee.contract.workers import ModelFacts, WorkerRow
from rbee.queen.gateway.llama_cpp import routes
from rbee.queen.gateway.llama_cpp.completion import CompletionStream, completion_task, gathered
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.loaded import LoadedModel
from rbee.queen.tasks.task import TextRequest, VectorRequest
from rbee.runtime import server
from rbee.runtime.keyring import OPERATOR, Caller, caller
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import FILE, Queen
from tests.queen.gateway.protocols import json_values

Client = TestClient[web.Request, web.Application]
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=2)
CRASH = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
LONG = PromptTooLong(errors=[{"field": "prompt", "constraint": "", "message": "", "value": 1}])


def row(state: Any, total: int, free: int) -> WorkerRow:
    return WorkerRow("w", "http://n", FILE, "cpu", 0, state, None, None, total, free)


OTHER = "hf:Owner/Repo-GGUF/other.gguf"
FACTS = ModelFacts("/m.gguf", 1, "GGUF", "llama.cpp", "llama", None, 1, 99, 50, 7, 2, 1)
LOADED = LoadedModel(
    [row("busy", 2, 1), row("idle", 1, 1)], FACTS, TemplateText("{{ messages }}", None, "</s>")
)


class TextQueen(Queen):
    """Also answers with tokens and texts; `loaded` is the model in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[TextRequest] = []
        self.loaded: LoadedModel | None = None
        self.looked_for: list[str] = []
        self.shown: dict[str, bool] = {}

    async def ask(self, request: VectorRequest | TextRequest, caller: Caller = OPERATOR) -> Any:
        if isinstance(request, VectorRequest):
            return await super().ask(request, caller)
        self.texts.append(request)
        asked = request.asked
        if isinstance(asked, TokenizeRequest):
            return Tokens([1, 2], ["a", [240]] if asked.with_pieces else None)
        return PlainText("ab") if isinstance(asked, DetokenizeRequest) else PromptText("<ab>")

    async def find(self, reference: str, shows: Callable[[str], bool]) -> LoadedModel | None:
        self.looked_for.append(reference)
        self.shown = {name: shows(name) for name in (FILE, OTHER)}
        return self.loaded


@pytest.fixture
def texts() -> TextQueen:
    return TextQueen()


def application(queen: TextQueen) -> web.Application:
    app = server.application(Lifecycle("queen-rbee", None, None), largest_body=1 << 16)
    routes.add(app, Room(queen, queen, ModelsSection()), queen)
    return app


@pytest.fixture
async def client(texts: TextQueen) -> AsyncIterator[Client]:
    async with TestClient(TestServer(application(texts))) as found:
        yield found


def task(**fields: Any) -> TaskRequest:
    asked = decode(msgspec.json.encode({"prompt": "Once", **fields}), LlamaCompletion)
    return completion_task(asked, "m", "Once")


def test_each_field_stands_where_a_task_has_it() -> None:
    found = task(
        n_predict=5,
        temperature=-1,
        top_k=-1,
        top_p=0.5,
        min_p=0.25,
        repeat_penalty=1.5,
        presence_penalty=0.5,
        frequency_penalty=0.75,
        seed=7,
        stop=["a", ""],
        grammar='root ::= "a"',
        logit_bias=[[5, 1.5], [6, False], ["7", True], [1234567, -2]],
        ignore_eos=False,
        cache_prompt=False,
        keep_alive="1m",
        n_probs=0,
        no_such_field=1,
    )
    assert found == TaskRequest(
        prompt="Once",
        model="m",
        max_tokens=5,
        temperature=0.0,
        top_k=0,
        top_p=0.5,
        min_p=0.25,
        repeat_penalty=1.5,
        presence_penalty=0.5,
        frequency_penalty=0.75,
        seed=7,
        stop=["a"],
        grammar='root ::= "a"',
        logit_bias={"5": 1.5, "6": -100.0, "1234567": -2.0},
        cache_prompt=False,
        keep_alive="1m",
    )


def test_what_stands_for_nothing_is_nothing() -> None:
    plain = TaskRequest(prompt="Once", model="m", max_tokens=1536)
    assert task(n_predict=-1, seed=-1, stop="", grammar="", logit_bias=[]) == plain
    assert task(n_predict=None, max_tokens=9).max_tokens == 9
    assert task(top_p=0).top_k == 1
    assert task(logit_bias={"5": 2}).logit_bias == {"5": 2.0}
    form = task(json_schema={"type": "integer"}).response_format
    assert form is not None and form.json_schema is not None
    assert form.json_schema.schema == {"type": "integer"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n_predict": 0}, "n_predict"),
        ({"n_probs": 3}, "n_probs"),
        ({"temperature": 9}, "temperature"),
        ({"logit_bias": [[5, "x"]]}, "logit_bias"),
        ({"logit_bias": [["word", 1]]}, "logit_bias"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        task(**fields)
    assert refused.value.details["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("reason", "sequence", "kind", "word"),
    [
        ("EOS", None, "eos", ""),
        ("STOP_SEQUENCE", "##", "word", "##"),
        ("MAX_TOKENS", None, "limit", ""),
        ("CONTEXT_FULL", None, "limit", ""),
    ],
)
def test_the_last_chunk_says_how_it_ended(
    reason: StopReason, sequence: str | None, kind: str, word: str
) -> None:
    stream = CompletionStream("big", task(stop=["#!", "##"]))
    done = Done(True, 2, 12.0, 7, 3, 4.0, 250.0, reason, sequence)
    events = [Token("a\n", 0), Token("", 1), done]
    first, last = [chunk for event in events for chunk in stream.take(event)]
    assert msgspec.to_builtins(first) == {
        "index": 0,
        "content": "a\n",
        "tokens": [],
        "stop": False,
        "id_slot": -1,
        "tokens_predicted": 1,
        "tokens_evaluated": 0,
    }
    assert (last.stop, last.stop_type, last.content, last.has_new_line) == (True, kind, "", True)
    assert (last.stopping_word, last.truncated) == (word, reason == "CONTEXT_FULL")
    assert (last.tokens_predicted, last.tokens_evaluated, last.tokens_cached) == (2, 7, 9)
    assert last.timings is not None
    assert (last.timings.prompt_per_token_ms, last.timings.predicted_per_token_ms) == (1.0, 4.0)
    assert gathered([first, last]).content == "a\n"


async def test_texts_and_tokens(client: Client, texts: TextQueen) -> None:
    async def ask(path: str, **body: Any) -> Any:
        return await (await client.post(path, json=body)).json()

    assert await ask("/tokenize", content="x", add_special=None) == {"tokens": [1, 2]}
    assert await ask("/tokenize", content=["x", 1], with_pieces=True, parse_special=False) == {
        "tokens": [{"id": 1, "piece": "a"}, {"id": 2, "piece": [240]}]
    }
    assert await ask("/detokenize?model=smollm2", tokens=[3]) == {"content": "ab"}
    hi = [{"role": "user", "content": "Hi"}]
    assert await ask("/apply-template", messages=hi, model="smollm2") == {"prompt": "<ab>"}
    first, second, third, fourth = texts.texts
    assert first.asked == TokenizeRequest(content="x")
    assert second.asked == TokenizeRequest(["x", 1], parse_special=False, with_pieces=True)
    assert third.asked == DetokenizeRequest([3])
    assert isinstance(fourth.asked, InferenceRequest) and fourth.asked.messages is not None
    default = "bundled:smollm2-135m-instruct"
    assert [each.model for each in texts.texts] == [default, default, "smollm2", "smollm2"]


async def test_of_a_model_that_nobody_has_loaded_nothing_is_told(
    client: Client, texts: TextQueen
) -> None:
    props = await (await client.get("/props?model=smollm2")).json()
    assert texts.looked_for == ["bundled:smollm2-135m-instruct"]
    assert (props["is_sleeping"], props["total_slots"], props["model_alias"]) == (
        True,
        0,
        "smollm2",
    )
    assert await (await client.get("/slots")).json() == []


async def test_a_key_sees_no_more_of_a_repository_than_it_may_use(texts: TextQueen) -> None:
    app = application(texts)
    who = Caller("guest", "use", (FILE,))

    @web.middleware
    async def as_guest(request: web.Request, handler: Any) -> Any:
        caller.set(who)
        return await handler(request)

    app.middlewares.append(as_guest)
    async with TestClient(TestServer(app)) as client:
        for path in ("/props", "/slots"):
            reply = await client.get(f"{path}?model=hf:Owner/Repo-GGUF")
            assert reply.status == 200
            assert texts.shown == {FILE: True, OTHER: False}
    assert texts.looked_for == ["hf:Owner/Repo-GGUF"] * 2


async def test_slots_are_those_of_all_workers(client: Client, texts: TextQueen) -> None:
    texts.loaded = LOADED
    props = await (await client.get("/props")).json()
    assert (props["total_slots"], props["model_path"]) == (3, "/m.gguf")
    assert (props["bos_token"], props["eos_token"]) == ("", "</s>")
    assert (props["chat_template"], props["is_sleeping"]) == ("{{ messages }}", False)
    slots = await (await client.get("/slots")).json()
    assert [(each["id"], each["is_processing"], each["n_ctx"]) for each in slots] == [
        (0, True, 50),
        (1, False, 50),
        (2, False, 50),
    ]
    assert props["default_generation_settings"] == slots[0]


async def test_a_completion_whole_and_streamed(client: Client, texts: TextQueen) -> None:
    reply = await (await client.post("/completion", json={"prompt": "a"})).json()
    assert (reply["content"], reply["stop_type"]) == ("Hello", "eos")
    stream = await client.post("/completion", json={"prompt": ["a", 1], "stream": True})
    lines = (await stream.text()).split("\n\n")[:-1]
    found = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [(each["content"], each["stop"]) for each in found] == [
        ("Hel", False),
        ("lo", False),
        ("", True),
    ]
    assert texts.asked[1].prompt == [1, 2]
    await client.post("/completion", json={"prompt": [5, 6]})
    assert texts.asked[2].prompt == [5, 6]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (FULL, 503, "unavailable_error"),
        (CRASH, 502, "server_error"),
        (LONG, 400, "exceed_context_size_error"),
    ],
)
async def test_errors_before_and_after_the_first_word(
    client: Client, texts: TextQueen, error: Exception, status: int, kind: str
) -> None:
    texts.answers = [[Accepted("r"), error], [Token("a", 0), error]]
    before = await client.post("/completion", json={"prompt": "a", "stream": True})
    found = (await before.json())["error"]
    assert (before.status, found["code"], found["type"]) == (status, status, kind)
    after = await client.post("/completion", json={"prompt": "a", "stream": True})
    last = json.loads((await after.text()).split("\n\n")[-2].removeprefix("data: "))
    assert (after.status, last["error"]["type"]) == (200, kind)


NAMES = ["content", "tokens", "messages", "prompt", "model", "n_predict", "logit_bias", "stream"]
bodies = json_values | st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)
POSTS = ["tokenize", "detokenize", "apply-template", "completion", "infill"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(POSTS), body=bodies)
def test_no_body_breaks_them(path: str, body: Any) -> None:
    async def ask() -> tuple[int, str]:
        async with TestClient(TestServer(application(TextQueen()))) as client:
            reply = await client.post(f"/{path}", json=body)
            return reply.status, await reply.text()

    status, text = asyncio.run(ask())
    if status != 200:
        error = json.loads(text)["error"]
        assert status in (400, 404) and error["code"] == status, text
        assert set(error) == {"code", "message", "type", "rbee"}
