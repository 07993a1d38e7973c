"""A worker is started, loads, is checked, crashes and ends."""

import json
from datetime import datetime
from itertools import pairwise
from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.breaking import machine_faults
from harness.watching import catalog, keeper_output, unanswered
from harness.watching.replies import Metrics
from harness.watching.standalone_worker import CallbackListener
from harness.world import cluster, commands, processes
from harness.world.waiting import wait_until

_SLOW_MACHINE_S = 1.5
# The default context of a model is that for which it was trained, here the bundled one, in tokens.
_TRAINED_FOR = 8192


@then("there is no catalog yet")
def no_catalog(context: Context) -> None:
    assert not catalog.database_file(context.world).exists()


@then('the hive answers with a worker\'s id, its url and the state "{state}"')
def spawn_answered(context: Context, state: str) -> None:
    body = context.reply.json
    assert set(body) == {"worker_id", "url", "state"}, body
    assert body["worker_id"].startswith("worker-"), body
    assert body["state"] == state, body


@then("the hive lists it as {state:w}, with {total:d} slot in all and {free:d} free")
def the_row(context: Context, state: str, total: int, free: int) -> None:
    """The reply to the start may be earlier than the worker's callback, with which it is listed."""
    row = cluster.wait_for_state(context.world, state, within=2)
    wanted = {
        "id": context.worker["id"],
        "url": context.worker["url"],
        "model_ref": context.asked["model"],
        "backend": context.asked["backend"],
        "device": context.asked["device"],
        "state": state,
        "slots_total": total,
        "slots_available": free,
        "context": _TRAINED_FOR,
        "pinned": False,
    }
    assert {name: row.get(name) for name in wanted} == wanted, row
    assert set(row) == {*wanted, "last_activity", "last_health", "frees_bytes"}, row


@then("the hive reports the worker within {seconds:d} s, while it loads")
def reported_loading(context: Context, seconds: int) -> None:
    reported = context.watched.wait_for("worker", within=10)
    assert reported.data["id"] == context.worker["id"], (reported, context.worker)
    assert reported.data["state"] == "loading", reported
    assert reported.at - context.moment < seconds, f"{reported.at - context.moment:.2f} s"


@when("the ready callback of that worker is sent again")
def callback_again(context: Context) -> None:
    context.callback = _own_words(context)
    _call_back(context, context.callback)


def _own_words(context: Context) -> dict[str, object]:
    """What a worker calls back with, according to its process: its arguments, and where it
    listens."""
    process = context.before["worker"]
    given = commands.options(process.cmdline())
    ((host, port),) = processes.listeners([process])
    return {
        "worker_id": given["worker-id"],
        "url": f"http://{host}:{port}",
        "model_ref": given["model-ref"],
        "backend": given["backend"],
        "device": int(given["device"]),
    }


@when("the ready callback of a worker that nobody started is sent")
def callback_of_a_stranger(context: Context) -> None:
    stranger = "worker-00000000-0000-4000-8000-000000000000"
    _call_back(context, {**context.callback, "worker_id": stranger})


def _call_back(context: Context, body: dict[str, object]) -> None:
    url = f"{context.world.hive_url}/v1/workers/ready"
    context.reply = context.world.call("POST", url, body)


@then("the callback is acknowledged with a message")
def acknowledged(context: Context) -> None:
    assert context.reply.status == 200, context.reply
    assert context.reply.json["message"], context.reply.json


@then("the hive lists that worker with what its own process says")
def as_its_process(context: Context) -> None:
    row = cluster.only_worker(context.world)
    own = _own_words(context)
    words = {"id" if name == "worker_id" else name: v for name, v in own.items()}
    assert {name: row[name] for name in words} == words, row
    asked = {"model_ref": context.asked["model"], "id": context.worker["id"]}
    assert {name: row[name] for name in asked} == asked, row


@then("the callback is refused with {status:d}")
def refused(context: Context, status: int) -> None:
    assert context.reply.status == status, context.reply
    assert len(cluster.workers(context.world)) == 1


@then("the worker's port is {port:d}, bound by that process")
def port_bound(context: Context, port: int) -> None:
    process = cluster.process_at(context.world, context.worker["url"])
    assert process == context.before["worker"]
    assert process.ppid() == context.hive_run.pid
    assert urlsplit(context.worker["url"]).port == port, context.worker


@then("the hive lists it as {state:w} within {seconds:d} s")
def listed_within(context: Context, state: str, seconds: int) -> None:
    row = cluster.wait_for_state(context.world, state, within=seconds)
    assert row["id"] == context.worker["id"], (row, context.worker)


