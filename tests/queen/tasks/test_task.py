"""A task and the nodes that may answer it: in order, falling to the next for what others may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rbee.contract.errors import (
    BackendUnavailable,
    ConnectionTimeout,
    InvalidRequest,
    ModelCorrupt,
    ModelNotFound,
    NodeNotFound,
    PortBlocked,
    ProgramFailed,
    RbeeError,
    SshConnectionFailed,
    VersionMismatch,
    VramExhausted,
    WorkerCrashed,
)
from rbee.contract.events import Narration
from rbee.contract.model_ref import parse
from rbee.contract.tasks import TaskRequest
from rbee.queen.tasks import task as module
from rbee.queen.tasks.ranking import Verdict
from rbee.queen.tasks.task import Errand

AWAY = ConnectionTimeout("a is off.", host="a", port=22, attempts=3)
VERDICTS = [
    Verdict("b", True, ["an idle worker holds the model", "its hive runs"]),
    Verdict("a", True, ["its hive runs"]),
    Verdict("c", False, ["it did not answer: off"]),
]


class FakeHive:
    def __init__(self, node: str) -> None:
        self.node = node


class FakeNodes:
    """Knows the nodes `rows`; `errors` are what their courses raise."""

    def __init__(self) -> None:
        self.errors: dict[str, RbeeError] = {}
        self.tried: list[str] = []
        self.known = ["a", "b", "c"]
        self.registry = self

    def rows(self) -> list[str]:
        return self.known

    def hive(self, node: str) -> FakeHive:
        if node not in (*self.known, "localhost"):
            raise NodeNotFound(node=node)
        return FakeHive(node)


@pytest.fixture
def verdicts() -> list[Verdict]:
    return list(VERDICTS)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch, verdicts: list[Verdict]) -> FakeNodes:
    made = FakeNodes()

    class FakeCourse:
        def __init__(self, _: str, __: object, ___: object, hive: FakeHive, *____: object) -> None:
            self.node = hive.node

        async def run(self) -> None:
            made.tried.append(self.node)
            if self.node in made.errors:
                raise made.errors[self.node]

    async def choose(*_: object) -> list[Verdict]:
        return verdicts

    monkeypatch.setattr(module, "Course", FakeCourse)
    monkeypatch.setattr(module, "choose", choose)
    return made


@pytest.fixture
def errand(nodes: FakeNodes) -> Callable[..., Errand]:
    def make(**asked: object) -> Errand:
        request = TaskRequest(prompt="p", **asked)  # type: ignore[arg-type]
        return Errand("r", request, parse("hf:o/r"), nodes, None)  # type: ignore[arg-type]

    return make


async def told(errand: Errand) -> list[str]:
    errand.outlet.end()
    said = []
    async with asyncio.timeout(5):
        async for event in errand.outlet.read():
            assert isinstance(event, Narration)
            said.append(event.text)
    return said


async def test_the_first_that_can_is_taken_and_told_with_its_reasons(
    errand: Callable[..., Errand], nodes: FakeNodes
) -> None:
    made = errand()
    await made.run()
    assert nodes.tried == ["b"]
    assert await told(made) == ["placement: b, since an idle worker holds the model, its hive runs"]


async def test_all_are_explained_to_who_asks(
    errand: Callable[..., Errand], nodes: FakeNodes
) -> None:
    made = errand(explain=True)
    await made.run()
    assert await told(made) == [
        "placement: b can: an idle worker holds the model, its hive runs",
        "placement: a can: its hive runs",
        "placement: c can't: it did not answer: off",
        "placement: b, since an idle worker holds the model, its hive runs",
    ]


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        SshConnectionFailed(host="b", port=22, reason="refused"),
        PortBlocked(host="b", port=9200),
        ProgramFailed(program="rbee-hive", reason="no"),
        VersionMismatch(program="q", version="1.0", other_program="h", other_version="2.0"),
        BackendUnavailable(backend="cuda", available=["cpu"]),
        VramExhausted(node="b", device="cpu", required=2, available=1),
        ModelNotFound(model="m", near=[]),
    ],
)
async def test_what_another_may_do_is_tried_there(
    errand: Callable[..., Errand], nodes: FakeNodes, error: RbeeError
) -> None:
    nodes.errors["b"] = error
    made = errand()
    await made.run()
    assert nodes.tried == ["b", "a"]
    assert (await told(made))[1:] == [f"placement: {error.message.rstrip('.')}; trying a"]


@pytest.mark.parametrize(
    "error",
    [
        ModelCorrupt(file="/m.gguf", reason="it is cut off"),
        WorkerCrashed(worker_id="w", node="b", tokens=3, max_tokens=9, log_tail=[]),
        InvalidRequest(errors=[]),
    ],
)
async def test_what_no_other_would_do_better_is_raised(
    errand: Callable[..., Errand], nodes: FakeNodes, error: RbeeError
) -> None:
    nodes.errors["b"] = error
    with pytest.raises(type(error)):
        await errand().run()
    assert nodes.tried == ["b"]


async def test_where_none_can_the_first_error_is_raised(
    errand: Callable[..., Errand], nodes: FakeNodes
) -> None:
    first = VramExhausted(node="b", device="cpu", required=2, available=1)
    nodes.errors.update(b=first, a=AWAY)
    with pytest.raises(VramExhausted) as caught:
        await errand().run()
    assert caught.value is first
    assert nodes.tried == ["b", "a"]


async def test_a_node_that_is_named_is_the_only_one(
    errand: Callable[..., Errand], nodes: FakeNodes
) -> None:
    nodes.errors["a"] = AWAY
    made = errand(node="a", explain=True)
    with pytest.raises(ConnectionTimeout):
        await made.run()
    assert nodes.tried == ["a"]
    assert await told(made) == []
    with pytest.raises(NodeNotFound):
        await errand(node="nobody").run()


async def test_without_other_nodes_it_is_this_machine(
    errand: Callable[..., Errand], nodes: FakeNodes
) -> None:
    nodes.known = []
    made = errand()
    await made.run()
    assert nodes.tried == ["localhost"]
    assert await told(made) == []


async def test_where_none_can_this_machine_says_why(
    errand: Callable[..., Errand], nodes: FakeNodes, verdicts: list[Verdict]
) -> None:
    verdicts[:] = [Verdict("a", False, ["off"])]
    await errand().run()
    assert nodes.tried == ["localhost"]
