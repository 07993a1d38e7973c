"""A task's attempt on one node: a worker found, joined or started, and its answer relayed."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract.embeddings import (
    EmbeddingReply,
    EmbeddingRequest,
    EmbeddingRow,
    RerankReply,
    RerankRequest,
    RerankResult,
    Usage,
)
from rbee.contract.errors import AllSlotsBusy, PromptTooLong, WorkerCrashed
from rbee.contract.events import Accepted, Done, Event, Loading, Narration, Started, Token
from rbee.contract.model_ref import parse
from rbee.contract.models import DownloadReply, Resolved
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import PromptReply, WorkerGone, WorkerRow, WorkerRows
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.tasks.attempt import Attempt
from rbee.queen.tasks.dispatcher import Dispatcher
from rbee.queen.tasks.task import CountRequest, Task, VectorRequest
from rbee.runtime.keyring import OPERATOR
from tests.queen.nodes.conftest import UrlNode
from tests.queen.sshd import until

FILE = "hf:o/r/m.gguf"
ANSWER: list[Event] = [
    Accepted("r-1", 2),
    Token("a", 0),
    Token("b", 1),
    Done(True, 2, 1.5, 5, 4, 0.5, 12.25, "MAX_TOKENS"),
]
INFERENCE = "/v1/inference"
GONE = "http://127.0.0.1:1"


class Made:
    """An attempt at a node whose fake hive plays the worker too."""

    def __init__(self, node: UrlNode) -> None:
        self.fake, self.hive = node.fake, node.hive
        self.task = Task(TaskRequest(prompt="p", max_tokens=9), parse("hf:o/r"))
        self.fleet = Fleet()
        self.fleet.know(node.hive.node)
        self.turn = Dispatcher(self.fleet, 8).enter(OPERATOR, self.task.tell)
        self.attempt = Attempt(self.task, node.hive, self.turn)
        self.fake.replies["/v1/models/resolve"] = self._resolve
        self.fake.streams["/v1/models/download"] = [DownloadReply("d", FILE, "/m.gguf")]
        self.fake.streams[INFERENCE] = ANSWER

    def row(self, state: str, name: str = "w-1") -> WorkerRow:
        return WorkerRow(name, self.fake.url, FILE, "cpu", 0, state, None, None, 4, 4)  # type: ignore[arg-type]

    def read_only(self, *more: Event) -> None:
        """Let the worker accept the request, and break off."""
        self.fake.workers = [self.row("idle")]
        self.fake.streams[INFERENCE] = [ANSWER[0], *more]
        self.fake.breaks = True

    async def run(self) -> None:
        async with asyncio.timeout(20):
            await self.attempt.run()

    async def events(self) -> list[Event]:
        self.task.events.close()
        return [event async for event in self.task.events.read()]

    async def narrated(self) -> list[str]:
        return [event.text for event in await self.events() if isinstance(event, Narration)]

    async def _resolve(self) -> object:
        return Resolved(FILE)


@pytest.fixture
async def made(url_node: UrlNode) -> Made:
    return Made(url_node)


async def test_a_worker_that_holds_the_model_answers_at_once(made: Made) -> None:
    made.fake.workers = [made.row("idle")]
    await made.run()
    events = await made.events()
    assert events[-4:] == [Started(made.task.id, FILE, "w-1", "workstation", 2), *ANSWER[1:]]
    assert [event.text for event in events if isinstance(event, Narration)] == [
        f"worker registry: w-1 holds {FILE}, idle",
        "skipped: pool preflight, model provisioning, worker preflight, worker startup,"
        " registration, worker health",
        f"inference: {FILE} answers on workstation",
    ]
    assert (made.task.tokens, made.task.tokens_read) == (2, 1), "what was cached is not read again"
    assert "/v1/workers/spawn" not in made.fake.asked


async def test_without_one_it_is_started_under_the_name_that_the_node_has(made: Made) -> None:
    made.fake.streams["/v1/loading/progress"] = []
    layers = Loading("loading_to_vram", 1, 2, 0.5)
    made.fake.streams["/v1/workers/spawn"] = [made.row("loading"), layers, made.row("idle")]
    await made.run()
    told = await made.narrated()
    assert told[0] == "worker registry: no worker on workstation holds hf:o/r"
    assert told[-2:] == [
        "worker health: waiting until w-1 is ready",
        f"inference: {FILE} answers on workstation",
    ]
    messages = [each for each in made.fake.messages if isinstance(each, dict)]
    assert [each["model"] for each in messages if "slots" in each] == [FILE]


async def test_one_that_loads_already_is_waited_for(made: Made) -> None:
    made.fake.workers = [made.row("loading")]
    made.fake.streams["/v1/loading/progress"] = [Loading("ready")]
    await made.run()
    assert "worker health: waiting until w-1 is ready" in await made.narrated()
    assert "/v1/workers/spawn" not in made.fake.asked


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_worker_that_loads_has_a_slot_taken_by_whoever_waits_for_it(
    made: Made, is_there: bool
) -> None:
    """It would be idle otherwise when it is loaded, and end for others."""
    gone = WorkerGone("w-1", "it was ended by signal 9", -9, [])
    made.fake.workers = [made.row("loading")] if is_there else []
    made.fake.streams["/v1/workers/spawn"] = [made.row("loading"), gone]
    made.fake.streams["/v1/loading/progress"] = [gone]
    with pytest.raises(WorkerCrashed):
        await made.run()
    worker = made.fleet.worker("workstation", "w-1")
    assert worker is not None and worker.own == 1
    made.turn.end(0)
    assert worker.own == 0


async def test_a_worker_that_ends_before_it_is_ready_says_how_many_tokens_were_wanted(
    made: Made,
) -> None:
    gone = WorkerGone("w-1", "it was ended by signal 9", -9, [])
    made.fake.streams["/v1/workers/spawn"] = [made.row("loading"), gone]
    with pytest.raises(WorkerCrashed) as caught:
        await made.run()
    assert (caught.value.details["tokens"], caught.value.details["max_tokens"]) == (0, 9)


async def test_an_answer_that_breaks_off_is_a_crash_with_the_tokens_that_came(made: Made) -> None:
    made.fake.workers = [made.row("idle")]
    made.fake.streams[INFERENCE] = ANSWER[:2]
    made.fake.breaks = True
    with pytest.raises(WorkerCrashed, match=r"was lost after 1 of 9 tokens: its connection broke"):
        await made.run()
    assert made.task.tokens == 1


@pytest.mark.parametrize("code", [-9, 0])
async def test_an_answer_that_breaks_off_before_its_first_token_is_given_by_another_worker(
    made: Made, code: int
) -> None:
    made.read_only()

    async def listed() -> object:
        if INFERENCE not in made.fake.asked:
            return WorkerRows([made.row("idle")])
        made.fake.streams[INFERENCE], made.fake.breaks = ANSWER, False
        return WorkerRows([made.row("idle"), made.row("idle", "w-2")])

    made.fake.replies["/v1/workers/list"] = listed
    made.fake.tell(WorkerGone("w-1", f"it ended with {code}", code, []))
    await made.run()
    events = await made.events()
    started = [event.worker_id for event in events if isinstance(event, Started)]
    assert started == ["w-1", "w-2"]
    assert [event.index for event in events if isinstance(event, Token)] == [0, 1]
    told = [event.text for event in events if isinstance(event, Narration)]
    why = f"before it had answered (it ended with {code})"
    assert f"w-1 has just gone {why}: looking again" in told
    assert made.task.deaths == (code != 0)


async def test_once_its_worker_has_gone_another_node_may_try(made: Made) -> None:
    """No worker gets ready here any more."""
    made.read_only()
    made.fake.tell(WorkerGone("w-1", "it was ended by signal 9", -9, []))

    async def listed() -> object:
        if INFERENCE not in made.fake.asked:
            return WorkerRows([made.row("idle")])
        made.fake.breaks = False
        return WorkerRows([])

    made.fake.replies["/v1/workers/list"] = listed
    gone = WorkerGone("w-2", "it was ended by signal 9", -9, [])
    made.fake.streams["/v1/workers/spawn"] = [made.row("loading", "w-2"), gone]
    with pytest.raises(WorkerCrashed, match="w-2 on workstation ended before it was ready"):
        await made.run()
    assert not made.task.is_sent


async def test_a_worker_that_may_still_read_is_not_replaced(made: Made) -> None:
    """Its hive is there, and does not say that it has ended."""
    made.read_only()
    made.fake.tell(made.row("idle"))
    await until(lambda: bool(made.hive.seen_workers))
    with pytest.raises(WorkerCrashed, match=r"was lost after 0 of 9 tokens: its connection broke"):
        await made.run()
    assert made.fake.asked.count(INFERENCE) == 1


async def test_a_task_that_has_ended_a_worker_of_another_node_may_end_one_here(
    made: Made,
) -> None:
    made.task.deaths = 1
    made.read_only()
    made.fake.tell(WorkerGone("w-1", "it ended with -11", -11, []))
    with pytest.raises(WorkerCrashed) as caught:
        await made.run()
    assert "It was the second worker that ended with this request" in caught.value.message
    assert made.fake.asked.count(INFERENCE) == 1


async def test_three_workers_in_all_have_a_request(made: Made) -> None:
    """Two have had it on other nodes."""
    made.task.lost = 2
    made.read_only()
    made.fake.tell(WorkerGone("w-1", "it ended with 0", 0, []))
    with pytest.raises(WorkerCrashed, match=r"ended after 0 of 9 tokens: it ended with 0\."):
        await made.run()
    assert made.fake.asked.count(INFERENCE) == 1


async def test_an_answer_without_a_token_is_not_given_twice(made: Made) -> None:
    """Only its end mark is missing."""
    made.read_only(Done(True, 0, 1.5, 5, 4, 0.5, 0.0, "EOS"))
    made.fake.tell(WorkerGone("w-1", "it ended with 0", 0, []))
    with pytest.raises(WorkerCrashed, match="ended after 0 of 9 tokens"):
        await made.run()
    assert made.fake.asked.count(INFERENCE) == 1


async def test_what_the_worker_refuses_is_raised_as_it_is(made: Made) -> None:
    made.fake.workers = [made.row("idle")]
    error = PromptTooLong(errors=[])
    made.fake.streams[INFERENCE] = [error.envelope()]
    with pytest.raises(PromptTooLong):
        await made.run()


async def test_a_worker_that_has_just_gone_is_not_asked_again(made: Made) -> None:
    """Nobody listens at its address any more; its hive notices only afterwards."""
    lost = WorkerRow("w-0", GONE, FILE, "cpu", 0, "idle", None, None, 4, 4)
    other = made.row("busy")

    async def listed() -> object:
        first = made.fake.asked.count("/v1/workers/list") == 1
        return WorkerRows([lost, other] if first else [other])

    made.fake.replies["/v1/workers/list"] = listed
    await made.run()
    assert "w-0 has just gone: looking again" in await made.narrated()
    assert made.task.tokens == 2


@pytest.mark.parametrize(("code", "tried"), [(-11, 2), (0, 3)])
async def test_a_request_that_has_ended_two_workers_gets_no_third(
    made: Made, code: int, tried: int
) -> None:
    """Others answer on them. One that ended in order was ended by somebody else."""

    async def listed() -> object:
        name = f"w-{made.fake.asked.count('/v1/workers/list')}"
        made.fake.tell(WorkerGone(name, f"it ended with {code}", code, []))
        return WorkerRows([WorkerRow(name, GONE, FILE, "cpu", 0, "idle", None, None, 4, 4)])

    made.fake.replies["/v1/workers/list"] = listed
    with pytest.raises(WorkerCrashed) as caught:
        await made.run()
    assert (await made.narrated()).count(f"inference: {FILE} answers on workstation") == tried
    what = f"{FILE}, a prompt of 1 character"
    twice = f"It was the second worker that ended with this request: {what}."
    assert (twice in caught.value.message) == (tried == 2)
    assert (caught.value.details["tokens"], caught.value.details["max_tokens"]) == (0, 9)


VECTORS = EmbeddingReply(FILE, [EmbeddingRow(0, [1.0])], Usage(1, 1))
SCORES = RerankReply(FILE, [RerankResult(0, 0.5)], Usage(1, 1))


@pytest.mark.parametrize(
    ("texts", "path", "reply"),
    [
        (EmbeddingRequest(input=["a", "b"]), "/v1/embeddings", VECTORS),
        (RerankRequest(query="q", documents=["a"]), "/v1/rerank", SCORES),
    ],
)
async def test_vectors_and_scores_are_answered_at_once(
    made: Made,
    texts: EmbeddingRequest | RerankRequest,
    path: str,
    reply: EmbeddingReply | RerankReply,
) -> None:
    made.fake.workers = [made.row("busy")]

    async def replied() -> object:
        return reply

    made.fake.replies[path] = replied
    task = Task(VectorRequest(texts=texts), parse("hf:o/r"))
    async with asyncio.timeout(20):
        await Attempt(task, made.hive, made.turn).run()
    assert (task.reply, task.tokens_read) == (reply, 1)


async def test_a_worker_that_was_chosen_is_used_without_a_question(made: Made) -> None:
    """It is asked for a slot, and a worker that has none says so."""
    made.fake.replies[INFERENCE] = full
    attempt = Attempt(made.task, made.hive, made.turn, made.row("busy"))
    with pytest.raises(AllSlotsBusy):
        await attempt.run()
    assert "/v1/workers/list" not in made.fake.asked
    worker = made.fleet.worker("workstation", "w-1")
    assert worker is not None
    assert (worker.own, worker.free) == (1, 3)


async def test_what_a_person_has_been_told_is_not_told_again(made: Made) -> None:
    await Attempt(made.task, made.hive, made.turn, made.row("busy"), is_told=True).run()
    assert await made.narrated() == []
    assert made.task.tokens == 2


async def full() -> object:
    raise AllSlotsBusy(slots_total=1, slots_busy=1, waiting=0)


async def test_a_prompt_is_counted_whoever_else_waits_for_the_worker(made: Made) -> None:
    made.fake.workers = [made.row("busy")]

    async def count() -> object:
        return PromptReply(42)

    made.fake.replies["/v1/prompt"] = count
    task = Task(CountRequest(prompt="p"), parse("hf:o/r"))
    async with asyncio.timeout(20):
        await Attempt(task, made.hive, made.turn).run()
    assert task.reply == PromptReply(42)
    assert INFERENCE not in made.fake.asked


async def test_texts_that_end_two_workers_get_no_third(made: Made) -> None:
    async def listed() -> object:
        name = f"w-{made.fake.asked.count('/v1/workers/list')}"
        made.fake.tell(WorkerGone(name, "it ended with -11", -11, []))
        return WorkerRows([WorkerRow(name, GONE, FILE, "cpu", 0, "idle", None, None, 4, 4)])

    made.fake.replies["/v1/workers/list"] = listed
    texts = VectorRequest(texts=EmbeddingRequest(input=["a", "b"]))
    with pytest.raises(WorkerCrashed) as caught:
        await Attempt(Task(texts, parse("hf:o/r")), made.hive, made.turn).run()
    assert "ended while it read 2 texts" in caught.value.message
    assert caught.value.message.endswith(f"ended with this request: {FILE}, 2 texts.")
