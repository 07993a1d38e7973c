"""Errors of what ends, hangs or is broken from outside."""

import json
import signal
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.breaking.limited_files import LimitedFiles
from harness.watching import failures, log_lines
from harness.watching.standalone_hive import NodeHive
from harness.world import cluster
from harness.world.calls import call
from harness.world.open_connection import OpenConnection
from harness.world.waiting import wait_until


@when("somebody sends a task {{{body}}}")
def send_task(context: Context, body: str) -> None:
    """And reads on: what becomes of it is looked at later."""
    fields = json.loads(context.world.expand(f"{{{body}}}"))
    url = f"{context.world.queen_url}/v2/tasks"
    context.stream = context.world.stream("POST", url, fields)
    assert context.stream.refused is None, context.stream.refused


@then("the details are those of the worker's last progress")
def details_of_progress(context: Context) -> None:
    last = context.progress.named("loading")[-1].data
    wanted = {
        "node": "localhost",
        "state": "loading",
        "layers_loaded": last["layers_loaded"],
        "layers_total": last["layers_total"],
    }
    assert context.answer.details == wanted, (context.answer, last)


@then("it has no details")
def no_details(context: Context) -> None:
    assert context.answer.details == {}, context.answer


@when("the {who:w} is told to shut down")
def told_to_shut_down(context: Context, who: str) -> None:
    base = {"queen": context.world.queen_url, "hive": context.world.hive_url}[who]
    reply = context.world.call("POST", f"{base}/v1/admin/shutdown")
    assert reply.status == 202, reply


@given("somebody has a connection to the hive")
def a_connection(context: Context) -> None:
    world = context.world
    context.connection = OpenConnection(world.hive_url, "/v1/health", world.key)
    world.closes(context.connection.close)


@when("that connection sees that the hive is {state:w}")
def sees_state(context: Context, state: str) -> None:
    wait_until(
        f"the hive to say that it is {state}",
        lambda: context.connection.ask("GET", "/v1/node").json["state"],
        5,
        lambda seen: seen == state,
    )


@when("that connection sends {method:w} {path:S} {{{body}}}")
def connection_sends(context: Context, method: str, path: str, body: str) -> None:
    context.reply = context.connection.ask(method, path, json.loads(f"{{{body}}}"))
    context.answer = failures.of_reply(context.reply)


@when("that connection sends GET {path:S}")
def connection_asks(context: Context, path: str) -> None:
    context.reply = context.connection.ask("GET", path)
    context.answer = failures.of_reply(context.reply)


@when("the queen is sent the addition of {name:S}, whose host key is trusted")
def add_over_http(context: Context, name: str) -> None:
    world = context.world
    body = {
        "node_name": name,
        "ssh_host": f"{name}.home.arpa",
        "accept_host_key": world.nodes[name].server.fingerprint,
    }
    url = f"{world.queen_url}/v2/registry/beehives/add"
    context.answer = failures.of_reply(world.call("POST", url, body, timeout=30))


@when("the hive may open no more files")
def no_more_files(context: Context) -> None:
    hive = cluster.process_at(context.world, context.world.hive_url)
    context.limited = LimitedFiles(hive)


@when("the hive may open files again")
def files_again(context: Context) -> None:
    context.limited.lift()


@then("that correlation id is the reply's, and the hive logged the cause under it")
def cause_is_logged(context: Context) -> None:
    mark = context.answer.details["correlation_id"]
    assert mark == context.reply.headers["X-Correlation-ID"], context.answer
    logged = context.hive_run.stderr.text
    assert f"[{mark}]" in logged, logged[-3000:]
    after = logged[logged.index(f"[{mark}]") :]
    assert "Traceback" in after and "Too many open files" in after, after


@then("the answer has no traceback")
def no_traceback(context: Context) -> None:
    assert b"Traceback" not in context.reply.body, context.reply.body
    assert b".py" not in context.reply.body, context.reply.body


@then("the holder that is told is the hive")
def holder_is_the_hive(context: Context) -> None:
    told = f"rbee-hive (pid {context.hive_run.pid})"
    assert told in context.run.stderr.text, context.run.stderr.text


@given("{name:S} has been added by its hive's address, with a copy of its key")
def added_with_a_copy(context: Context, name: str) -> None:
    world, hive = context.world, context.node_hive
    assert hive.node.name == name
    context.key_before = hive.key
    copy = world.home / "copied-key"
    copy.write_text(hive.key)
    run = world.start(
        f"rbee-keeper setup add-node --name {name} --hive-url {hive.node.hive_url}"
        f" --api-key-file {copy}"
    )
    assert run.wait(within=30) == 0, run.stderr.text


@given("the hive of {name:S} gets another key, and is started again")
def hive_with_another_key(context: Context, name: str) -> None:
    hive = context.node_hive
    hive.run.send(signal.SIGTERM)
    assert hive.run.wait(within=15) == 0, hive.run.stderr.text
    Path(hive.key_file).write_text("z" * 43)
    context.node_hive = NodeHive(context.world, context.world.nodes[name])


@when("the hive of {name:S} is asked with the key of before")
def asked_with_key_before(context: Context, name: str) -> None:
    url = f"{context.world.nodes[name].hive_url}/v1/node"
    context.answer = failures.of_reply(call("GET", url, key=context.key_before))


@then("the queen is the operator's")
def queen_is_operators(context: Context) -> None:
    queen = cluster.process_at(context.world, context.world.queen_url)
    assert queen.pid == context.queen_run.pid, queen
    assert log_lines.marks(context.terminal.screen), context.terminal.screen