@then("they are told first of that worker, as the hive lists it")
def told_first(context: Context) -> None:
    snapshot = context.watched.wait_for("snapshot", within=5)
    assert context.watched.events[0] is snapshot, context.watched.events[:3]
    [first] = snapshot.data["workers"]
    # A health check may have come in between.
    assert {**first, "last_health": None} == {**context.worker, "last_health": None}, first


@then("the hive's metrics count {count:d} {state:w} worker, and no other")
def counted(context: Context, count: int, state: str) -> None:
    text = context.world.call("GET", f"{context.world.hive_url}/metrics").body.decode()
    found = Metrics(text).all_by_label("rbee_workers", "state")
    # Each state has a sample, also one that no worker is in.
    nobody = dict.fromkeys(("busy", "idle", "loading", "unhealthy"), 0)
    assert found == {**nobody, state: count}, found


@then("it says when that worker last answered its hive")
def last_answer(context: Context) -> None:
    """At most one health check ago."""
    (found,) = json.loads(context.run.stdout.text)
    interval = float(context.world.settings["hive"]["health_interval_s"])
    assert found["worker_id"] == context.worker["id"], found
    assert 0 < cluster.now_unix() - found["last_health"] < interval + 2, found


@then("it says the time of that day")
def last_answer_shown(context: Context) -> None:
    """In local time. Checks go on meanwhile."""
    *_, shown = keeper_output.rows(context.run.stdout.text)[context.worker["id"]]
    now = cluster.now_unix()
    recent = {f"{datetime.fromtimestamp(now - ago):%H:%M:%S}" for ago in range(6)}
    assert shown in recent, (shown, recent)


@when("{count:d} health checks have gone unanswered")
def checks_unanswered(context: Context, count: int) -> None:
    url = context.worker["url"]
    wait_until(
        f"{count} unanswered health checks",
        lambda: unanswered.given_up(context.world, url),
        20,
        lambda found: found >= count,
    )


@then("it is told to stop when {count:d} health checks have gone unanswered")
def told_to_stop(context: Context, count: int) -> None:
    """Within a second of the last one, which is that many intervals after the one before the first
    that the hive reported."""
    world, worker = context.world, context.before["worker"]
    interval = float(world.settings["hive"]["health_interval_s"])
    told = processes.wait_for_sigterm(worker, within=20)
    found = unanswered.given_up(world, context.worker["url"])
    assert found == count, f"after {found} unanswered health checks"
    (missed,) = (e for e in context.watched.named("worker") if e.data["state"] == "unhealthy")
    least = (count - 1) * interval
    assert least - 0.3 <= told - missed.at < least + 1 + _SLOW_MACHINE_S, (told, missed)


@then("the hive never reported it as unhealthy")
def never_unhealthy(context: Context) -> None:
    wait_until(
        "loading, then idle, and nothing else",
        lambda: [event.data["state"] for event in context.watched.named("worker")],
        2,
        lambda states: states == ["loading", "idle"],
    )


@then("it listens on the port of the previous worker")
def same_port(context: Context) -> None:
    now = cluster.only_worker(context.world)
    assert urlsplit(now["url"]).port == urlsplit(context.worker["url"]).port, (now, context.worker)


@then("the hive reported within {seconds:d} s that the worker is gone")
def gone_soon(context: Context, seconds: int) -> None:
    gone = context.watched.wait_for("worker_gone", within=20)
    took = gone.at - context.moment
    context.world.evidence.note(f"the hive reported it after {took:.3f} s")
    assert gone.data["worker_id"] == context.worker["id"], gone
    assert took < seconds, f"{took:.2f} s after it was killed"


@given("a worker's command that starts a child which ignores signals")
def stubborn_worker(context: Context) -> None:
    machine_faults.start_workers_with_deaf_child(context.world)


@given("a worker's command that never calls its hive back")
def silent_worker(context: Context) -> None:
    machine_faults.start_workers_without_callback(context.world)


@given("a worker's command that obeys nothing but SIGKILL")
def deaf_worker(context: Context) -> None:
    machine_faults.start_workers_that_are_deaf(context.world)


@then("the worker's child runs, in the worker's process group")
def child_runs(context: Context) -> None:
    context.before["child"] = machine_faults.child_of_worker(
        context.world, context.before["worker"]
    )


