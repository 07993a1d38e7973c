"""The list of tasks, the decisions on them, and canceling them."""

import json

from behave import then, when
from behave.runner import Context

from harness.watching import replies, task_list
from harness.watching.named_keys import Holder
from harness.watching.replies import Metrics
from harness.world import cluster, processes
from harness.world.http_client import EventStream
from harness.world.waiting import let_pass

_LONGEST_S = 30
_ROUNDED_S = 0.55
_LATE_S = 1.0  # that a busy machine reads an event


def _holder(context: Context, name: str) -> Holder:
    holder: Holder = context.holders[name]
    return holder


def _of_key(context: Context, name: str) -> list[str]:
    return [task_list.id_of(stream) for key, stream in context.waiting if key == name]


@then(
    "the JSON lists the task that runs, with its worker, then those that wait by their positions, "
    "with key, model, time and reason"
)
def lists_all(context: Context) -> None:
    running = "laptop", _holder(context, "laptop").streams[0]
    found = list(
        task_list.complaints(
            task_list.rows(context.run),
            running,
            context.waiting,
            cluster.only_worker(context.world),
            cluster.now_unix(),
        )
    )
    assert not found, "\n".join(found)


@then("the queen lists the task as starting on {node:w}")
def lists_starting(context: Context, node: str) -> None:
    """Its worker is being loaded, and is its own already."""
    (worker,) = cluster.workers(context.world)
    [row] = context.world.call("GET", f"{context.world.queen_url}/v2/tasks").json["tasks"]
    found = row["state"], row["node"], row["worker_id"], row["position"]
    assert found == ("starting", node, worker["id"], None), row


@when("they have waited for {seconds:d} s, and I run `{line}`")
def lists_after(context: Context, seconds: int, line: str) -> None:
    let_pass(seconds)
    context.run = context.world.start(line)


@then("standard output has a row for each that waits, by their positions, and no other")
def table_of_waiting(context: Context) -> None:
    waiting = task_list.by_position(context.waiting)
    listed = task_list.table_rows(context.run)
    assert list(listed) == [task_list.id_of(stream) for _, stream in waiting], listed
    model = cluster.only_worker(context.world)["model_ref"]
    for place, (name, stream) in enumerate(waiting, start=1):
        *cells, waited, reason = listed[task_list.id_of(stream)]
        assert cells == [name, model, "-", "waiting", str(place)], cells
        assert reason == "the only slot is busy", reason
        came, told_s = stream.named("accepted")[0].at, float(waited.removesuffix(" s"))
        least_s, most_s = context.run.began - came, processes.now() - came
        late_s = _ROUNDED_S + _LATE_S
        assert least_s - _ROUNDED_S <= told_s <= most_s + late_s, (least_s, waited, most_s)


@then("the JSON lists the tasks of {name:w}, and no others")
def lists_own(context: Context, name: str) -> None:
    found = {row["request_id"]: row["key"] for row in task_list.rows(context.run)}
    assert found == dict.fromkeys(_of_key(context, name), name), found


@when("{name:w} runs `rbee-keeper queue cancel` with the id of the task of {other:w} that waits")
def cancels_of_others(context: Context, name: str, other: str) -> None:
    [task] = _of_key(context, other)
    context.run = _holder(context, name).runs(f"rbee-keeper queue cancel {task}")
    context.run.wait(_LONGEST_S)


@when(
    "I run `rbee-keeper queue cancel` with the beginning of the id of the task of {name:w} "
    "that streams"
)
def cancel_one(context: Context, name: str) -> None:
    task = task_list.id_of(_holder(context, name).streams[0])
    context.run = context.world.start(f"rbee-keeper queue cancel {task[:10]}")
    context.run.wait(_LONGEST_S)


@when(
    "I run `rbee-keeper queue cancel` with the end of the id of the task of {name:w} that streams"
)
def cancel_by_end(context: Context, name: str) -> None:
    task = task_list.id_of(_holder(context, name).streams[0])
    context.run = context.world.start(f"rbee-keeper queue cancel {task[2:]}")
    context.run.wait(_LONGEST_S)


@then("standard output names each task of {name:w} as canceled, and no other")
def names_canceled(context: Context, name: str) -> None:
    lines = context.run.stdout.text.splitlines()
    about = f"{cluster.only_worker(context.world)['model_ref']}, key {name}"
    tasks = sorted(_of_key(context, name))
    assert sorted(lines) == [f"{task} is canceled: {about}" for task in tasks], lines


@then("the task of {name:w} that waited is answered")
def waited_is_answered(context: Context, name: str) -> None:
    [stream] = [stream for key, stream in context.waiting if key == name]
    stream.wait_for_end(within=_LONGEST_S)
    assert stream.named("done"), stream.events[-3:]
    first = _holder(context, name).streams[0]
    assert replies.error_of_stream(first, within=5).code == "REQUEST_CANCELED", first.events[-3:]


