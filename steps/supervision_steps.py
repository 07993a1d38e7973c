"""How a hive looks after one worker: its health, its idle time, its death, its process group."""

from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.breaking import ignored_signals
from harness.watching import keeper_output
from harness.world import cluster, memory, settings, signals
from harness.world.process_exits import Endings
from harness.world.processes import alive
from harness.world.waiting import wait_until

_TOLD = "told to end: POST /v1/admin/shutdown"


@when("the {role} goes on")
def goes_on(context: Context, role: str) -> None:
    context.before[role].resume()


@then("the hive lists it as {state:w} within {seconds:d} s")
def listed_within(context: Context, state: str, seconds: int) -> None:
    row = cluster.wait_for_state(context.world, state, within=seconds)
    assert row["id"] == context.worker["id"], (row, context.worker)


@then("it is told to go not before {count:d} more health checks")
def told_to_go(context: Context, count: int) -> None:
    """Counted from the moment at which the hive told of the first miss."""
    interval = float(context.world.settings["hive"]["health_interval_s"])
    told = signals.wait_until_told_to_end(context.before["worker"], within=20)
    (missed,) = (e for e in context.watched.named("worker") if e.data["state"] == "unhealthy")
    assert told - missed.at >= count * interval - 0.1, (told, missed)


@then("the hive told that the worker is gone, and that it did not answer its health checks")
def told_unhealthy(context: Context) -> None:
    gone = context.watched.wait_for("worker_gone", within=10).data
    assert gone["worker_id"] == context.worker["id"], gone
    assert "health" in gone["reason"], gone


@then("another worker of the same hive answered")
def another_worker(context: Context) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    row = cluster.only_worker(context.world)
    assert started["worker_id"] == row["id"] != context.worker["id"], (started, context.worker)
    process = cluster.process_at(context.world, row["url"])
    assert process != context.before["worker"], process
    assert process.ppid() == context.before["hive"].pid, (process, context.before)


@then("it listens on the port of the one before")
def same_port(context: Context) -> None:
    now = cluster.only_worker(context.world)
    assert urlsplit(now["url"]).port == urlsplit(context.worker["url"]).port, (now, context.worker)


@when("the worker is killed while the moment is noted")
def killed_now(context: Context) -> None:
    context.moment = signals.kill(context.before["worker"])


@then("the hive told within {seconds:d} s that the worker is gone")
def told_soon(context: Context, seconds: int) -> None:
    gone = context.watched.wait_for("worker_gone", within=20)
    took = gone.at - context.moment
    context.world.evidence.note(f"the hive told after {took:.3f} s")
    assert gone.data["worker_id"] == context.worker["id"], gone
    assert took < seconds, f"{took:.2f} s after it was killed"


@given("a worker's command that starts a child which ignores signals")
def stubborn_worker(context: Context) -> None:
    ignored_signals.install(context.world)


@then("the worker's child runs, in the worker's process group")
def child_runs(context: Context) -> None:
    context.before["child"] = ignored_signals.child_of(context.world, context.before["worker"])


@when("the worker is told to shut down through its hive")
def shut_down_through_hive(context: Context) -> None:
    url = f"{context.world.hive_url}/v1/workers/shutdown"
    body = {"worker_id": context.worker["id"]}
    reply = context.world.call("POST", url, body, timeout=30)
    assert reply.status < 300, (reply.status, reply.body)


@then("the worker is gone after {seconds:d} s")
def worker_gone_after(context: Context, seconds: int) -> None:
    worker = context.before["worker"]
    wait_until("the worker to be gone", lambda: not alive(worker), seconds)


@then("it shows {section:w}.{key:w} as {value}")
def shows_setting(context: Context, section: str, key: str, value: str) -> None:
    found = settings.read(context.run.stdout.text)[section][key]
    assert found == settings.value_of(value), found


@when("somebody notes how much memory they hold")
@given("somebody notes how much memory they hold")
def note_memory(context: Context) -> None:
    context.memory_mb = memory.held_mb(context.world.processes())


@then("the memory that they hold has grown by at least {megabytes:d} MB")
def memory_grew(context: Context, megabytes: int) -> None:
    grown = memory.held_mb(context.world.processes()) - context.memory_mb
    assert grown >= megabytes, f"{grown:.0f} MB more than the {context.memory_mb:.0f} MB of before"


@then("the memory that they hold is as before, but for {megabytes:d} MB")
def memory_is_back(context: Context, megabytes: int) -> None:
    held = memory.held_mb(context.world.processes())
    context.world.evidence.note(f"{held:.1f} MB held, {context.memory_mb:.1f} MB before")
    assert abs(held - context.memory_mb) <= megabytes, (held, context.memory_mb)


@when("the worker's ending is watched")
def watch_worker(context: Context) -> None:
    context.endings = Endings({"worker": context.before["worker"].pid})


@then("the kernel says that it exited with {code:d}")
def kernel_says(context: Context, code: int) -> None:
    """Where the kernel is too old to tell, the hive's word has to do."""
    (ending,) = context.endings.all(within=5)
    assert ending.exit_code in (code, None), ending


@then("it was idle for at least {seconds:d} s, and not much longer")
def idle_for(context: Context, seconds: int) -> None:
    """From the end of its answer, as the person saw it, to the hive's word of its end."""
    answered, _ = context.run.stdout.pieces[-1]
    took = context.watched.named("worker_gone")[0].at - answered
    assert seconds - 0.2 <= took <= seconds + 3, f"{took:.2f} s"


@then("its log says that it was told to end by POST /v1/admin/shutdown")
def log_says(context: Context) -> None:
    assert _TOLD in context.world.log_of(context.worker["id"])


@then("the hive answers that it is alive")
def hive_alive(context: Context) -> None:
    reply = context.world.call("GET", f"{context.world.hive_url}/v1/health")
    assert (reply.status, reply.json["status"]) == (200, "alive"), reply


@then("the answer took longer than {seconds:d} s")
def took_longer(context: Context, seconds: int) -> None:
    done = keeper_output.data_of(context.run.stdout.text, "done")
    assert done["duration_ms"] > seconds * 1000, done
