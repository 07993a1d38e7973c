"""What goes wrong, and the correlation id that leads to the logs."""

import hashlib
import json
import platform
import shutil

from behave import given, then, when
from behave.runner import Context

from harness.breaking.machine_faults import LimitedFiles
from harness.watching import keeper_output, logs, machine, replies
from harness.world import cluster
from harness.world.http_client import KeptConnection, call
from harness.world.waiting import wait_until

MB = 1_000_000


@then("the last line of standard error is its correlation id")
def ends_with_correlation_id(context: Context) -> None:
    context.correlation_id = logs.last_correlation_id(context.run.stderr.text)


@then("the last line of standard error is another correlation id")
def another_correlation_id(context: Context) -> None:
    assert logs.last_correlation_id(context.run.stderr.text) != context.correlation_id


@then("standard error names no correlation id")
def no_correlation_id(context: Context) -> None:
    assert not logs.correlation_ids(context.run.stderr.text), context.run.stderr.text


@then("the logs of {programs} have lines with that correlation id")
def logs_have(context: Context, programs: str) -> None:
    names = programs.replace(" and ", ", ").split(", ")
    context.logged = {
        name: logs.lines_with_id(context.world, name, context.correlation_id) for name in names
    }
    silent = [name for name, lines in context.logged.items() if not lines]
    assert not silent, f"no line with {context.correlation_id} of {silent}"


@then("the worker's log has what it loaded, with that correlation id")
def load_is_logged(context: Context) -> None:
    lines = context.logged["llm-worker-rbee"]
    assert any("is loaded" in line for line in lines), lines


@then('the debug trace has "{first}" and "{second}", each with its status and time')
def trace_has_requests(context: Context, first: str, second: str) -> None:
    lines = logs.debug_lines(context.run.stderr.text)
    missing = [each for each in (first, second) if not logs.has_request(lines, each)]
    assert not missing, (missing, context.run.stderr.text)


@then("the debug trace has lines of {one:S} and {other:S} with that correlation id")
def trace_has_log_lines(context: Context, one: str, other: str) -> None:
    text = context.run.stderr.text
    (correlation_id,) = logs.correlation_ids(text)
    for name in (one, other):
        found = [line for line in logs.debug_lines(text) if line.startswith(f"{name}: ")]
        assert any(f"[{correlation_id}]" in line for line in found), (name, text)


@then("the debug trace has the chain of exceptions")
def trace_has_exceptions(context: Context) -> None:
    lines = logs.debug_lines(context.run.stderr.text)
    assert "Traceback (most recent call last):" in lines, context.run.stderr.text
    assert any("ModelNotFound" in line for line in lines), lines


@then("the debug trace has no key")
def trace_has_no_key(context: Context) -> None:
    text = context.run.stderr.text
    assert context.world.key not in text, "the API key stands in the trail"
    assert "Authorization" not in text, text
    assert "Bearer" not in text, text


@then("there is no debug trace")
def no_trace(context: Context) -> None:
    text = context.run.stderr.text
    assert not logs.debug_lines(text), text
    assert "Traceback" not in text, text


@then("the debug trace shows when the first of {count:d} tokens came, and when the end")
def trace_shows_tokens(context: Context, count: int) -> None:
    lines = logs.debug_lines(context.run.stderr.text)
    first = [at for at, line in enumerate(lines) if line.endswith("event: the first token")]
    end = [at for at, line in enumerate(lines) if f"the stream's end after {count} tokens" in line]
    assert len(first) == len(end) == 1, lines
    assert first < end, lines


@when("a client sends a task {{{body}}}")
def send_task(context: Context, body: str) -> None:
    """The stream is read on; its end is checked later."""
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
def send_shutdown(context: Context, who: str) -> None:
    base = {"queen": context.world.queen_url, "hive": context.world.hive_url}[who]
    reply = context.world.call("POST", f"{base}/v1/admin/shutdown")
    assert reply.status == 202, reply


@given("somebody has a connection to the hive")
def a_connection(context: Context) -> None:
    world = context.world
    context.connection = KeptConnection(world.hive_url, "/v1/health", world.key)
    world.add_cleanup(context.connection.close)


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
    context.answer = replies.error_of(context.reply)


@when("that connection sends GET {path:S}")
def connection_asks(context: Context, path: str) -> None:
    context.reply = context.connection.ask("GET", path)
    context.answer = replies.error_of(context.reply)


@when("the queen is sent the addition of {name:S}, whose host key is trusted")
def add_over_http(context: Context, name: str) -> None:
    world = context.world
    body = {
        "node_name": name,
        "ssh_host": f"{name}.home.arpa",
        "accept_host_key": world.nodes[name].server.fingerprint,
    }
    url = f"{world.queen_url}/v2/registry/beehives/add"
    context.answer = replies.error_of(world.call("POST", url, body, timeout=30))


@when("the hive may open no more files")
def no_more_files(context: Context) -> None:
    hive = cluster.process_at(context.world, context.world.hive_url)
    context.limited = LimitedFiles(hive)


