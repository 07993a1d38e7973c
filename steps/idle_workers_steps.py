"""How long a worker stays when nobody asks it."""

import json

from behave import then, when
from behave.runner import Context

from harness.world import cluster, processes
from harness.world.processes import alive
from harness.world.waiting import let_pass, wait_until

# It is looked at each second, then it ends in order; the machine may be busy.
_LOOKED_AT_S = 1.0
_ENDS_WITHIN_S = 4.0
_SOON_S = 0.5


@when("it has streamed for {seconds:d} s, and is deleted")
def stream_for(context: Context, seconds: int) -> None:
    began = context.stream.named("token")[0].at
    wait_until(
        "that time to pass",
        lambda: context.stream.named("token")[-1].at - began,
        seconds + 10,
        lambda streamed: streamed > seconds,
    )
    request = context.stream.named("accepted")[0].data["request_id"]
    context.worker = cluster.only_worker(context.world)
    context.before = cluster.processes(context.world)
    [loaded] = context.world.call("GET", f"{context.world.hive_url}/v1/workers/loaded").json[
        "models"
    ]
    limit = float(context.world.settings["hive"]["idle_timeout_s"])
    assert abs(loaded["expires_at"] - cluster.now_unix() - limit) < _SOON_S, loaded
    reply = context.world.call("DELETE", f"{context.world.queen_url}/v2/tasks/{request}")
    assert reply.status == 204, reply
    context.stream.wait_for_end(within=5)
    context.ended = context.stream.events[-1].at


@when("a task with keep_alive {value} has been answered")
def answered_with(context: Context, value: str) -> None:
    _answer(context, {"keep_alive": json.loads(value)})


@when("a task without keep_alive has been answered")
def answered_without(context: Context) -> None:
    _answer(context, {})


def _answer(context: Context, fields: dict[str, object]) -> None:
    task = {"prompt": "hi", "max_tokens": 100, "ignore_eos": True, **fields}
    stream = context.world.stream("POST", f"{context.world.queen_url}/v2/tasks", task)
    stream.wait_for("token", within=60)
    context.worker = cluster.only_worker(context.world)
    context.before = cluster.processes(context.world)
    stream.wait_for_end(within=60)
    assert stream.named("done"), stream.events[-3:]
    context.ended = stream.events[-1].at


@then("the hive lists it as idle since then")
def idle_since(context: Context) -> None:
    row = cluster.wait_for_state(context.world, "idle", within=1)
    ago = processes.now() - context.ended
    assert row["id"] == context.worker["id"], (row, context.worker)
    assert abs(cluster.now_unix() - row["last_activity"] - ago) < _SOON_S, (row, ago)


@then("the worker is gone at least {seconds:g} s after that, and not much longer")
def gone_between(context: Context, seconds: float) -> None:
    worker = context.before["worker"]
    wait_until("the worker to end", lambda: not alive(worker), seconds + 10)
    _not_much_longer(processes.now() - context.ended, seconds)


@then("the worker is gone at least {seconds:g} s after it answered, and not much longer")
def gone_after_answer(context: Context, seconds: float) -> None:
    worker = context.before["worker"]
    wait_until("the worker to end", lambda: not alive(worker), seconds + 10)
    _not_much_longer(cluster.now_unix() - context.answered_at, seconds)


@then("{seconds:d} s after that the worker is still there")
def still_there(context: Context, seconds: int) -> None:
    let_pass(seconds)
    row = cluster.only_worker(context.world)
    assert (row["id"], row["state"]) == (context.worker["id"], "idle"), row


@then("it was idle for at least {seconds:d} s, and not much longer")
def idle_for(context: Context, seconds: int) -> None:
    """From the end of its answer, as the person saw it, to the hive's report of its end."""
    answered, _ = context.run.stdout.pieces[-1]
    _not_much_longer(context.watched.named("worker_gone")[0].at - answered, seconds)


def _not_much_longer(took: float, seconds: float) -> None:
    most = seconds + _LOOKED_AT_S + _ENDS_WITHIN_S
    assert seconds - 0.2 <= took <= most, f"{took:.2f} s"
