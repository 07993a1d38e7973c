"""A worker is started, loads, is checked, crashes and ends."""

from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.breaking import machine_faults
from harness.model_files.bundled import BUNDLED
from harness.watching import catalog, keeper_output
from harness.watching.standalone_worker import CallbackListener
from harness.world import cluster, commands, processes


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
    }
    assert {name: row.get(name) for name in wanted} == wanted, row
    assert set(row) == {*wanted, "last_activity", "last_health"}, row


@when("the ready callback of that worker is sent again")
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


@then("the hive lists that worker with what its callback said")
def as_called_back(context: Context) -> None:
    row = cluster.only_worker(context.world)
    words = {"id" if name == "worker_id" else name: v for name, v in context.callback.items()}
    assert {name: row[name] for name in words} == words, row


@then("the callback is refused with {status:d}")
def refused(context: Context, status: int) -> None:
    assert context.reply.status == status, context.reply
    assert len(cluster.workers(context.world)) == 1


@then("the worker's port is bound by that process")
def port_bound(context: Context) -> None:
    process = cluster.process_at(context.world, context.worker["url"])
    assert process == context.before["worker"]
    assert process.ppid() == context.hive_run.pid
    assert (urlsplit(context.worker["url"]).port or 0) >= 8001, context.worker


@then("the hive lists it as {state:w} within {seconds:d} s")
def listed_within(context: Context, state: str, seconds: int) -> None:
    row = cluster.wait_for_state(context.world, state, within=seconds)
    assert row["id"] == context.worker["id"], (row, context.worker)


@then("it is told to stop, not before {count:d} more health checks")
def told_to_stop(context: Context, count: int) -> None:
    """Counted from the moment at which the hive reported the first miss."""
    interval = float(context.world.settings["hive"]["health_interval_s"])
    reported = processes.wait_for_sigterm(context.before["worker"], within=20)
    (missed,) = (e for e in context.watched.named("worker") if e.data["state"] == "unhealthy")
    assert reported - missed.at >= count * interval - 0.1, (reported, missed)


@then("the hive reported that the worker is gone, and that it did not answer its health checks")
def gone_unhealthy(context: Context) -> None:
    gone = context.watched.wait_for("worker_gone", within=10).data
    assert gone["worker_id"] == context.worker["id"], gone
    assert "health" in gone["reason"], gone


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
    world = context.world
    context.listener = CallbackListener(world.network.address(7), 9200, world.key)
    world.add_cleanup(context.listener.close)
    context.asked = {
        "worker_id": "worker-0b9e7c7e-3a53-4bd5-9f4f-3b1d5b6a2c11",
        "url": f"http://{world.network.address(8)}:8001",
        "backend": "cpu",
        "device": 0,
    }
    path = world.expand(model).removeprefix("file:")
    context.model_path = path
    context.worker_run = world.start_daemon(
        f"llm-worker-rbee --model {path} --worker-id {context.asked['worker_id']} --backend cpu"
        f" --device 0 --host {world.network.address(8)} --port 8001 --api-key-file {world.key_file}"
        f" --insecure --callback-url {context.listener.url}/v1/workers/ready"
    )


@then("the stranger receives worker_id, url, model_ref, backend and device, and nothing else")
def five_fields(context: Context) -> None:
    body, _ = context.listener.first(within=10)
    assert set(body) == {"worker_id", "url", "model_ref", "backend", "device"}, body
    assert {name: body[name] for name in context.asked} == context.asked, body
    assert context.model_path in body["model_ref"], body


@then("at that moment the worker answered at its url that it is loading")
def loading_then(context: Context) -> None:
    _, ready = context.listener.first(within=10)
    assert (ready["ready"], ready["state"]) == (False, "loading"), ready


@when("the worker is asked whether it is ready")
def ask_ready(context: Context) -> None:
    context.reply = context.world.call("GET", f"{context.worker['url']}/v1/ready")


@then("it says that it is loading, and where to follow its progress")
def says_loading(context: Context) -> None:
    wanted = {
        "ready": False,
        "state": "loading",
        "progress_url": f"{context.worker['url']}/v1/loading/progress",
    }
    assert context.reply.status == 200, context.reply
    assert context.reply.json == wanted, context.reply.json


@then("it says that it is ready, idle and has its model loaded")
def says_ready(context: Context) -> None:
    wanted = {"ready": True, "state": "idle", "model_loaded": True}
    assert context.reply.status == 200, context.reply
    assert context.reply.json == wanted, context.reply.json


@then("the stream there emits loading events")
def emits(context: Context) -> None:
    stream = context.world.stream("GET", context.reply.json["progress_url"])
    assert stream.refused is None, stream.refused
    reported = stream.wait_for(
        "loading", within=10, good=lambda data: data["stage"] != "ready"
    ).data
    assert reported["stage"] == "loading_to_vram", reported
    assert 0 <= reported["layers_loaded"] <= reported["layers_total"], reported


@when("somebody follows its loading progress")
def follow(context: Context) -> None:
    url = f"{context.worker['url']}/v1/loading/progress"
    context.progress = context.world.stream("GET", url)
    context.progress.wait_for_end(within=60)


@then("the layers are reported one after the other, up to all of them")
def layers_rise(context: Context) -> None:
    reported = [event.data for event in context.progress.named("loading")]
    layers = [data["layers_loaded"] for data in reported if data["stage"] == "loading_to_vram"]
    totals = {data["layers_total"] for data in reported if data["stage"] == "loading_to_vram"}
    assert layers == sorted(layers), layers
    assert len(set(layers)) >= 5, layers
    assert totals == {layers[-1]}, (layers, totals)
    assert all(data["vram_mb"] >= 0 for data in reported if "vram_mb" in data), reported


@then("the stream ends with ready and [DONE]")
def ready_and_done(context: Context) -> None:
    last = context.progress.events[-2:]
    assert [event.name for event in last] == ["loading", "[DONE]"], last
    assert last[0].data == {"stage": "ready"}, last


@then("it says how many of how many layers are loaded, as the worker last reported")
def layers_reported(context: Context) -> None:
    last = context.progress.named("loading")[-1].data
    reported = f"{last['layers_loaded']} of {last['layers_total']} layers"
    assert reported in context.run.stderr.text, (reported, context.run.stderr.text)


@then('the next step names the worker\'s log and the node "{node}"')
def next_step_names(context: Context, node: str) -> None:
    (step,) = keeper_output.next_steps(context.run.stderr.text)
    assert "worker" in step, step
    assert ".rbee/logs" in step, step
    assert node in step, step


@when("the worker is asked to infer {count:d} tokens")
def infer(context: Context, count: int) -> None:
    body = {"prompt": "write a short story", "max_tokens": count, "temperature": 0, "stream": True}
    url = f"{context.worker['url']}/v1/inference"
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for_end(within=30)


@then("{count:d} tokens come from it, then done and [DONE]")
def tokens_then_done(context: Context, count: int) -> None:
    names = [event.name for event in context.stream.events]
    wanted = ["accepted", *["token"] * count, "done", "[DONE]"]
    assert [name for name in names if name in wanted] == wanted, names
