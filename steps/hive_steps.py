"""A hive: its workers, its events, its rules."""

import json
import signal
from urllib.parse import urlsplit

from behave import then, when
from behave.runner import Context

from harness.model_files.shelf import BUNDLED
from harness.world import cluster
from harness.world.waiting import wait_until


@when("the hive is asked for its workers")
def ask_for_workers(context: Context) -> None:
    context.reply = context.world.call("GET", f"{context.world.hive_url}/v1/workers/list")


@when("the hive is asked for its health")
def ask_for_health(context: Context) -> None:
    context.reply = context.world.call("GET", f"{context.world.hive_url}/v1/health")


@then("the reply is exactly {body}")
def the_reply_is(context: Context, body: str) -> None:
    assert context.reply.status == 200, context.reply
    assert context.reply.json == json.loads(body), context.reply.json


@then('the reply is 200 with status "{status}", api_version "{api}" and the version of `{line}`')
def health_is(context: Context, status: str, api: str, line: str) -> None:
    asked = context.world.start(line)
    assert asked.wait(within=5) == 0, asked.stderr.text
    version = asked.stdout.text.split()[-1]
    assert context.reply.status == 200, context.reply
    wanted = {"status": status, "version": version, "api_version": api}
    assert context.reply.json == wanted, context.reply.json
    assert context.hive_run.ready()["version"] == version


@then("the process that answered is the hive that was started")
def the_hive_answered(context: Context) -> None:
    answering = cluster.process_at(context.world, context.world.hive_url)
    assert answering.pid == context.hive_run.pid


@when("the hive is asked to spawn a worker for {model} on {backend:w} {device:d}")
def spawn(context: Context, model: str, backend: str, device: int) -> None:
    _spawn(context, {"model": model, "backend": backend, "device": device})


@when(
    "the hive is asked to spawn a worker for {model} on {backend:w} {device:d} with {slots:d} slot"
)
def spawn_slots(context: Context, model: str, backend: str, device: int, slots: int) -> None:
    _spawn(context, {"model": model, "backend": backend, "device": device, "slots": slots})


def _spawn(context: Context, body: dict[str, object]) -> None:
    context.asked = {**body, "model": context.world.expand(str(body["model"]))}
    url = f"{context.world.hive_url}/v1/workers/spawn"
    context.reply = context.world.call("POST", url, context.asked)
    assert context.reply.status < 300, (context.reply.status, context.reply.body)
    context.worker = {"id": context.reply.json["worker_id"], "url": context.reply.json["url"]}
    process = cluster.process_at(context.world, context.worker["url"])
    context.before = {"worker": process}


@then('the hive answers with a worker\'s id, its url and the state "{state}"')
def spawn_answered(context: Context, state: str) -> None:
    body = context.reply.json
    assert set(body) == {"worker_id", "url", "state"}, body
    assert body["worker_id"].startswith("worker-"), body
    assert body["state"] == state, body


@then("the hive lists it as {state:w}, with {total:d} slot in all and {free:d} free")
def the_row(context: Context, state: str, total: int, free: int) -> None:
    row = cluster.only_worker(context.world)
    wanted = {
        "id": context.worker["id"],
        "url": context.worker["url"],
        "model_ref": context.asked["model"],
        "backend": context.asked["backend"],
        "device": context.asked["device"],
        "state": state,
        "slots_total": total,
        "slots_available": free,
    }
    assert {name: row.get(name) for name in wanted} == wanted, row
    assert set(row) == {*wanted, "last_activity", "last_health"}, row


@when("the hive is restarted")
def restart(context: Context) -> None:
    context.hive_run.send(signal.SIGTERM)
    assert context.hive_run.wait(within=15) == 0, context.hive_run.stderr.text
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@when("the ready callback of that worker comes again")
def callback_again(context: Context) -> None:
    row = cluster.only_worker(context.world)
    context.callback = {
        "worker_id": row["id"],
        "url": row["url"],
        "model_ref": BUNDLED,
        "backend": "cpu",
        "device": 0,
    }
    _call_back(context, context.callback)


@when("the ready callback of a worker that nobody started comes")
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


@then("the hive lists that worker with what its callback said")
def as_called_back(context: Context) -> None:
    row = cluster.only_worker(context.world)
    said = {"id" if name == "worker_id" else name: v for name, v in context.callback.items()}
    assert {name: row[name] for name in said} == said, row


@then("the callback is refused with {status:d}")
def refused(context: Context, status: int) -> None:
    assert context.reply.status == status, context.reply
    assert len(cluster.workers(context.world)) == 1


@then("the hive told that the worker went busy, then idle")
def busy_then_idle(context: Context) -> None:
    wait_until(
        "the worker's states as the hive told them",
        lambda: [event.data["state"] for event in context.watched.named("worker")],
        5,
        lambda states: states[-1:] == ["idle"] and "busy" in states,
    )


@then("the hive told of no other worker and of no download")
def no_other_worker(context: Context) -> None:
    told = {event.data["id"] for event in context.watched.named("worker")}
    assert told == {context.worker["id"]}, told
    assert not context.watched.named("download")


@then("the hive told that the worker is gone, killed by signal {number:d}")
def told_gone(context: Context, number: int) -> None:
    gone = context.watched.wait_for("worker_gone", within=5).data
    assert gone["worker_id"] == context.worker["id"], gone
    assert gone["exit_code"] == -number, gone
    assert gone["reason"], gone


@then("what the hive told and what it logged hold the worker's last lines")
def crash_is_logged(context: Context) -> None:
    """The worker's own log says what it wrote last."""
    own = context.world.log_of(context.worker["id"]).splitlines()[-1]
    gone = context.watched.named("worker_gone")[0].data
    assert own, "the worker wrote nothing"
    assert own in gone["log_tail"], gone
    logged = context.world.log_of("rbee-hive")
    assert context.worker["id"] in logged, logged
    assert "signal 9" in logged, logged
    assert own in logged, logged


@then("the idle worker is told to go, and exits with {code:d}")
def idle_worker_goes(context: Context, code: int) -> None:
    gone = context.watched.wait_for("worker_gone", within=15).data
    assert gone["worker_id"] == context.worker["id"], gone
    assert gone["exit_code"] == code, gone


@then("the worker's last_health moves on, and its last_activity does not")
def health_moves(context: Context) -> None:
    first = cluster.only_worker(context.world)
    moved = wait_until(
        "last_health to move on",
        lambda: cluster.only_worker(context.world),
        3,
        lambda row: row["last_health"] != first["last_health"],
    )
    assert moved["last_activity"] == first["last_activity"], (first, moved)


@when("the hive lists a busy worker")
def a_busy_worker(context: Context) -> None:
    cluster.wait_for_state(context.world, "busy", within=30)


@when("the worker becomes {state:w}")
@then("the worker becomes {state:w}")
def becomes(context: Context, state: str) -> None:
    row = cluster.wait_for_state(context.world, state, within=30)
    assert row["id"] == context.worker["id"], (row, context.worker)


@then("all its slots are free")
def all_slots_free(context: Context) -> None:
    row = cluster.only_worker(context.world)
    assert row["slots_available"] == row["slots_total"] > 0, row


@then("the worker's port is bound by that process")
def port_bound(context: Context) -> None:
    process = cluster.process_at(context.world, context.worker["url"])
    assert process == context.before["worker"]
    assert process.ppid() == context.hive_run.pid
    assert (urlsplit(context.worker["url"]).port or 0) >= 8001, context.worker