@then(
    'the worker\'s command line names the model {model}, the backend "{backend}", '
    'the device "{device}" and its port'
)
def command_line(context: Context, model: str, backend: str, device: str) -> None:
    given = commands.options(context.before["worker"].cmdline())
    assert f"file:{given['model']}" == context.world.expand(model), given
    assert given["backend"] == backend, given
    assert given["device"] == device, given
    assert context.worker["url"].endswith(f":{given['port']}"), given


@when("a worker for {model} is started by hand, with a stranger as its callback")
def by_hand(context: Context, model: str) -> None:
    _by_hand(context, model, answers=True)


@when("a worker for {model} is started by hand, with a stranger that answers no callback")
def by_hand_unanswered(context: Context, model: str) -> None:
    _by_hand(context, model, answers=False)


def _by_hand(context: Context, model: str, answers: bool) -> None:
    world = context.world
    context.listener = CallbackListener(world.network.address(7), 9200, world.key, answers)
    world.add_cleanup(context.listener.close)
    context.asked = {
        "worker_id": "worker-0b9e7c7e-3a53-4bd5-9f4f-3b1d5b6a2c11",
        "url": f"http://{world.network.address(8)}:8003",
        "model_ref": "hf:lab/not-the-path/of-the.gguf",
        "backend": "cpu",
        "device": 0,
    }
    given = {
        "model": context.model_files.named(model.strip("<>")),
        "model-ref": context.asked["model_ref"],
        "worker-id": context.asked["worker_id"],
        "backend": "cpu",
        "device": 0,
        "host": world.network.address(8),
        "port": 8003,
        "api-key-file": world.key_file,
        "callback-url": f"{context.listener.url}/v1/workers/ready",
    }
    flags = " ".join(f"--{name} {value}" for name, value in given.items())
    context.worker_run = world.start_daemon(f"llm-worker-rbee {flags} --insecure")


@then("the stranger receives worker_id, url, model_ref, backend and device, and nothing else")
def five_fields(context: Context) -> None:
    body, _ = context.listener.first(within=10)
    assert body == context.asked, body


@then("at that moment the worker answered at its url that it is loading")
def loading_then(context: Context) -> None:
    _, ready = context.listener.first(within=10)
    assert (ready["ready"], ready["state"]) == (False, "loading"), ready


@then(
    "the stranger receives the same callback {count:d} times, "
    "after pauses of {first:g} and {second:g} s"
)
def sent_again(context: Context, count: int, first: float, second: float) -> None:
    """A pause begins when the attempt before it has failed, so it can only be longer."""
    listener = context.listener
    wait_until("the callbacks", lambda: listener.received, 20, lambda came: len(came) >= count)
    assert listener.received[:count] == [context.asked] * count, listener.received
    gaps = [later - earlier for earlier, later in pairwise(listener.moments[:count])]
    for gap, pause in zip(gaps, (first, second), strict=True):
        assert pause - 0.02 <= gap < pause + _SLOW_MACHINE_S, gaps


@then("the worker is ready before the stranger receives it {count:d} times")
def ready_meanwhile(context: Context, count: int) -> None:
    url = f"{context.asked['url']}/v1/ready"
    wait_until("it to be ready", lambda: context.world.call("GET", url).json["ready"], 60)
    assert len(context.listener.received) < count, context.listener.moments


@then("it is still the same process")
def same_process(context: Context) -> None:
    assert cluster.process_at(context.world, context.worker["url"]) == context.before["worker"]


@when("the worker is asked to infer {count:d} tokens")
def infer(context: Context, count: int) -> None:
    body = {"prompt": "write a short story", "max_tokens": count, "temperature": 0, "stream": True}
    url = f"{context.worker['url']}/v1/inference"
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for_end(within=30)


@given("the worker itself is asked to infer without an end")
@when("the worker is asked to infer without an end")
def infer_on(context: Context) -> None:
    body = {"prompt": "write a long story", "max_tokens": 8000, "ignore_eos": True}
    context.stream = context.world.stream("POST", f"{context.worker['url']}/v1/inference", body)
    context.stream.wait_for("token", within=20)


@then("that answer breaks off within {seconds:d} s")
def breaks_off(context: Context, seconds: int) -> None:
    context.stream.wait_for_close(within=seconds)
    last = context.stream.events[-1].at - context.moment
    assert last < seconds, f"{last:.2f} s after the kill"


@then("{count:d} tokens come from it, then done and [DONE]")
def tokens_then_done(context: Context, count: int) -> None:
    names = [event.name for event in context.stream.events]
    wanted = ["accepted", *["token"] * count, "done", "[DONE]"]
    assert [name for name in names if name in wanted] == wanted, names