@when("the hive may open files again")
def files_again(context: Context) -> None:
    context.limited.lift()


@then("that correlation id is the reply's, and the hive logged the cause under it")
def cause_is_logged(context: Context) -> None:
    correlation_id = context.answer.details["correlation_id"]
    assert correlation_id == context.reply.headers["X-Correlation-ID"], context.answer
    logged = context.hive_run.stderr.wait_for(f"[{correlation_id}]", then="Too many open files")
    assert "Traceback" in logged, logged


@then("the answer has no traceback")
def no_traceback(context: Context) -> None:
    assert b"Traceback" not in context.reply.body, context.reply.body
    assert b".py" not in context.reply.body, context.reply.body


@then("standard error names the hive as the holder")
def holder_is_the_hive(context: Context) -> None:
    reported = f"rbee-hive (pid {context.hive_run.pid})"
    assert reported in context.run.stderr.text, context.run.stderr.text


@when("the hive of {name:S} is asked with the key of before")
def asked_with_key_before(context: Context, name: str) -> None:
    url = f"{context.world.nodes[name].hive_url}/v1/node"
    context.answer = replies.error_of(call("GET", url, key=context.key_before))


@when("the {who:w} is asked for its state with {which} key")
def ask_with_key(context: Context, who: str, which: str) -> None:
    url = {
        "queen": lambda: f"{context.world.queen_url}/v2/workers/list",
        "hive": lambda: f"{context.world.hive_url}/v1/health",
        "worker": lambda: f"{context.worker['url']}/v1/ready",
    }[who]()
    key = {"a wrong": "0" * len(context.world.key), "no": None}[which]
    context.answer = replies.error_of(call("GET", url, key=key))


@then('one of its errors has the field "{field}", a constraint, a message and the value {value:d}')
def field_error(context: Context, field: str, value: int) -> None:
    errors = [error for error in context.answer.details["errors"] if error["field"] == field]
    assert len(errors) == 1, context.answer.details
    assert set(errors[0]) == {"field", "constraint", "message", "value"}, errors
    assert errors[0]["value"] == value, errors
    assert errors[0]["constraint"], errors
    assert errors[0]["message"], errors


@then("it says {total:d} slot in all and {busy:d} busy, in the error and in its details")
def slots_reported(context: Context, total: int, busy: int) -> None:
    for place in (context.answer.error, context.answer.details):
        assert (place["slots_total"], place["slots_busy"]) == (total, busy), context.answer


@then("it says when to try again")
def retry_after(context: Context) -> None:
    """The keeper's own waits begin with a second, too."""
    assert context.answer.headers["Retry-After"] == "1", dict(context.answer.headers)


@when("somebody follows a download that does not exist")
def fetch_of_nobody(context: Context) -> None:
    url = f"{context.world.hive_url}/v1/models/download/progress?id=nobody"
    context.answer = replies.error_of(context.world.call("GET", url))


@then("the details say {attempts:d} attempts and {percent:d} % of the bytes")
def details_say(context: Context, attempts: int, percent: int) -> None:
    found = context.answer.details
    assert found["attempts"] == attempts, found
    share = 100 * found["bytes_downloaded"] / found["bytes_total"]
    assert percent - 0.1 < share <= percent, found


@then("it says how many of {count:d} tokens came, exactly as many as the queen sent")
def tokens_of_sent(context: Context, count: int) -> None:
    """As the proxy between them counted."""
    made = keeper_output.tokens_so_far(context.run.stderr.text, count)
    assert made == context.proxy.relayed["token"] > 0, (made, context.proxy.relayed)


@when("somebody asks for an answer from each of these files")
def ask_about_each(context: Context) -> None:
    context.rows = [
        (row["file"], row["code"], row["words"], row.get("next step", "")) for row in context.table
    ]
    context.refusals = keeper_output.infer_each(context.world, [file for file, *_ in context.rows])


@then("each is refused with its code and the reason in those words, a next step and exit code 1")
def each_refused(context: Context) -> None:
    faults = []
    for refusal, (_, *wanted) in zip(context.refusals, context.rows, strict=True):
        faults += keeper_output.complaints(refusal, *wanted)
    assert not faults, "\n" + "\n".join(faults)


@then("the hive is the same process, and no worker is left")
def hive_lives(context: Context) -> None:
    """The keeper learns of a failed load from the worker itself, which ends just after that."""
    world = context.world
    assert cluster.process_at(world, world.hive_url).pid == context.hive_run.pid
    wait_until("no worker to be listed", lambda: cluster.workers(world), 5, lambda rows: not rows)
    left = {process.pid for process in cluster.at_work(world)}
    assert left == {context.hive_run.pid, context.queen_run.pid}, left


