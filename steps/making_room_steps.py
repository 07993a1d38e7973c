"""Models that take turns in a memory that has no room for all of them, and second workers."""

import re
from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.breaking.graphics_card import Card, Cards
from harness.breaking.usable_cards import UsableCards
from harness.watching import catalog, replies
from harness.watching.replies import Metrics
from harness.world import cluster, processes
from harness.world.http_client import EventStream
from harness.world.waiting import let_pass, wait_until

_LONGEST_S = 90
# The bundled model with 2048 tokens of context: what it has, and what it must find free.
_TAKES_MIB = 150
_LONG = 1900


@given("the bundled model is on the disk as {names}")
def on_disk(context: Context, names: str) -> None:
    for name in names.replace(" and ", ", ").split(", "):
        _link(context, context.world, name)


@given("the bundled model is on the disk of {node:S} too, as {name:w}")
def on_disk_there(context: Context, node: str, name: str) -> None:
    _link(context, context.world.nodes[node], name)


def _link(context: Context, where: catalog.HasModels, name: str) -> None:
    catalog.link_file(where, context.model_files.named("bundled"), f"lab/{name}/{name}.gguf")


@given("a graphics card that has room for {count:d} worker")
@given("a graphics card that has room for {count:d} workers")
def card_with_room(context: Context, count: int) -> None:
    total = count * _TAKES_MIB + 50
    card = Card("NVIDIA GeForce RTX 4060", total, total)
    context.cards = Cards(context.world, [card], each_takes=_TAKES_MIB)
    context.usable_cards = UsableCards(context.world, [card])


# Tasks that are answered one after the other


@when("somebody asks {names} in turn")
def are_answered(context: Context, names: str) -> None:
    context.streams = []
    for name in names.replace(" and ", ", ").split(", "):
        _answered(context, name)


@when("somebody asks {names} in turn, the first with keep_alive {wish:d}")
def are_answered_pinned(context: Context, names: str, wish: int) -> None:
    context.streams = []
    first, *others = names.replace(" and ", ", ").split(", ")
    _answered(context, first, keep_alive=wish)
    for name in others:
        _answered(context, name)


@when("{seconds:d} s later somebody asks {one:w}, and then {other:w}")
def two_answered(context: Context, seconds: int, one: str, other: str) -> None:
    let_pass(seconds)
    context.before_room = {row["model_ref"]: row for row in cluster.workers(context.world)}
    context.streams = []
    _answered(context, one)
    _answered(context, other)


def _answered(context: Context, name: str, **fields: object) -> None:
    stream = _send(context, name, 2, **fields)
    stream.wait_for_end(_LONGEST_S)
    assert stream.named("done"), stream.events[-3:]
    worker = stream.named("started")[0].data["worker_id"]
    wait_until(
        "the worker to be idle again",
        lambda: {row["worker_id"]: row["state"] for row in cluster.queens_workers(context.world)},
        10,
        lambda states: states.get(worker) == "idle",
    )


def _send(context: Context, name: str, tokens: int, **fields: object) -> EventStream:
    body = {"prompt": "Bees are", "max_tokens": tokens, "ignore_eos": True, **fields}
    body["model"] = _reference(context, name)
    stream = cluster.send_task(context.world, body)
    context.streams.append(stream)
    return stream


def _reference(context: Context, name: str) -> str:
    expanded: str = context.world.expand(name)
    return expanded if ":" in expanded else f"hf:lab/{name}/{name}.gguf"


@when("somebody asks {name:w} for an answer on {backend:w}")
def answered_on(context: Context, name: str, backend: str) -> None:
    context.streams = []
    _answered(context, name, backend=backend)


@when("both workers have become idle")
def both_idle(context: Context) -> None:
    """What a canceled answer had is free a moment after its end is told."""
    wait_until(
        "two idle workers",
        lambda: [row["state"] for row in cluster.queens_workers(context.world)],
        10,
        lambda states: states == ["idle", "idle"],
    )


@then("the worker on localhost answered, though that of {other:w} is idle, too")
def on_this_machine(context: Context, other: str) -> None:
    rows = {row["node"]: row["state"] for row in cluster.queens_workers(context.world)}
    assert rows == {"localhost": "idle", other: "idle"}, rows
    [stream] = context.streams
    assert stream.named("started")[0].data["node"] == "localhost", stream.events


@then("the worker on {backend:w} answered")
def on_backend(context: Context, backend: str) -> None:
    rows = {row["id"]: row["backend"] for row in cluster.workers(context.world)}
    assert sorted(rows.values()) == ["cpu", "cuda"], rows
    [stream] = context.streams
    assert rows[stream.named("started")[0].data["worker_id"]] == backend, rows


