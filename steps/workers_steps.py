"""The workers of a hive, as the hive and the queen list them."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.model_files.bundled import BUNDLED
from harness.watching import keeper_output, machine, standalone_worker
from harness.world import cluster, processes
from harness.world.processes import ProcessExits, alive, cpu_used_in
from harness.world.waiting import wait_until

# What the hive is asked


@when("the hive is asked for its {what:w}")
def ask_hive_for(context: Context, what: str) -> None:
    path = {"workers": "/v1/workers/list", "health": "/v1/health"}[what]
    context.reply = context.world.call("GET", f"{context.world.hive_url}{path}")


@then("the reply is exactly {body}")
def the_reply_is(context: Context, body: str) -> None:
    assert context.reply.status == 200, context.reply
    assert context.reply.json == json.loads(body), context.reply.json


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
    context.reply = context.world.call("POST", url, context.asked, timeout=60)
    context.moment = processes.now()
    assert context.reply.status < 300, (context.reply.status, context.reply.body)
    context.worker = {"id": context.reply.json["worker_id"], "url": context.reply.json["url"]}
    process = cluster.process_at(context.world, context.worker["url"])
    context.before = {"worker": process}


@given("the hive has {count:d} worker")
@given("the hive has {count:d} workers")
def several_workers(context: Context, count: int) -> None:
    """All of them ready."""
    for _ in range(len(cluster.workers(context.world)), count):
        cluster.spawn(context.world, BUNDLED)
    context.workers = cluster.workers(context.world)
    assert len(context.workers) == count, context.workers


@when("the worker is told to shut down through its hive")
def shut_down_through_hive(context: Context) -> None:
    """It is not listed any more, nor told as loaded, however long it takes to end."""
    world = context.world
    url = f"{world.hive_url}/v1/workers/shutdown"
    body = {"worker_id": cluster.only_worker(world)["id"]}
    asked = processes.now()
    with ThreadPoolExecutor(1) as beside:
        ending = beside.submit(world.call, "POST", url, body, timeout=60)
        wait_until("no row", lambda: cluster.workers(world), 2, lambda rows: not rows)
        loaded = world.call("GET", f"{world.hive_url}/v1/workers/loaded").json
        reply = ending.result()
    context.took = processes.now() - asked
    assert reply.status < 300, (reply.status, reply.body)
    assert loaded == {"models": []}, loaded


@then("that took at least {least:d} s and at most {most:d} s")
def ending_took(context: Context, least: int, most: int) -> None:
    assert least <= context.took <= most, f"{context.took:.2f} s"


@when("the hive is restarted")
def restart(context: Context) -> None:
    context.hive_run.send(signal.SIGTERM)
    assert context.hive_run.wait(within=15) == 0, context.hive_run.stderr.text
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@when("the hive is asked for workers for {models}, and each for an answer")
def ask_each(context: Context, models: str) -> None:
    ask_each_on(context, "cpu", models)


@when("the hive is asked on {backend:w} for workers for {models}, and each for an answer")
def ask_each_on(context: Context, backend: str, models: str) -> None:
    context.models, context.answers = [], []
    for model in models.replace(" and ", ", ").split(", "):
        url = cluster.spawn(context.world, context.world.expand(model), backend)
        context.models.append(cluster.model_of(context.world, url))
        context.answers.append(cluster.infer(context.world, url, tokens=5))


@then("each answered with {tokens:d} tokens")
def each_answered(context: Context, tokens: int) -> None:
    for answer in context.answers:
        assert len(standalone_worker.pieces_of(answer)) == tokens, answer.events
        assert standalone_worker.done_of(answer)["total_tokens"] == tokens
        assert len(standalone_worker.text_of(answer).split()) > 1, standalone_worker.text_of(answer)


@then("each worker reports the quantization that its file was made with: {names}")
def named_as_made(context: Context, names: str) -> None:
    found = [model["quantization"] for model in context.models]
    assert found == names.split(", "), found


# What the hive and the queen list


@when("the hive lists a {state:w} worker")
def a_worker_listed(context: Context, state: str) -> None:
    """Exactly one; there may be no hive yet."""
    wait_until(
        f"a {state} worker",
        lambda: cluster.workers_or_none(context.world),
        30,
        lambda rows: [row["state"] for row in rows] == [state],
    )


@when("the worker becomes {state:w}")
@then("the worker becomes {state:w}")
def becomes(context: Context, state: str) -> None:
    row = cluster.wait_for_state(context.world, state, within=30)
    assert row["id"] == context.worker["id"], (row, context.worker)


@when("the {program:w} lists no worker after {seconds:d} s")
@then("the {program:w} lists no worker after {seconds:d} s")
def lists_none(context: Context, program: str, seconds: int) -> None:
    listed = {"queen": cluster.queens_workers, "hive": cluster.workers}[program]
    wait_until(
        "no worker to be listed",
        lambda: listed(context.world),
        seconds,
        lambda rows: not rows,
    )


@then("the hive is still the same process and lists no worker")
def hive_without_worker(context: Context) -> None:
    assert cluster.process_at(context.world, context.world.hive_url) == context.before["hive"]
    wait_until(
        "the hive to list no worker",
        lambda: cluster.workers(context.world),
        5,
        lambda rows: not rows,
    )
    assert not alive(context.before["worker"])


@then("the queen lists that worker as {state:w}")
def queen_lists(context: Context, state: str) -> None:
    row = wait_until(
        f"the queen to list a worker as {state}",
        lambda: cluster.queens_workers(context.world),
        5,
        lambda rows: [row["state"] for row in rows] == [state],
    )[0]
    assert row["worker_id"] == context.worker["id"], (row, context.worker)
    assert urlsplit(row["url"]).port == urlsplit(context.worker["url"]).port, row
    assert row["node"] == "localhost", row


@then("all its slots are free")
def all_slots_free(context: Context) -> None:
    row = cluster.only_worker(context.world)
    assert row["slots_available"] == row["slots_total"] > 0, row


@then("the worker's last_health moves on, and its last_activity does not")
def health_moves(context: Context) -> None:
    """At each health check. A late answer brings the next one nearer, by an interval at most: so
    the first and the last are compared. The last activity stays the end of its answer, as the
    client saw it."""
    interval = float(context.world.settings["hive"]["health_interval_s"])
    moments: list[float] = []
    while len(moments) < 4:
        row = wait_until(
            "last_health to move on",
            lambda: cluster.only_worker(context.world),
            2 * interval + 2,
            lambda row: row["last_health"] not in (None, *moments),
        )
        moments.append(row["last_health"])
        assert abs(row["last_activity"] - context.answered_at) < 1, (row, context.answered_at)
    assert 0 <= cluster.now_unix() - moments[-1] < interval + 1, moments
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert sum(gaps) > (len(gaps) - 1) * interval, gaps
    assert min(gaps) < interval + 0.4, gaps


@then("another worker of the same hive answered")
def another_worker(context: Context) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    row = cluster.only_worker(context.world)
    assert started["worker_id"] == row["id"] != context.worker["id"], (started, context.worker)
    process = cluster.process_at(context.world, row["url"])
    assert process != context.before["worker"], process
    assert process.ppid() == context.before["hive"].pid, (process, context.before)


# How a worker loads and ends


@then("the hive reported that the worker is gone, with exit code {code:d}: {reason}")
def worker_gone(context: Context, code: int, reason: str) -> None:
    gone = context.watched.wait_for("worker_gone", within=5).data
    assert gone["worker_id"] == context.worker["id"], gone
    assert (gone["exit_code"], gone["reason"]) == (code, reason), gone


@then("the hive reported and logged the worker's last lines")
def crash_is_logged(context: Context) -> None:
    """The worker's own log has its last line."""
    own = context.world.log_of(context.worker["id"]).splitlines()[-1]
    gone = context.watched.named("worker_gone")[0].data
    assert own, "the worker wrote nothing"
    assert own in gone["log_tail"], gone
    logged = context.world.log_of("rbee-hive")
    assert context.worker["id"] in logged, logged
    assert "signal 9" in logged, logged
    assert own in logged, logged