@then("the hive told of each worker that could not load, with the error that was shown")
def told_by_the_hive(context: Context) -> None:
    """As many as it listed; other files are refused before there is a worker."""
    listed = {event.data["id"] for event in context.watched.named("worker")}
    gone = wait_until(
        "each of them to be gone",
        lambda: [event.data for event in context.watched.named("worker_gone")],
        5,
        lambda gone: {each["worker_id"] for each in gone} == listed,
    )
    told = [f"Error [{each['error']['code']}]: {each['error']['message']}" for each in gone]
    lines = [line for refusal in context.refusals for line in refusal.text.splitlines()]
    assert told, lines
    assert [line for line in lines if line in told] == told, (told, lines)
    for each, line in zip(gone, told, strict=True):
        details = each["error"]["details"]
        assert (details.get("file") or details["value"]) in line, each


# The details of an error, value by value, each known from outside


@then('its message says "{words}"')
def message_says(context: Context, words: str) -> None:
    assert words in context.answer.message, context.answer


@then("they name {node} and cpu, 1.2 times the size of {model:S}, and what is free, in MB")
def memory_details(context: Context, node: str, model: str) -> None:
    found = context.answer.details
    named = platform.node() if node == "this machine" else node
    assert (found["node"], found["device"]) == (named, "cpu"), found
    wanted = 1.2 * _size(context, model) / MB
    assert wanted <= found["required"] < wanted + 1, (found, wanted)
    machine.assert_free(found["available"] * MB)


@then("they name the models folder, the size of {model:S}, and what is free there, in MB")
def disk_details(context: Context, model: str) -> None:
    found, folder = context.answer.details, context.world.models
    assert found["path"] == str(folder), found
    size = _size(context, model) / MB
    assert size <= found["required"] < size + 1, (found, size)
    free = shutil.disk_usage(folder).free / MB
    assert free - 1 < found["available"] <= free, (found, free)


def _size(context: Context, model: str) -> int:
    return int(context.model_files.named(model.strip("<>")).stat().st_size)


@then("they name small.gguf, the sha256 that the Hub reports, and that of {model:S}")
def checksum_details(context: Context, model: str) -> None:
    found = context.answer.details
    content = context.model_files.named(model.strip("<>")).read_bytes()
    assert found["actual"] == hashlib.sha256(content).hexdigest(), found
    reported = hashlib.sha256(found["actual"].encode()).hexdigest()  # as the Hub makes it up
    assert found["expected"] == reported, (found, reported)
    assert found["file"] == str(context.world.models / "lab/small/small.gguf"), found


@then('they name {model:S}, the size of {file:S} in bytes, and "{words}" as the reason')
def download_details(context: Context, model: str, file: str, words: str) -> None:
    found = context.answer.details
    wanted = model, _size(context, file)
    assert (found["model"], found["bytes_total"]) == wanted, (found, wanted)
    assert words in found["reason"], found


@then("they name {model:S} and the only worker")
def in_use_details(context: Context, model: str) -> None:
    row = cluster.only_worker(context.world)
    assert context.answer.details == {"model": model, "workers": [row["id"]]}, (context.answer, row)


@then("they name the prompt, its more than {least:d} tokens, and the limit of {most:d}")
def prompt_details(context: Context, least: int, most: int) -> None:
    (error,) = context.answer.details["errors"]
    assert error["field"] == "prompt", error
    assert least < error["value"], error
    assert str(most) in error["constraint"], error
    assert str(error["value"]) in error["message"], error


@then(
    "they name that worker on {node:S}, as many of {wanted:d} tokens as came, "
    "and the last lines of its log"
)
def crash_details(context: Context, node: str, wanted: int) -> None:
    found, came = context.answer.details, len(context.stream.named("token"))
    named = found["worker_id"], found["node"], found["tokens"], found["max_tokens"]
    assert named == (context.worker["id"], node, came, wanted), (found, came)
    assert f"{came} of {wanted} tokens" in context.answer.message, context.answer
    own = context.world.log_of(context.worker["id"]).splitlines()
    assert found["log_tail"] == own[-len(found["log_tail"]) :] != [], (found, own)
    assert len(found["log_tail"]) == min(20, len(own)), found


@when("the worker on {name:S} is stopped while some of its layers are loaded and others are not")
def stop_there(context: Context, name: str) -> None:
    """As soon as the keeper itself is told of it."""
    wait_until("a layer", lambda: _layers(context), 60, lambda seen: seen and max(seen)[0] > 0)
    there = context.world.nodes[name].processes()
    (worker,) = [each for each in there if cluster.role_of(context.world, each) == "worker"]
    worker.suspend()


@then("its details are those of the worker's last progress on {name:S}")
def details_of_progress_there(context: Context, name: str) -> None:
    loaded, total = _layers(context)[-1]
    assert 0 < loaded < total, (loaded, total)
    error = keeper_output.data_of(context.run.stdout.text, "error")["error"]
    wanted = {"node": name, "state": "loading", "layers_loaded": loaded, "layers_total": total}
    assert error["details"] == wanted, (error, wanted)


def _layers(context: Context) -> list[tuple[int, int]]:
    """What the keeper has been told of the load: layers, and of how many."""
    events = keeper_output.events(context.run.stdout.text)
    told = [data for name, data in events if name == "loading" and "layers_loaded" in data]
    return [(data["layers_loaded"], data["layers_total"]) for data in told]
