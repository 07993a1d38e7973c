"""What any client may rely on over HTTP: keys, refusals, streams byte by byte, correlation ids."""

import gzip
import json
import re
import secrets
import shlex
from functools import partial

from behave import then, when
from behave.runner import Context

from harness.watching import (
    key_sweep,
    logs,
    node_installation,
    raw_requests,
    replies,
    silences,
    standalone_worker,
)
from harness.watching.raw_requests import RawStream, bearer
from harness.world import cluster
from harness.world.http_client import call
from harness.world.processes import alive, listeners
from harness.world.waiting import wait_until

_SLOW_MACHINE_S = 2
_SENT = {
    "nothing": {},
    "an empty one": {"X-Correlation-ID": ""},
    "a tab": {"X-Correlation-ID": "one\tid"},
    "a letter outside ASCII": {"X-Correlation-ID": "bärbel"},
    "128 characters": {"X-Correlation-ID": "i" * 128},
    "129 characters": {"X-Correlation-ID": "i" * 129},
}


def _urls(context: Context) -> dict[str, str]:
    world = context.world
    urls = {"queen": world.queen_url, "hive": world.hive_url}
    return {**urls, "worker": context.worker["url"]} if "worker" in context else urls


# Keys


@when("every route of queen, hive and worker is asked with each of these keys")
def sweep(context: Context) -> None:
    which = [row["key"] for row in context.table]
    context.tried = which
    context.complaints, context.opened = key_sweep.not_refused(
        _urls(context), context.world.key, which
    )


@then(
    "each but GET /health, the queen's GET /v1/health and GET /v1/auth/proof answers 401 with the "
    "error INVALID_API_KEY, which names the address that was asked"
)
def all_refused(context: Context) -> None:
    assert not context.complaints, "\n".join(context.complaints)


@then("GET /health of queen and worker answers {status:d} each time")
def health_is_open(context: Context, status: int) -> None:
    found = [
        (str(route), reply.status) for route, reply in context.opened if route.path == "/health"
    ]
    wanted = [("GET /health of the queen", status), ("GET /health of the worker", status)]
    assert found == wanted * len(context.tried), found


@then("with the key every route answers in JSON, a stream, text or nothing, as the contract says")
def all_served(context: Context) -> None:
    found = key_sweep.complaints(_urls(context), context.world.key)
    assert not found, "\n".join(found)


@when("a worker is started by hand with `{flags}`")
def worker_by_hand(context: Context, flags: str) -> None:
    context.run = standalone_worker.start_by_hand(context.world, flags)
    context.url = context.run.ready()["url"]


@when("a worker is started by hand with a key of its own in --api-key-file")
def worker_with_a_key(context: Context) -> None:
    file = context.world.root / "own_key"
    file.touch(0o600)
    file.write_text(secrets.token_urlsafe(32))
    context.own_key = file.read_text()
    worker_by_hand(context, f"--api-key-file {shlex.quote(str(file))}")


@then("it answers GET {path:S} with {status:d}, if the key is its own")
def answers_with_own_key(context: Context, path: str, status: int) -> None:
    assert call("GET", context.url + path, key=context.own_key).status == status


@when("an operator starts `{line}`")
def operator_starts(context: Context, line: str) -> None:
    context.run = context.world.start_daemon(line)
    context.url = context.run.ready()["url"]


@then("it answers GET {path:S} without a key")
def answers_without_key(context: Context, path: str) -> None:
    assert call("GET", context.url + path).status == 200


@then("it answers GET {path:S} with {status:d}, if there is no key")
def refuses_without_key(context: Context, path: str, status: int) -> None:
    assert call("GET", context.url + path).status == status


@then("it answers GET {path:S} with {status:d}, if the key is that of this machine")
def answers_with_key(context: Context, path: str, status: int) -> None:
    assert call("GET", context.url + path, key=context.world.key).status == status


@then('its standard error soon says "{words}"')
def daemon_says(context: Context, words: str) -> None:
    context.run.stderr.wait_for(words)


@then('its standard error says nothing of "{words}"')
def daemon_says_nothing(context: Context, words: str) -> None:
    """It has answered, so its start is told."""
    text = context.run.stderr.wait_for("listening on")
    assert words not in context.run.stderr.text, text


