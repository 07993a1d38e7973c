"""A worker itself: its command line, its callback, its loading, its answers."""

import json

from behave import then, when
from behave.runner import Context

from harness.watching import keeper_output
from harness.watching.ready_callback import CallbackListener
from harness.world import arguments, cluster
from harness.world.processes import cpu_used_in
from harness.world.waiting import wait_until


@then(
    'the worker\'s command line names the model {model}, the backend "{backend}", '
    'the device "{device}" and its port'
)
def command_line(context: Context, model: str, backend: str, device: str) -> None:
    given = arguments.options(context.before["worker"].cmdline())
    assert f"file:{given['model']}" == context.world.expand(model), given
    assert given["backend"] == backend, given
    assert given["device"] == device, given
    assert context.worker["url"].endswith(f":{given['port']}"), given


@when("a worker for {model} is started by hand, with a stranger as its callback")
def by_hand(context: Context, model: str) -> None:
    world = context.world
    context.stranger = CallbackListener(world.network.address(7), 9200, world.key)
    world.closes(context.stranger.close)
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
        f" --insecure --callback-url {context.stranger.url}/v1/workers/ready"
    )


@then("the stranger receives worker_id, url, model_ref, backend and device, and nothing else")
def five_fields(context: Context) -> None:
    body, _ = context.stranger.first(within=10)
    assert set(body) == {"worker_id", "url", "model_ref", "backend", "device"}, body
    assert {name: body[name] for name in context.asked} == context.asked, body
    assert context.model_path in body["model_ref"], body


@then("at that moment the worker answered at its url that it is loading")
def loading_then(context: Context) -> None:
    _, ready = context.stranger.first(within=10)
    assert (ready["ready"], ready["state"]) == (False, "loading"), ready


@when("the worker is asked whether it is ready")
def ask_ready(context: Context) -> None:
    context.reply = context.world.call("GET", f"{context.worker['url']}/v1/ready")


@then("the worker says that it is still loading")
def still_loading(context: Context) -> None:
    ask_ready(context)
    says_loading(context)


@then("it says that it is loading, and where the progress is told")
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
    told = stream.wait_for("loading", within=10, good=lambda data: data["stage"] != "ready").data
    assert told["stage"] == "loading_to_vram", told
    assert 0 <= told["layers_loaded"] <= told["layers_total"], told


@when("somebody follows its loading progress")
def follow(context: Context) -> None:
    url = f"{context.worker['url']}/v1/loading/progress"
    context.progress = context.world.stream("GET", url)
    context.progress.wait_for_end(within=60)


@then("layers are told one after the other up to all of them")
def layers_rise(context: Context) -> None:
    told = [event.data for event in context.progress.named("loading")]
    layers = [data["layers_loaded"] for data in told if data["stage"] == "loading_to_vram"]
    totals = {data["layers_total"] for data in told if data["stage"] == "loading_to_vram"}
    assert layers == sorted(layers), layers
    assert len(set(layers)) >= 5, layers
    assert totals == {layers[-1]}, (layers, totals)
    assert all(data["vram_mb"] >= 0 for data in told if "vram_mb" in data), told


@then("the stream ends with ready and [DONE]")
def ready_and_done(context: Context) -> None:
    last = context.progress.events[-2:]
    assert [event.name for event in last] == ["loading", "[DONE]"], last
    assert last[0].data == {"stage": "ready"}, last


@then("the worker was sent one DELETE, of that request, and answered {status:d}")
def one_delete(context: Context, status: int) -> None:
    wait_until("a DELETE", lambda: context.wire.asked_for("DELETE", "/v1/inference/"), 5)
    (asked,) = context.wire.asked_for("DELETE", "/v1/inference/")
    assert asked.status == status, asked
    (inference,) = context.wire.asked_for("POST", "/v1/inference")
    assert json.loads(inference.body)["request_id"] == asked.path.split("/")[-1], asked


@then("the worker computes no more")
def computes_no_more(context: Context) -> None:
    assert cpu_used_in(context.before["worker"], seconds=0.5) < 0.1


@when("the worker is stopped while some of its layers are loaded and others are not")
def stop_in_mid_load(context: Context) -> None:
    """As soon as its own progress says so; what it told last is what may be told of it."""
    world = context.world
    row = wait_until("a worker that loads", lambda: cluster.workers_or_none(world), 30)[0]
    url = f"{row['url']}/v1/loading/progress"
    context.progress = world.stream("GET", url)
    process = cluster.process_at(world, row["url"])
    context.progress.wait_for("loading", 30, lambda data: data.get("layers_loaded", 0) > 0)
    process.suspend()
    context.before = {"worker": process, "hive": cluster.process_at(world, world.hive_url)}
    last = context.progress.named("loading")[-1].data
    assert 0 < last["layers_loaded"] < last["layers_total"], f"stopped too late: {last}"


@then("it says at how many of how many layers, as the worker told them last")
def layers_told(context: Context) -> None:
    last = context.progress.named("loading")[-1].data
    told = f"{last['layers_loaded']} of {last['layers_total']} layers"
    assert told in context.run.stderr.text, (told, context.run.stderr.text)


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


@when("somebody else keeps the worker's slot busy")
def keep_busy(context: Context) -> None:
    """Not by way of the queen, who can't know of it."""
    url = f"{context.worker['url']}/v1/inference"
    body = {"prompt": "Once upon a time", "max_tokens": 4000, "ignore_eos": True}
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for("token", within=20)
    context.asked_by_then = len(context.wire.asked_for("POST", "/v1/inference"))