@then("the queen's metrics have the time that it waited, in its bucket")
def in_its_bucket(context: Context) -> None:
    """No other task that was accepted has waited for anybody, apart from a busy machine."""
    [stream] = [stream for key, stream in context.waiting if key == "laptop"]
    waited_s = stream.named("started")[0].at - stream.named("accepted")[0].at
    seen = Metrics(context.world.call("GET", f"{context.world.queen_url}/metrics").body.decode())
    late_s = 0.3 + waited_s / 2
    assert abs(seen.value("rbee_queue_seconds_sum") - waited_s) < late_s, (seen, waited_s)
    accepted = seen.value("rbee_queue_seconds_count")
    for bound in (0.1, 1.0, 5.0, 15.0, 60.0, 300.0):
        counted = seen.value("rbee_queue_seconds_bucket", le=str(bound))
        if bound > waited_s + _LATE_S:
            assert counted == accepted, (seen, bound)
        elif bound < waited_s / 2:
            assert counted < accepted, (seen, bound)


@when("I run `rbee-keeper queue why` with the id of that task")
def why_last(context: Context) -> None:
    _why(context, _holder(context, "phone").streams[-1])


@when("I run `rbee-keeper queue why` with the id of the first task of {name:w}")
def why_first(context: Context, name: str) -> None:
    _why(context, next(stream for key, stream in context.waiting if key == name))


def _why(context: Context, stream: EventStream) -> None:
    context.asked = task_list.id_of(stream)
    context.run = context.world.start(f"rbee-keeper queue why {context.asked} --json")
    assert context.run.wait(_LONGEST_S) == 0, context.run.stderr.text


@then(
    "the JSON says that it was placed at the worker of this machine, since it is loaded, and when"
)
def placed(context: Context) -> None:
    worker = cluster.only_worker(context.world)
    place: dict[str, object] = {"outcome": "placed", "node": "localhost", "worker_id": worker["id"]}
    row = json.loads(context.run.stdout.text)[-1]  # it may have waited for the one before it
    _is_decided(context, row, worker["model_ref"], place)
    assert any("holds the model" in reason for reason in row["reasons"]), row


@then("the JSON says that it waits, since the only slot is busy, and when")
def waits(context: Context) -> None:
    worker = cluster.only_worker(context.world)
    nowhere: dict[str, object] = {"outcome": "waits", "node": None, "worker_id": None}
    [row] = json.loads(context.run.stdout.text)
    _is_decided(context, row, worker["model_ref"], nowhere)
    assert row["reasons"] == ["the only slot is busy"], row


@when("I run `rbee-keeper queue why` with the id of that task, for a person")
def why_for_a_person(context: Context) -> None:
    context.asked = task_list.id_of(_holder(context, "phone").streams[-1])
    context.run = context.world.start(f"rbee-keeper queue why {context.asked}")
    assert context.run.wait(_LONGEST_S) == 0, context.run.stderr.text


@then(
    "standard output has a row where it was placed, with node, worker and the time "
    "{hours:d} hours ahead of UTC"
)
def row_of_placed(context: Context, hours: int) -> None:
    worker = cluster.only_worker(context.world)
    row = context.run.stdout.text.splitlines()[-1].split()
    assert (row[0], *row[2:5]) == (context.asked, "placed", "localhost", worker["id"]), row
    hour, minute, second = map(int, row[1].split(":"))
    of_day = hour * 3600 + minute * 60 + second
    ago = (cluster.now_unix() + hours * 3600 - of_day) % 86400
    assert 0 <= ago < _LONGEST_S, (row, ago)


def _is_decided(
    context: Context, row: dict[str, object], model: str, wanted: dict[str, object]
) -> None:
    told = {key: row[key] for key in row if key not in ("at_unix", "reasons")}
    assert told == {"request_id": context.asked, "key": "phone", "model": model, **wanted}, row
    assert 0 <= cluster.now_unix() - float(str(row["at_unix"])) < _LONGEST_S, row


@then(
    "the queen's metrics count {accepted:d} tasks that were accepted, "
    "and the decisions of each outcome"
)
def metrics(context: Context, accepted: int) -> None:
    """The same decisions as the list has."""
    world = context.world
    seen = Metrics(world.call("GET", f"{world.queen_url}/metrics").body.decode())
    assert seen.value("rbee_queue_seconds_count") == accepted, seen
    assert seen.value("rbee_queue_seconds_bucket", le="+Inf") == accepted, seen
    assert seen.value("rbee_queue_seconds_bucket", le="60.0") == accepted, seen
    assert 0 < seen.value("rbee_queue_seconds_sum") < _LONGEST_S, seen
    listed = world.call("GET", f"{world.queen_url}/v2/decisions").json["decisions"]
    outcomes = [each["outcome"] for each in listed]
    counted = {outcome: outcomes.count(outcome) for outcome in set(outcomes)}
    assert seen.by_label("rbee_decisions_total", "outcome") == counted, (seen, counted)
