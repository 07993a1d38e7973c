"""How far a worker has loaded, and what happens if it stops in between."""

import json
import signal

from behave import given, then, when
from behave.runner import Context

from harness.breaking import machine_faults
from harness.model_files.cache import LARGE_LAYERS
from harness.watching import keeper_output
from harness.world import cluster, processes
from harness.world.processes import alive
from harness.world.waiting import wait_until

# The share of a model's size that is in no layer.
_EMBEDDINGS = 0.25


@given("a model <unread>, as <large>, of which the system has read nothing")
def unread(context: Context) -> None:
    path = context.model_files.write_large(context.world.root / "unread.gguf")
    context.world.placeholders["unread"] = f"file:{path}"


@when("the worker is stopped while some of its layers are loaded and others are not")
def stop_in_mid_load(context: Context) -> None:
    """As soon as its own progress says so; its last event is what errors must report."""
    world = context.world
    row = wait_until("a worker that loads", lambda: cluster.workers_or_none(world), 30)[0]
    context.worker = row
    url = f"{row['url']}/v1/loading/progress"
    context.progress = world.stream("GET", url)
    process = cluster.process_at(world, row["url"])
    context.progress.wait_for("loading", 30, lambda data: data.get("layers_loaded", 0) > 0)
    machine_faults.suspend_between_reports(process, context.progress)
    context.before = {"worker": process, "hive": cluster.process_at(world, world.hive_url)}
    context.moment = context.progress.named("loading")[-1].at
    last = context.progress.named("loading")[-1].data
    assert 0 < last["layers_loaded"] < last["layers_total"], f"stopped too late: {last}"


@when("the worker hangs before its load has begun")
def hang_at_once(context: Context) -> None:
    """As soon as it listens: one that did not stand by has llama.cpp still to import."""
    context.before["worker"].suspend()


@then("the hive reports that it is gone, killed, since its load made no progress for {seconds:d} s")
def given_up(context: Context, seconds: int) -> None:
    """It may not even have had a log."""
    gone = context.watched.wait_for("worker_gone", within=15).data
    told = gone["worker_id"], gone["exit_code"], gone["stalled"]
    assert told == (context.worker["id"], -signal.SIGKILL, True), gone
    assert gone["reason"] == f"loading made no progress for {seconds} s", gone


@when("a client follows the start of a worker {{{body}}}")
def follow_start(context: Context, body: str) -> None:
    """Up to the row that the hive's stream tells."""
    url, fields = f"{context.world.hive_url}/v1/workers/spawn", f"{{{body}}}"
    context.stream = context.world.stream("POST", url, json.loads(context.world.expand(fields)))
    context.worker = context.stream.wait_for("worker", 30).data
    worker = cluster.process_at(context.world, context.worker["url"])
    context.before = {"worker": worker}


@when("it leaves while some of the layers are loaded")
def leave_in_mid_load(context: Context) -> None:
    context.stream.wait_for("loading", 30, lambda data: data.get("layers_loaded", 0) > 0)
    context.stream.close()
    last = context.stream.named("loading")[-1].data
    assert last["layers_loaded"] < last["layers_total"], f"it left too late: {last}"


@then("the worker is told to end within {seconds:d} s, and the hive lists it no longer")
def ended_with_its_reader(context: Context, seconds: int) -> None:
    """In mid-load, so not because it was idle or loaded nothing."""
    worker = context.before["worker"]
    wait_until("the worker to end", lambda: alive(worker), seconds, lambda runs: not runs)
    wait_until("no row", lambda: cluster.workers(context.world), 2, lambda rows: not rows)


@when("its load pauses {times:d} times for {seconds:g} s, with progress in between")
def pauses(context: Context, times: int, seconds: float) -> None:
    url = context.worker["url"]
    took = machine_faults.pause_load(context.world, url, times, seconds)
    assert took > float(context.world.settings["hive"]["loading_stall_s"]), took


