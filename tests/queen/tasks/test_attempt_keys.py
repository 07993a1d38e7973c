"""A key that may use some files of a repository only: its node says which one is meant."""

from __future__ import annotations

import pytest

from rbee.contract.errors import ModelNotAllowed
from rbee.contract.model_ref import parse
from rbee.contract.models import DownloadReply, ModelDetails, Resolved
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.tasks.attempt import Attempt
from rbee.queen.tasks.dispatcher import Dispatcher
from rbee.queen.tasks.task import Task
from rbee.runtime.keyring import Caller
from tests.queen.nodes.conftest import UrlNode
from tests.queen.tasks.test_attempt import ANSWER, INFERENCE

MEANT = "hf:o/r/m-Q8_0.gguf"
INFO, LIST = "/v1/models/info", "/v1/workers/list"


async def details() -> object:
    return ModelDetails(
        reference=MEANT,
        state="ready",
        size_bytes=1,
        local_path="/m",
        sha256=None,
        architecture="llama",
        quantization="Q8_0",
        layers=1,
        context_length=1,
        vocabulary_size=1,
        required_bytes=1,
        memory_total_bytes=1,
        memory_free_bytes=1,
        offered=[],
    )


def attempt(node: UrlNode, model: str, *allowed: str) -> Attempt:
    node.fake.replies[INFO] = details
    who = Caller("laptop", "use", allowed)
    task = Task(TaskRequest(prompt="p"), parse(model), who)
    return Attempt(task, node.hive, Dispatcher(Fleet(), 1).enter(who, task.tell))


async def resolved() -> object:
    return Resolved(MEANT)


async def test_the_file_that_a_repository_means_is_what_is_used(url_node: UrlNode) -> None:
    fake = url_node.fake
    worker = WorkerRow("w-1", fake.url, MEANT, "cpu", 0, "idle", None, None, 4, 4)
    fake.streams["/v1/models/download"] = [DownloadReply("d", MEANT, "/m.gguf")]
    fake.streams["/v1/workers/spawn"] = [worker]
    fake.streams[INFERENCE] = ANSWER
    await attempt(url_node, "hf:o/r", "hf:o/r:Q8_0").run()
    assert fake.asked.count(INFO) == 1
    named = [each["model"] for each in fake.messages if isinstance(each, dict) and "model" in each]
    assert named == [MEANT, MEANT]  # to be fetched, and to be loaded
    assert INFERENCE in fake.asked


async def test_what_is_allowed_by_its_name_is_not_asked_for(url_node: UrlNode) -> None:
    fake = url_node.fake
    fake.workers = [WorkerRow("w-1", fake.url, MEANT, "cpu", 0, "idle", None, None, 4, 4)]
    fake.replies["/v1/models/resolve"] = resolved
    fake.streams[INFERENCE] = ANSWER
    await attempt(url_node, "hf:o/r:Q8_0", "hf:o/r").run()
    assert INFO not in fake.asked


async def test_another_file_is_refused_before_anything_is_fetched(url_node: UrlNode) -> None:
    with pytest.raises(ModelNotAllowed) as caught:
        await attempt(url_node, "hf:o/r", "hf:o/r:Q4_K_M", "hf:a/b").run()
    assert caught.value.details == {
        "key": "laptop",
        "model": MEANT,
        "allowed": ["hf:o/r:Q4_K_M", "hf:a/b"],
    }
    assert LIST not in url_node.fake.asked
    assert "/v1/models/download" not in url_node.fake.asked
