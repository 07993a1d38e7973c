"""`rbee-hive status` and `models`, and hives that belong to somebody else."""

import json
import signal

import psutil
from behave import given, then, when
from behave.runner import Context

from harness.watching import held_hive
from harness.world import cluster


@given("a hive that is told the token {token} on its lifeline")
def hive_with_token(context: Context, token: str) -> None:
    context.hive_run = held_hive.start_hive(context.world, hf_token=token)


@given("a hive that belongs to another machine's queen")
def foreign_hive(context: Context) -> None:
    """With her key: this machine's is another one."""
    context.hive_run = held_hive.start_hive(context.world)
    context.world.key_file.write_text("another-key-than-hers\n")


@then("standard output names the hive's url, its version and its worker")
def status_told(context: Context) -> None:
    world, text = context.world, context.run.stdout.text
    worker = cluster.only_worker(world)
    first, *others = text.splitlines()
    for word in (context.hive_run.ready()["version"], world.hive_url, str(context.hive_run.pid)):
        assert word in first, text
    (row,) = [line for line in others if worker["id"] in line]
    assert worker["model_ref"] in row, row
    assert worker["state"] in row, row


@then("the JSON says {state}, with that url, that version and that worker")
def status_json(context: Context, state: str) -> None:
    found = json.loads(context.run.stdout.text)
    wanted = {
        "state": state,
        "url": context.world.hive_url,
        "version": context.hive_run.ready()["version"],
    }
    assert {name: found[name] for name in wanted} == wanted, found
    assert found["workers"] == cluster.workers(context.world), found


@then('standard output says nothing of "{words}"')
def standard_output_without(context: Context, words: str) -> None:
    assert words not in context.run.stdout.text, context.run.stdout.text


@when("the hive is killed, and another process has got its pid")
def pid_reused(context: Context) -> None:
    """As after a restart of the machine: the file names a pid that is somebody else's by now."""
    context.hive_run.send(signal.SIGKILL)
    context.hive_run.wait(within=5)
    path = context.world.home / ".rbee" / "hive-rbee.pid"
    content = json.loads(path.read_text())
    assert content["pid"] == context.hive_run.pid, content
    content["pid"] = psutil.Process().ppid()
    path.write_text(json.dumps(content))


@then("that is what it printed before")
def as_before(context: Context) -> None:
    assert context.run.stdout.text == context.run_before.stdout.text, (
        context.run.stdout.text,
        context.run_before.stdout.text,
    )


@then("{count:d} model is in the JSON, {reference}, {state}")
def one_model(context: Context, count: int, reference: str, state: str) -> None:
    found = [(row["reference"], row["state"]) for row in json.loads(context.run.stdout.text)]
    assert found == [(reference, state)] * count, found


@given("that hive stands still")
def stands_still(context: Context) -> None:
    context.hive_run.send(signal.SIGSTOP)


@then("the hive goes on")
def goes_on(context: Context) -> None:
    context.hive_run.send(signal.SIGCONT)


@when("a hive is started")
def hive_started(context: Context) -> None:
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@then("it was the hive that fetched {reference}")
def fetched_by_hive(context: Context, reference: str) -> None:
    assert f"fetching {reference}" in context.hive_run.stderr.text, context.hive_run.stderr.text