@when("a worker for {model} is started by hand on {backend:w}, and its load is followed")
def by_hand_on(context: Context, model: str, backend: str) -> None:
    world = context.world
    file = world.expand(model).removeprefix("file:")
    place = f"--host {world.network.address(8)} --port 8001"
    run = world.start_daemon(f"llm-worker-rbee --model {file} --backend {backend} {place}")
    context.stream = world.stream("GET", f"{run.ready()['url']}/v1/loading/progress")


@then("the worker computes with {count:d} threads")
def computes_with(context: Context, count: int) -> None:
    """They stay after its first answer, beside the few that wait for something."""
    found = context.before["worker"].num_threads()
    assert count <= found < count + 8, found


@then("the worker has its file {how:w}")
def file_is_mapped(context: Context, how: str) -> None:
    mapped = processes.maps_file(context.before["worker"], context.world.root / "unread.gguf")
    assert mapped == {"mapped": True, "copied": False}[how]


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


@then("it says that it is ready, {state:w} and has its model loaded")
def says_ready(context: Context, state: str) -> None:
    wanted = {"ready": True, "state": state, "model_loaded": True}
    assert context.reply.status == 200, context.reply
    assert context.reply.json == wanted, context.reply.json


@then("its health is healthy, {how:w} a model")
def health_is(context: Context, how: str) -> None:
    reply = context.world.call("GET", f"{context.worker['url']}/v1/health")
    found = reply.json["status"], reply.json["model_loaded"]
    assert (reply.status, *found) == (200, "healthy", how == "with"), reply.json


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


@then("the layers of <large> are reported one after the other, with the MB that they take")
def layers_rise(context: Context) -> None:
    """What is in memory lies between two layers."""
    megabytes = context.model_files.large.stat().st_size / 1_000_000
    reported = [event.data for event in context.progress.named("loading")]
    steps = [data for data in reported if data["stage"] == "loading_to_vram"]
    layers = [data["layers_loaded"] for data in steps]
    assert layers == sorted(layers), layers
    assert len(set(layers)) >= 5, layers
    assert layers[-1] == LARGE_LAYERS, layers
    assert {data["layers_total"] for data in steps} == {LARGE_LAYERS}, steps
    assert abs(steps[-1]["vram_mb"] - megabytes) < 0.02 * megabytes, (steps[-1], megabytes)
    for data in steps:
        share = data["vram_mb"] / megabytes - data["layers_loaded"] / LARGE_LAYERS
        assert abs(share) < _EMBEDDINGS, (data, megabytes)


@then("the stream ends with ready and [DONE]")
def ready_and_done(context: Context) -> None:
    last = context.progress.events[-2:]
    assert [event.name for event in last] == ["loading", "[DONE]"], last
    assert last[0].data == {"stage": "ready"}, last


@then("the stream has nothing but ready and [DONE]")
def only_ready(context: Context) -> None:
    assert len(context.progress.events) == 2, context.progress.events
    ready_and_done(context)


@then("it is told to stop at least {seconds:d} s after its last progress, and not much later")
def given_up_after(context: Context, seconds: int) -> None:
    """It is looked at each second. The progress may have come to the hive before it came here."""
    told = processes.wait_for_sigterm(context.before["worker"], within=20)
    took = told - context.moment
    assert seconds - 0.3 <= took < seconds + 1.9, f"{took:.2f} s"


@then("it says how many of how many layers are loaded, as the worker last reported")
def layers_reported(context: Context) -> None:
    reported = keeper_output.last_layers(context.progress)
    assert any(each in context.run.stderr.text for each in reported), (
        reported,
        context.run.stderr.text,
    )


@then("the error and its details name the node {node:S}")
def error_names(context: Context, node: str) -> None:
    error = keeper_output.data_of(context.run.stdout.text, "error")["error"]
    assert error["details"]["node"] == node, error
    assert f"on {node} " in error["message"], error
    assert "localhost" not in error["message"], error


@then('the next step names the worker\'s log and the node "{node}"')
def next_step_names(context: Context, node: str) -> None:
    (step,) = keeper_output.next_steps(context.run.stderr.text)
    assert "worker" in step, step
    assert ".rbee/logs" in step, step
    assert node in step, step