@then("its ready line is")
def ready_line(context: Context) -> None:
    """The address is that on which the kernel says it listens."""
    run, world = context.run, context.world
    own = listeners([each for each in world.processes() if each.pid == run.pid])
    (host, port) = min(own)
    text = context.text.replace("<its pid>", str(run.pid)).replace(
        "<its address>", f"{host}:{port}"
    )
    version = node_installation.version_of(context.world.commands.argv("hive"))
    wanted = json.loads(text.replace("<version>", version))
    assert run.ready() == wanted, (run.ready(), wanted)
    assert port not in (8080, 9200), own


# Refusals


@when("each of these requests is sent with the key")
def send_each(context: Context) -> None:
    context.refusals = []
    for row in context.table:
        method, path = row["request"].split()
        body = row["body"].encode() if row["body"] else None
        url = _urls(context)[row["to"]] + path
        reply = raw_requests.send(method, url, bearer(context.world.key), body)
        context.refusals.append((row, replies.error_of(reply)))


@then(
    "each is refused with that status and INVALID_REQUEST, and names that field, that value "
    "and its limit"
)
def each_named(context: Context) -> None:
    wrong = []
    for row, found in context.refusals:
        wanted = int(row["status"]), "INVALID_REQUEST", row["field"]
        errors = found.details["errors"]
        said = found.status, found.code, errors[0]["field"]
        limit = f"{errors[0]['constraint']} {errors[0]['message']}".lower()
        right = said == wanted and len(errors) == 1 and row["limit"].lower() in limit
        right = right and errors[0]["value"] == json.loads(row["value"])
        right = right and row["field"] in found.message
        if found.status == 405:  # each of these paths has a GET
            right = right and {*found.headers.get("Allow", "").split(",")} >= {"GET", "HEAD"}
        if not right:
            wrong.append(f"{row['request']} {row['body']}: {found.status} {found.error}")
    assert not wrong, "\n".join(wrong)


@then(
    "queen and hive read a body of {size:d} bytes, and refuse one more byte with {status:d}, "
    "which names that limit"
)
def largest_body(context: Context, size: int, status: int) -> None:
    for url in (f"{context.world.queen_url}/v2/tasks", f"{context.world.hive_url}/v1/models/info"):
        empty = b'{"no_such_field":""}'
        body = empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')
        assert len(body) == size
        headers = bearer(context.world.key)
        whole = replies.error_of(raw_requests.send("POST", url, headers, body))
        assert (whole.status, whole.code) == (400, "INVALID_REQUEST"), whole
        assert whole.details["errors"][0]["field"] == "no_such_field", whole
        more = replies.error_of(raw_requests.send("POST", url, headers, body + b" "))
        assert (more.status, more.code) == (status, "INVALID_REQUEST"), more
        assert str(size) in more.details["errors"][0]["constraint"], more


@then(
    "queen and hive refuse a body in gzip with {status:d}, and with {without:d} where there is "
    "no key"
)
def compressed(context: Context, status: int, without: int) -> None:
    body = gzip.compress(b'{"model":"smollm2"}')
    assert _refusals(context, body, bearer(context.world.key)) == [(status, "INVALID_REQUEST")] * 2
    assert _refusals(context, body, {}) == [(without, "INVALID_API_KEY")] * 2


@then("they refuse a plain body that is called gzip with {status:d}")
def called_compressed(context: Context, status: int) -> None:
    found = _refusals(context, b'{"model":"smollm2"}', bearer(context.world.key))
    assert found == [(status, "INVALID_REQUEST")] * 2, found


def _refusals(context: Context, body: bytes, key: dict[str, str]) -> list[tuple[int, str]]:
    """What queen and hive say to a body that is called gzip."""
    urls = [f"{context.world.queen_url}/v2/tasks", f"{context.world.hive_url}/v1/models/info"]
    headers = {**key, "Content-Encoding": "gzip"}
    found = [replies.error_of(raw_requests.send("POST", url, headers, body)) for url in urls]
    return [(each.status, each.code) for each in found]


# Tasks that have ended, and their defaults


@when("a task for {count:d} tokens is answered")
def task_answered(context: Context, count: int) -> None:
    body = {"prompt": "hi", "max_tokens": count, "temperature": 0, "ignore_eos": True}
    _answer(context, body)