@then("the hive lists the worker of {name:w} alone as pinned, and what its card gets back of each")
def lists_pinned(context: Context, name: str) -> None:
    """Of the card: the weights, and 2 × 2 bytes for each token, layer and channel of the cache."""
    rows = cluster.workers(context.world)
    pinned = [row["model_ref"] for row in rows if row["pinned"]]
    assert pinned == [_reference(context, name)], rows
    weights = context.model_files.named("bundled").stat().st_size
    layers, channels = 30, 192
    wanted = weights + 2048 * layers * channels * 4
    assert [row["frees_bytes"] for row in rows] == [wanted] * 3, (rows, wanted)


@then("the worker of {ended:w} was ended for {other}, as it was told")
def was_ended(context: Context, ended: str, other: str) -> None:
    _told_of_room(context, context.streams[-1], ended, other)


@then(
    "the worker of {one:w} was ended for {two:w}, as it was told,"
    " and {other:w} has the same worker as before"
)
def ended_and_same(context: Context, one: str, two: str, other: str) -> None:
    for_two, for_other = context.streams
    _told_of_room(context, for_two, one, two)
    before = context.before_room
    now = {row["model_ref"]: row["id"] for row in cluster.workers(context.world)}
    kept = {name: row["id"] for name, row in before.items() if name != _reference(context, one)}
    new = now.pop(_reference(context, two))
    assert now == kept, (before, now)
    _was_idle(for_two, before[_reference(context, one)])
    answered = [stream.named("started")[0].data["worker_id"] for stream in (for_two, for_other)]
    assert answered == [new, kept[_reference(context, other)]], answered


def _told_of_room(context: Context, stream: EventStream, ended: str, other: str) -> None:
    """Which worker, of which model, on which node, how long it was idle, and for what."""
    told = [event.data["text"] for event in stream.named("narration")]
    ending = [text for text in told if text.startswith("making room: ")]
    assert len(ending) == 1, told
    for words in ("ending worker-", _reference(context, ended), "on localhost", "idle for"):
        assert words in ending[0], ending
    assert ending[0].endswith(f"for {_reference(context, other)}"), ending


def _was_idle(stream: EventStream, row: dict[str, Any]) -> None:
    """For as long as it was told."""
    [event] = [each for each in stream.named("narration") if "idle for" in each.data["text"]]
    ago_s = processes.now() - event.at
    idle_s = cluster.now_unix() - ago_s - row["last_activity"]
    told = re.search(r"idle for (\d+) s,", event.data["text"])
    assert told and abs(int(told[1]) - idle_s) < 2, (event, idle_s)


@then("the hive has {count:d} workers, of {names}")
def has_some(context: Context, count: int, names: str) -> None:
    found = sorted(row["model_ref"] for row in cluster.workers(context.world))
    assert found == [_reference(context, name) for name in names.split(" and ")], found
    assert len(found) == count


@then("the hive has one worker, of {name:w}")
def has_one(context: Context, name: str) -> None:
    found = [row["model_ref"] for row in cluster.workers(context.world)]
    assert found == [_reference(context, name)], found


@then("the queen's metrics count {swaps:d} swaps, {ended:d} evictions and {replicas:d} replicas")
@then("the queen's metrics count {swaps:d} swap, {ended:d} eviction and {replicas:d} replicas")
@then("the queen's metrics count {swaps:d} swaps, {ended:d} evictions and {replicas:d} replica")
def counted(context: Context, swaps: int, ended: int, replicas: int) -> None:
    reply = context.world.call("GET", f"{context.world.queen_url}/metrics")
    seen = Metrics(reply.body.decode())
    names = ("rbee_swaps_total", "rbee_evictions_total", "rbee_replicas_total")
    assert [seen.value(name) for name in names] == [swaps, ended, replicas], reply.body


# Tasks that wait


@when("a task for {name:w} streams")
def streams(context: Context, name: str) -> None:
    context.streams = []
    context.long = _send(context, name, _LONG)
    context.long.wait_for("token", within=_LONGEST_S)


@when("a task for {name:w} streams, and tasks for {names} wait, one after the other")
def others_wait(context: Context, name: str, names: str) -> None:
    streams(context, name)
    context.waiting = []
    for each in names.replace(" and ", ", ").split(", "):
        stream = _send(context, each, 2)
        stream.wait_for("queued", within=10)
        context.waiting.append((each, stream))


