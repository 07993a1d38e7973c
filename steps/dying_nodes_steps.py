"""A node that dies with tasks on it, and tasks that wait for it."""

from behave import then, when
from behave.runner import Context

from harness.world import cluster, processes
from harness.world.http_client import EventStream

_LONG = 1900
_LONGEST_S = 90


@when("{running:d} tasks stream on {name:w}, and {waiting:d} more wait for any node")
def stream_and_wait(context: Context, running: int, name: str, waiting: int) -> None:
    context.running = [_send(context, tokens=_LONG, node=name) for _ in range(running)]
    for stream in context.running:
        stream.wait_for("token", within=_LONGEST_S)
    context.waiting = []
    for _ in range(waiting):
        stream = _send(context, tokens=2)
        stream.wait_for("queued", within=10)
        context.waiting.append(stream)


@when("the operator's hive on {name:w} is killed")
def hive_killed(context: Context, name: str) -> None:
    assert context.node_hive.node.name == name
    processes.send_sigkill(context.node_hive.process())


@then("the {count:d} end with the error {code:w}, which names {name:w}")
def end_with(context: Context, count: int, code: str, name: str) -> None:
    assert len(context.running) == count
    for stream in context.running:
        stream.wait_for_end(10)
        errors = [event.data["error"] for event in stream.named("error")]
        found = [(error["code"], error["details"]["node"]) for error in errors]
        assert found == [(code, name)], stream.events[-3:]


@then("the {count:d} are answered on {name:w}, each once")
def answered_once(context: Context, count: int, name: str) -> None:
    assert len(context.waiting) == count
    for stream in context.waiting:
        stream.wait_for_end(_LONGEST_S)
        assert len(stream.named("done")) == 1, stream.events[-3:]
        assert len(stream.named("token")) == 2, stream.events
    started = [stream.named("started") for stream in context.waiting]
    assert [len(each) for each in started] == [1] * count, started
    assert {each[0].data["node"] for each in started} == {name}, started


def _send(context: Context, tokens: int, **fields: object) -> EventStream:
    body = {"prompt": "Bees are", "max_tokens": tokens, "ignore_eos": True, **fields}
    return cluster.send_task(context.world, body)
