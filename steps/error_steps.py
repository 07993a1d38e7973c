"""Errors as they are on the wire: the envelope, its code, its details."""

import json

from behave import then, when
from behave.runner import Context

from harness.watching import failures, keeper_output
from harness.world.calls import call

_LONG_TASK = {"prompt": "write a long story", "temperature": 0, "ignore_eos": True}


@when("the {who:w} is sent {method:w} {path} {{{body}}}")
def send(context: Context, who: str, method: str, path: str, body: str) -> None:
    base = {"queen": context.world.queen_url, "hive": context.world.hive_url}[who]
    fields = json.loads(context.world.expand(f"{{{body}}}"))
    stream = context.world.stream(method, base + path, fields)
    context.answer = failures.of(stream, within=20)


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
    context.answer = failures.of(stream, within=20)


@when("the worker is sent a prompt")
def worker_prompt(context: Context) -> None:
    worker_long_prompt(context, 1)


@when("the {who:w} is asked for its state with {which} key")
def ask_with_key(context: Context, who: str, which: str) -> None:
    url = {
        "queen": lambda: f"{context.world.queen_url}/v2/workers/list",
        "hive": lambda: f"{context.world.hive_url}/v1/health",
        "worker": lambda: f"{context.worker['url']}/v1/ready",
    }[who]()
    key = {"a wrong": "0" * len(context.world.key), "no": None}[which]
    context.answer = failures.of_reply(call("GET", url, key=key))


@when("a task for {count:d} tokens streams")
def long_task(context: Context, count: int) -> None:
    url = f"{context.world.queen_url}/v2/tasks"
    body = {**_LONG_TASK, "max_tokens": count}
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for("token", within=20)


@when("a task waits in the queue")
def waiting_task(context: Context) -> None:
    url = f"{context.world.queen_url}/v2/tasks"
    waiting = context.world.stream("POST", url, {**_LONG_TASK, "max_tokens": 1})
    queued = waiting.wait_for("queued", within=10).data
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
    context.answer = failures.of(context.stream, within=20)
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


@then('one of its errors has the field "{field}", a constraint, a message and the value {value:d}')
def field_error(context: Context, field: str, value: int) -> None:
    errors = [error for error in context.answer.details["errors"] if error["field"] == field]
    assert len(errors) == 1, context.answer.details
    assert set(errors[0]) == {"field", "constraint", "message", "value"}, errors
    assert errors[0]["value"] == value, errors
    assert errors[0]["constraint"], errors
    assert errors[0]["message"], errors


@then("it says {total:d} slot in all and {busy:d} busy, in the error and in its details")
def slots_told(context: Context, total: int, busy: int) -> None:
    for place in (context.answer.error, context.answer.details):
        assert (place["slots_total"], place["slots_busy"]) == (total, busy), context.answer


@then("it says when to try again")
def retry_after(context: Context) -> None:
    assert int(context.answer.headers["Retry-After"]) >= 1, dict(context.answer.headers)