@when("the task that streams is deleted")
def long_deleted(context: Context) -> None:
    assert not context.long.named("done"), context.long.events[-1:]
    request = context.long.named("accepted")[0].data["request_id"]
    url = f"{context.world.queen_url}/v2/tasks/{request}"
    assert context.world.call("DELETE", url).status == 204
    context.long.wait_for_end(10)


@when("{seconds:d} s later the task that streams is deleted")
def later_deleted(context: Context, seconds: int) -> None:
    let_pass(seconds)
    long_deleted(context)


@then("the waiting ones are answered in the order {names}")
def in_that_order(context: Context, names: str) -> None:
    for _, stream in context.waiting:
        stream.wait_for_end(_LONGEST_S)
        assert stream.named("done"), stream.events[-3:]
    order = sorted(context.waiting, key=lambda pair: pair[1].named("started")[0].at)
    found = [name for name, _ in order]
    assert found == names.split(", "), found


# A worker that is ended only if it is idle


@when("the hive is asked to end that worker only if it is idle")
def asked_to_end(context: Context) -> None:
    if context.long.reading:
        context.worker = cluster.only_worker(context.world)
    else:
        cluster.wait_for_state(context.world, "idle")
    url = f"{context.world.hive_url}/v1/workers/shutdown"
    body = {"worker_id": context.worker["id"], "only_if_idle": True}
    context.reply = context.world.call("POST", url, body)
    if context.reply.status != 200:
        context.answer = replies.error_of(context.reply)


@then("it names that worker and its model, and the task still streams")
def names_worker(context: Context) -> None:
    wanted = {"model": context.worker["model_ref"], "workers": [context.worker["id"]]}
    assert context.answer.details == wanted, context.answer
    _still_streams(context)


@then("the answer is 200, and the worker is gone")
def worker_gone(context: Context) -> None:
    assert context.reply.status == 200, context.reply
    assert not cluster.workers(context.world), cluster.workers(context.world)


def _still_streams(context: Context) -> None:
    tokens = len(context.long.named("token"))
    wait_until(
        "more tokens", lambda: len(context.long.named("token")), 10, lambda seen: seen > tokens
    )
    assert not context.long.named("done")


# A second worker


@when("a task for {name:w} streams on {where}, and two more wait")
def two_more(context: Context, name: str, where: str) -> None:
    place: dict[str, Any] = {"backend": "cpu"} if where == "the CPU" else {"node": where}
    context.streams = []
    context.long = _send(context, name, _LONG, **place)
    context.long.wait_for("token", within=_LONGEST_S)
    context.waiting_since = processes.now()
    context.waiting = [(name, _send(context, name, 2)) for _ in range(2)]
    for _, stream in context.waiting:
        stream.wait_for("queued", within=10)


@then(
    "{node:w} starts a worker for them, {seconds:d} s after the first of them came,"
    " and it answers both"
)
def started_there(context: Context, node: str, seconds: int) -> None:
    worker = _answered_by_one(context, node, seconds)
    assert [row["id"] for row in context.node_hive.workers()] == [worker]


@then(
    "the hive starts a worker for them on the card, {seconds:d} s after the first of them came,"
    " and it answers both"
)
def started_on_card(context: Context, seconds: int) -> None:
    context.second = _answered_by_one(context, "localhost", seconds)
    assert context.usable_cards.started_on() == [("cpu", "0"), ("cuda", "0")]
    rows = {row["id"]: row["backend"] for row in cluster.workers(context.world)}
    assert rows[context.second] == "cuda", rows


def _answered_by_one(context: Context, node: str, seconds: int) -> str:
    """Neither before its time nor by the worker that was there."""
    for _, stream in context.waiting:
        stream.wait_for_end(_LONGEST_S)
        assert stream.named("done"), stream.events[-3:]
    started = [stream.named("started")[0] for _, stream in context.waiting]
    assert min(event.at for event in started) - context.waiting_since >= seconds, started
    found = {(event.data["node"], event.data["worker_id"]) for event in started}
    assert len(found) == 1, found
    [(where, worker)] = found
    assert where == node, found
    assert worker != context.long.named("started")[0].data["worker_id"], found
    return str(worker)


@then("the first task still streams")
def first_streams(context: Context) -> None:
    _still_streams(context)


@then("that worker is gone by itself within {seconds:d} s, and the first task still streams")
def gone_by_itself(context: Context, seconds: int) -> None:
    first = context.long.named("started")[0].data["worker_id"]
    wait_until(
        "the second worker to end",
        lambda: [row["id"] for row in cluster.workers(context.world)],
        seconds,
        lambda seen: seen == [first],
    )
    _still_streams(context)