@then("the idle worker was told to stop, and exited with {code:d}")
def idle_worker_goes(context: Context, code: int) -> None:
    gone = context.watched.wait_for("worker_gone", within=15).data
    assert gone["worker_id"] == context.worker["id"], gone
    assert gone["exit_code"] == code, gone
    assert "idle" in gone["reason"], gone


@when("the worker's ending is watched")
def watch_worker(context: Context) -> None:
    context.endings = ProcessExits({"worker": context.before["worker"].pid})


@then("the kernel says that it exited with {code:d}")
def kernel_says(context: Context, code: int) -> None:
    """If the kernel is too old to report exit codes, the hive's report has to do."""
    (ending,) = context.endings.all(within=5)
    assert ending.exit_code in (code, None), ending


@then("the worker was sent one DELETE, for that request, and answered {status:d}")
def one_delete(context: Context, status: int) -> None:
    wait_until("a DELETE", lambda: context.proxy.requests_for("DELETE", "/v1/inference/"), 5)
    (asked,) = context.proxy.requests_for("DELETE", "/v1/inference/")
    assert asked.status == status, asked
    (inference,) = context.proxy.requests_for("POST", "/v1/inference")
    assert json.loads(inference.body)["request_id"] == asked.path.split("/")[-1], asked


@then("the worker stops computing")
def computes_no_more(context: Context) -> None:
    assert cpu_used_in(context.before["worker"], seconds=0.5) < 0.1