@when("a task is answered to {{{body}}}")
def task_answered_to(context: Context, body: str) -> None:
    context.task = json.loads(f"{{{body}}}")
    _answer(context, context.task)


def _answer(context: Context, body: object) -> None:
    context.stream = context.world.stream("POST", f"{context.world.queen_url}/v2/tasks", body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for_end(within=120)
    context.answers = [*(context.answers if "answers" in context else []), context.stream]


@then("its DELETE is answered with {status:d} and no body, also when it is repeated")
def delete_ended(context: Context, status: int) -> None:
    assert context.stream.named("done"), context.stream.events[-3:]
    task = context.stream.named("accepted")[0].data["request_id"]
    assert _deleted(context, task) == (status, b"")
    assert _deleted(context, task) == (status, b"")


@then("the DELETE of a task that never was is answered with {status:d} and no body")
def delete_nobody(context: Context, status: int) -> None:
    assert _deleted(context, "nobody") == (status, b"")


def _deleted(context: Context, task: str) -> tuple[int, bytes]:
    reply = context.world.call("DELETE", f"{context.world.queen_url}/v2/tasks/{task}")
    return reply.status, reply.body


@then("both answers have the same {count:d} tokens, and the reason {reason:w}")
def the_same_answers(context: Context, count: int, reason: str) -> None:
    first, second = context.answers
    texts = [[event.data["token"] for event in each.named("token")] for each in (first, second)]
    assert texts[0] == texts[1], texts
    for each in (first, second):
        done = each.named("done")[0].data
        assert (done["total_tokens"], done["stop_reason"]) == (count, reason), done


@then("the worker was sent the same fields, under the task's id")
def worker_was_sent(context: Context) -> None:
    """As the proxy between queen and worker saw them."""
    (asked,) = context.proxy.requests_for("POST", "/v1/inference")
    sent = json.loads(asked.body)
    task = context.stream.named("accepted")[0].data["request_id"]
    wanted = {**context.task, "request_id": task}
    assert {key: sent.get(key) for key in wanted} == wanted, (sent, wanted)


@then("the queen was sent {{{body}}}")
def queen_was_sent(context: Context, body: str) -> None:
    """As the proxy between keeper and queen saw it; a field that is null is as good as none."""
    sent = json.loads(context.proxy.requests_for("POST", "/v2/tasks")[-1].body)
    found = {key: value for key, value in sent.items() if value is not None}
    assert found == json.loads(f"{{{body}}}"), found


# Streams


@when("the bytes of the stream of {{{body}}} are read")
def read_bytes(context: Context, body: str) -> None:
    world = context.world
    url = f"{world.queen_url}/v2/tasks"
    context.raw = RawStream("POST", url, world.key, json.loads(f"{{{body}}}"))
    world.add_cleanup(context.raw.close)
    context.raw.wait_for_end(within=60)


@then("each event is its name and one line of JSON, and after [DONE] nothing comes")
def in_one_form(context: Context) -> None:
    context.events = raw_requests.events_of(context.raw.text)
    names = [name for name, _ in context.events]
    assert names.count("[DONE]") == 1, names
    assert names[-1] == "[DONE]", names


@then("its events are {names}, in this order")
def events_in_order(context: Context, names: str) -> None:
    """Each name once, however often it comes in a row."""
    found: list[str] = []
    for name, _ in context.events:
        if found[-1:] != [name]:
            found.append(name)
    assert found == names.replace(" and ", ", ").split(", "), found


@then("its Content-Type is {kind:S}, and no cache may keep it")
def stream_headers(context: Context, kind: str) -> None:
    assert context.raw.headers.get_content_type() == kind, dict(context.raw.headers)
    assert context.raw.headers["Cache-Control"] == "no-store", dict(context.raw.headers)


@when("the bytes of the events of queen, hive and worker are read")
def read_events(context: Context) -> None:
    urls = _urls(context)
    paths = {"queen": "/v2/events", "hive": "/v1/events", "worker": "/v1/events"}
    context.raws = {}
    for who, path in paths.items():
        context.raws[who] = RawStream("GET", urls[who] + path, context.world.key)
        context.world.add_cleanup(context.raws[who].close)


@then(
    "queen and worker send comments after a silence of {seconds:d} s, and no hive is silent longer"
)
def kept_alive(context: Context, seconds: int) -> None:
    """What a stream has to tell at its start comes at once."""
    for who in ("queen", "worker"):
        comments = context.raws[who].comments
        wait_until(f"a comment of the {who}", comments, seconds + 2 * _SLOW_MACHINE_S)
    for raw in context.raws.values():
        silences.judge(raw.opened_at, raw.events(), raw.comments(), seconds)


# Correlation ids


@when("a task for {count:d} tokens is sent with the header X-Correlation-ID: {sent:S}")
def with_correlation_id(context: Context, count: int, sent: str) -> None:
    world = context.world
    body = {"prompt": "hi", "max_tokens": count, "temperature": 0, "ignore_eos": True}
    context.raw = RawStream(
        "POST", f"{world.queen_url}/v2/tasks", world.key, body, {"X-Correlation-ID": sent}
    )
    world.add_cleanup(context.raw.close)
    context.raw.wait_for_end(within=60)
    context.worker = cluster.only_worker(world)


@then('the answer has the correlation id "{wanted}"')
def answered_with(context: Context, wanted: str) -> None:
    assert context.raw.headers["X-Correlation-ID"] == wanted, dict(context.raw.headers)
    context.correlation_id = wanted


@then("each of its narration events has that correlation id")
def narrated_with(context: Context) -> None:
    events = raw_requests.events_of(context.raw.text)
    found = [data["correlation_id"] for name, data in events if name == "narration"]
    assert len(found) > 5, events
    assert set(found) == {context.correlation_id}, found


@then('the log of {program:S} has a line of its own with "{words}" and that correlation id')
def logged_with(context: Context, program: str, words: str) -> None:
    """The line begins with its time and the program's own fields: a quote does not."""
    wait_until(
        f"{words!r} in the log of {program}",
        lambda: logs.lines_with_id(context.world, program, context.correlation_id),
        5,
        lambda lines: any(line.endswith(f"] {words}") for line in lines),
    )


_PROGRAMS = ("queen-rbee", "rbee-hive", "llm-worker-rbee")


@then(
    "once another task and a health check have been answered, "
    "no log has more lines with that correlation id"
)
def no_more_lines(context: Context) -> None:
    """What a daemon does later belongs to another request, or to none."""
    world = context.world
    before = {each: logs.lines_with_id(world, each, context.correlation_id) for each in _PROGRAMS}
    cluster.ask(world, {"prompt": "hi", "max_tokens": 2})
    known = cluster.only_worker(world)["last_health"]
    wait_until(
        "a health check",
        lambda: cluster.only_worker(world)["last_health"],
        5,
        lambda at: at not in (None, known),
    )
    now = {each: logs.lines_with_id(world, each, context.correlation_id) for each in _PROGRAMS}
    assert now == before, (now, before)


@when("worker and hive get SIGTERM, one after the other")
def terminated(context: Context) -> None:
    processes = cluster.processes(context.world)
    for role in ("worker", "hive"):
        processes[role].terminate()
        wait_until(f"the {role} to end", partial(alive, processes[role]), 15, lambda seen: not seen)


@then('the log of {program:S} has a line with "{words}" and no correlation id')
def logged_without(context: Context, program: str, words: str) -> None:
    found = logs.lines_with(context.world, program, words)
    assert len(found) == 1, found
    assert found[0].endswith(f" {program} {words}"), found


@then("queen and hive answer each of these with a new correlation id of 16 hexadecimal digits")
def made_for_each(context: Context) -> None:
    found = [_id_for(context, who, row["sent"]) for row in context.table for who in _DAEMONS]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in found), found
    assert len(set(found)) == len(found), found


@then("they answer 128 characters with the same")
def kept(context: Context) -> None:
    assert [_id_for(context, who, "128 characters") for who in _DAEMONS] == ["i" * 128] * 2


_DAEMONS = {"queen": "/v2/workers/list", "hive": "/v1/workers/list"}


def _id_for(context: Context, who: str, sent: str) -> str:
    headers = {**bearer(context.world.key), **_SENT[sent]}
    reply = raw_requests.send("GET", _urls(context)[who] + _DAEMONS[who], headers)
    assert reply.status == 200, reply
    return str(reply.headers["X-Correlation-ID"])
