"""Requests over HTTP and the errors that answer them."""

import json

from behave import given, then, when
from behave.runner import Context

from harness.watching import (
    keeper_output,
    known_values,
    node_installation,
    raw_requests,
    replies,
)
from harness.watching.raw_requests import RawStream
from harness.world import cluster
from harness.world.http_client import Reply
from harness.world.waiting import wait_until

_LONG_TASK = {"prompt": "write a long story", "temperature": 0, "ignore_eos": True}


@when("the {who:w} is sent {method:w} {path} {{{body}}}")
def send(context: Context, who: str, method: str, path: str, body: str) -> None:
    base = {"queen": context.world.queen_url, "hive": context.world.hive_url}[who]
    fields = json.loads(context.world.expand(f"{{{body}}}"))
    stream = context.world.stream(method, base + path, fields, accept="*/*")
    context.answer = replies.error_of_stream(stream, within=20)


@when("a task is sent {{{body}}}")
def send_task(context: Context, body: str) -> None:
    send(context, "queen", "POST", "/v2/tasks", body)


@when("a task is sent with a prompt of {count:d} words")
def send_long_prompt(context: Context, count: int) -> None:
    send_task(context, json.dumps({"prompt": "word " * count})[1:-1])


@when("the worker is sent a prompt of {count:d} words")
def worker_long_prompt(context: Context, count: int) -> None:
    body = {"prompt": "word " * count, "max_tokens": 1, "stream": True}
    stream = context.world.stream("POST", f"{context.worker['url']}/v1/inference", body)
    context.answer = replies.error_of_stream(stream, within=20)


@given("a task for {count:d} tokens streams")
@when("a task for {count:d} tokens streams")
def long_task(context: Context, count: int) -> None:
    context.stream = cluster.send_task(context.world, {**_LONG_TASK, "max_tokens": count})
    context.stream.wait_for("token", within=60)


@when("a task waits in the queue")
def waiting_task(context: Context) -> None:
    url = f"{context.world.queen_url}/v2/tasks"
    context.queued = context.world.stream("POST", url, {**_LONG_TASK, "max_tokens": 1})
    queued = context.queued.wait_for("queued", within=10).data
    assert queued["position"] >= 1, queued


@when("that task is deleted")
def delete_task(context: Context) -> None:
    _delete(context, context.stream.named("accepted")[0].data["request_id"])


@when("somebody else cancels that request")
def cancel_of_another(context: Context) -> None:
    run = context.run
    events = wait_until("the first event", lambda: keeper_output.events(run.stdout.text), 20)
    _delete(context, events[0][1]["request_id"])


def _delete(context: Context, request_id: str) -> None:
    reply = context.world.call("DELETE", f"{context.world.queen_url}/v2/tasks/{request_id}")
    assert reply.status == 204, reply


@then("the stream ends with the error {code:w} and [DONE]")
def stream_ends_with(context: Context, code: str) -> None:
    context.answer = replies.error_of_stream(context.stream, within=20)
    assert context.answer.code == code, context.answer
    names = [event.name for event in context.stream.events]
    assert names[-2:] == ["error", "[DONE]"], names[-5:]
    assert "done" not in names


@then("the answer is {status:d} with the error {code:w}")
def answer_is(context: Context, status: int, code: str) -> None:
    assert context.answer.status == status, context.answer
    answer_has(context, code)


@then("the answer is the error {code:w}")
def answer_has(context: Context, code: str) -> None:
    assert context.answer.code == code, context.answer
    assert context.answer.message, context.answer
    context.messages = [
        *(context.messages if "messages" in context else []),
        context.answer.message,
    ]


@then("its message is that of the answer before")
def same_message(context: Context) -> None:
    """What a hive says of its model arrives at the client of the queen, word for word."""
    *_, before, now = context.messages
    assert now == before, (now, before)


@then("it names the field {field:w}")
def names_field(context: Context, field: str) -> None:
    (error,) = context.answer.details["errors"]
    assert error["field"] == field, error


@then("its details are exactly {names}")
def details_are(context: Context, names: str) -> None:
    assert set(context.answer.details) == set(names.split(", ")), context.answer.details


@then("its details are {{{values}}}")
def details_have(context: Context, values: str) -> None:
    """Every value is compared; … in a text stands for what only the program knows."""
    argv = context.world.commands.argv("hive")
    text = values.replace("<version>", node_installation.version_of(argv))
    wanted = json.loads(context.world.expand(f"{{{text}}}"))
    assert replies.fits(wanted, context.answer.details), context.answer.details


@given("somebody watches the hive's events")
@when("somebody watches the hive's events")
def watch_the_hive(context: Context) -> None:
    context.watched = context.world.stream("GET", f"{context.world.hive_url}/v1/events")
    assert context.watched.refused is None, context.watched.refused