# The preflight


@then("the preflight reports that {model} needs 1.2 times its size, and what is free")
def needs_a_fifth_more(context: Context, model: str) -> None:
    reported = keeper_output.memory_needs(context.run.stderr.text)
    size = _size_mb(context, model)
    assert (reported["size"], reported["required"]) == (round(size), round(1.2 * size)), (
        reported,
        size,
    )
    _free_is_true(reported)


@then("the preflight reports that {model} needs its size and that of its cache, and what is free")
def needs_its_cache(context: Context, model: str) -> None:
    """30 layers, 3 heads of 64 numbers for keys and for values, two bytes each."""
    reported = keeper_output.memory_needs(context.run.stderr.text)
    cache = 8192 * 30 * 3 * 64 * 2 * 2 / 1_000_000
    size = _size_mb(context, model)
    wanted = round(size), round(cache), round(size + cache)
    assert (reported["weights"], reported["cache"], reported["required"]) == wanted, (
        reported,
        wanted,
    )
    _free_is_true(reported)


def _size_mb(context: Context, model: str) -> float:
    path = Path(context.world.expand(model).removeprefix("file:"))
    return path.stat().st_size / 1_000_000


def _free_is_true(reported: dict[str, int]) -> None:
    machine.assert_free(reported["free"] * 1_000_000)


@then("the hive lists workers with {contexts} tokens of context")
def workers_contexts(context: Context, contexts: str) -> None:
    """As each of them says itself."""
    rows = cluster.workers(context.world)
    listed = sorted(row["context"] for row in rows)
    assert listed == [int(each) for each in contexts.replace(" and", ",").split(", ")], rows
    own = [cluster.model_of(context.world, row["url"])["context"] for row in rows]
    assert sorted(own) == listed, (own, rows)


@then("the queen lists no worker")
def queen_lists_none(context: Context) -> None:
    """At once: whoever waits here would not see that the command came back too early."""
    rows = cluster.queens_workers(context.world)
    assert not rows, rows


@then("its only row is the worker of {node:w}, {state:w}, with {free} slots free, and its address")
def only_row(context: Context, node: str, state: str, free: str) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    head, known = rows.pop("WORKER"), context.workers[node]
    assert head == ["MODEL", "STATE", "BACKEND", "SLOTS FREE", "URL"], head
    device = f"{known['backend']}:{known['device']}"
    wanted = [known["model_ref"], state, device, free, known["url"]]
    assert rows == {known["id"]: wanted}, rows
