"""Requests over HTTP and the errors that answer them."""

import json

from behave import given, then, when
from behave.runner import Context

from harness.watching import keeper_output, node_installation, replies

_LONG_TASK = {"prompt": "write a long story", "temperature": 0, "ignore_eos": True}


@when("the {who:w} is sent {method:w} {path} {{{body}}}")
def send(context: Context, who: str, method: str, path: str, body: str) -> None:
    base = {"queen": context.world.queen_url, "hive": context.world.hive_url}[who]
    fields = json.loads(context.world.expand(f"{{{body}}}"))
    stream = context.world.stream(method, base + path, fields)
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
    url = f"{context.world.queen_url}/v2/tasks"
    body = {**_LONG_TASK, "max_tokens": count}
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
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
    accepted = keeper_output.events(context.run.stdout.text)[0]
    _delete(context, accepted[1]["request_id"])


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


@then("its details are exactly {names}")
def details_are(context: Context, names: str) -> None:
    assert set(context.answer.details) == set(names.split(", ")), context.answer.details


@then("its details are {{{values}}}")
def details_have(context: Context, values: str) -> None:
    """Every value is compared; … in a text stands for what only the program knows."""
    text = values.replace("<version>", node_installation.package_version())
    wanted = json.loads(context.world.expand(f"{{{text}}}"))
    assert replies.fits(wanted, context.answer.details), context.answer.details


@given("somebody watches the hive's events")
@when("somebody watches the hive's events")
def watch_the_hive(context: Context) -> None:
    context.watched = context.world.stream("GET", f"{context.world.hive_url}/v1/events")
    assert context.watched.refused is None, context.watched.refused