# What daemons say of themselves, and streams of what goes on


@when("the hive has had an answer to a health check of its worker")
def checked_once(context: Context) -> None:
    wait_until("last_health", lambda: cluster.only_worker(context.world)["last_health"], 5)


@when("the queen is asked to keep running")
def keep(context: Context) -> None:
    reply = context.world.call("POST", f"{context.world.queen_url}/v1/admin/keep")
    assert reply.status == 200, reply
    assert reply.json.keys() == {"message"}, reply.json


@then("the {who:w} answers GET {path:S} with")
def answers_exactly(context: Context, who: str, path: str) -> None:
    """Every value is compared: with the kernel's own figures, and the model's own header."""
    _compare(context, context.world.call("GET", _url_of(context, who) + path))


@then("the {who:w} answers POST {path:S} {{{body}}} with")
def answers_post(context: Context, who: str, path: str, body: str) -> None:
    url = _url_of(context, who) + path
    _compare(context, context.world.call("POST", url, json.loads(f"{{{body}}}"), timeout=60))


@then("the last event that the {who:w} answers to POST {path:S} {{{body}}} is {name:w} with")
def last_event(context: Context, who: str, path: str, body: str, name: str) -> None:
    url = _url_of(context, who) + path
    stream = context.world.stream("POST", url, json.loads(f"{{{body}}}"))
    stream.wait_for_end(within=60)
    *_, last, end = stream.events
    assert (last.name, end.name) == (name, "[DONE]"), stream.events
    assert replies.fits(_wanted(context), last.data), (_wanted(context), last.data)


@then("asked with Accept: {kind:S}, the {who:w} ends POST {path:S} {{{body}}} with {name:w}")
def ends_stream(context: Context, kind: str, who: str, path: str, body: str, name: str) -> None:
    """Without it, the answer is that event alone, as JSON."""
    url, fields = _url_of(context, who) + path, json.loads(f"{{{body}}}")
    raw = RawStream("POST", url, context.world.key, fields, {"Accept": kind})
    context.world.add_cleanup(raw.close)
    raw.wait_for_end(within=20)
    assert raw.headers.get_content_type() == kind, dict(raw.headers)
    *_, last, end = raw_requests.events_of(raw.text)
    assert (last[0], end[0]) == (name, "[DONE]"), raw.text
    assert replies.fits(_wanted(context), last[1]), (_wanted(context), last)


@when("another task is sent {{{body}}}")
def another_task(context: Context, body: str) -> None:
    url = f"{context.world.queen_url}/v2/tasks"
    context.stream = context.world.stream("POST", url, json.loads(f"{{{body}}}"))
    assert context.stream.refused is None, context.stream.refused


@when("somebody follows GET {path:S}")
def follow(context: Context, path: str) -> None:
    context.stream = context.world.stream("GET", context.world.queen_url + path)
    assert context.stream.refused is None, context.stream.refused


@then("it told {name:w} with")
def told(context: Context, name: str) -> None:
    """The first event of that name."""
    found = context.stream.wait_for(name, within=15).data
    accepted = context.stream.named("accepted")
    task = accepted[0].data["request_id"] if accepted else ""
    context.text = context.text.replace("<task id>", task)
    assert replies.fits(_wanted(context), found), (_wanted(context), found)


@then("the hive told {name:w} of that worker with")
def hive_told(context: Context, name: str) -> None:
    """The last lines of its log are the last 20 at most."""
    worker_id = context.worker["id"]
    found = context.watched.wait_for(
        name, within=10, good=lambda data: data["worker_id"] == worker_id
    ).data
    tail = json.dumps(context.world.log_of(worker_id).splitlines()[-20:])
    text = context.text.replace("<worker id>", worker_id).replace("<end of its log>", tail)
    assert replies.fits(json.loads(text), found), (text, found)


@then("that hold is released, and the queen stays")
def hold_released(context: Context) -> None:
    hold = context.stream.named("hold")[0].data["hold_id"]
    reply = context.world.call("DELETE", f"{context.world.queen_url}/v2/hold/{hold}")
    assert (reply.status, reply.json) == (200, {"stays": True}), reply


def _url_of(context: Context, who: str) -> str:
    if who == "worker":
        return str(context.worker["url"])
    return str({"queen": context.world.queen_url, "hive": context.world.hive_url}[who])


def _wanted(context: Context) -> object:
    world = context.world
    return json.loads(known_values.expand(world, world.expand(context.text)))


def _compare(context: Context, reply: Reply) -> None:
    assert reply.status == 200, (reply.status, reply.body)
    wanted = _wanted(context)
    assert replies.fits(wanted, reply.json), (wanted, reply.json)
