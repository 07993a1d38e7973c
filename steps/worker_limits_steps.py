"""What a worker refuses and what it takes: the limits of its fields and of its context."""

import json

from behave import then, when
from behave.runner import Context

from harness.watching import replies, standalone_worker
from harness.world import cluster
from harness.world.http_client import EventStream
from harness.world.waiting import wait_until

_PROMPT = "Once upon a time"


@when("it is asked for {tokens:d} tokens")
def ask_for(context: Context, tokens: int) -> None:
    context.stream = context.standalone.answer("Once upon a time", tokens)


@then("the answer fills the {tokens:d} tokens of the context and ends with {reason:w}")
def fills(context: Context, tokens: int, reason: str) -> None:
    """The newest token takes no place until another follows, so one more may come."""
    done = standalone_worker.done_of(context.stream)
    assert done["stop_reason"] == reason, done
    assert done["prompt_tokens"] + done["total_tokens"] in (tokens, tokens + 1), done
    assert done["total_tokens"] == len(context.stream.named("token")), done


@then("it says how many tokens the prompt has, and that the context holds {tokens:d}")
def both_counts(context: Context, tokens: int) -> None:
    counted = len(context.model_files.reference_decoder.tokens("word " * 100))
    assert str(counted) in context.answer.message, context.answer
    assert str(tokens) in context.answer.message, context.answer
    assert [error["value"] for error in context.answer.details["errors"]] == [counted]


@when("the worker is sent each of these prompts")
def send_prompts(context: Context) -> None:
    context.outcomes = [
        (row.as_dict(), *context.standalone.ask_to_the_end(row["text"] * int(row["times"]), 1))
        for row in context.table
    ]


@then("each is answered or refused with {code:w}, as it says there, within {seconds:d} s")
def answered_or_refused(context: Context, code: str, seconds: int) -> None:
    for row, stream, took in context.outcomes:
        assert took < seconds, (row, took)
        if row["is"] == "answered":
            assert stream.refused is None, (row, stream.refused)
            assert len(stream.named("token")) == 1, (row, stream.events)
        else:
            assert stream.refused is not None, (row, stream.events)
            assert replies.error_of(stream.refused).code == code, (row, stream.refused)


@then("the worker is the same process, and answers")
def same_and_answers(context: Context) -> None:
    assert cluster.process_at(context.world, context.standalone.url) == context.standalone.process
    stream = context.standalone.answer(_PROMPT, 3)
    assert len(stream.named("token")) == 3, stream.events


@when("the worker is asked with each of these values")
def ask_with_each(context: Context) -> None:
    rows = [(row["field"], json.loads(row["value"])) for row in context.table]
    good = [(row["field"], json.loads(row["but"])) for row in context.table]
    context.refused = [(*row, _ask(context, *row)) for row in rows]
    context.taken = [(*row, _ask(context, *row)) for row in good]
    context.limits = [row["limit"] for row in context.table]


@when("the worker is asked with an unknown field")
def ask_unknown(context: Context) -> None:
    context.refused = [("temprature", 1, _ask(context, "temprature", 1))]
    context.limits = ["temprature"]


def _ask(context: Context, field: str, value: object) -> EventStream:
    stream: EventStream = context.standalone.ask(
        **{"prompt": "Bees are", "max_tokens": 1, field: value}
    )
    if stream.refused is None:
        stream.wait_for_end(within=30)
    return stream


@then("each is refused with {code:w}, which names the field, its limit and the value")
@then("it is refused with {code:w}, which names that field")
def refused_by_field(context: Context, code: str) -> None:
    for (field, value, stream), limit in zip(context.refused, context.limits, strict=True):
        assert stream.refused is not None, f"{field} {value!r} was taken: {stream.events[:2]}"
        refusal = replies.error_of(stream.refused)
        assert (refusal.status, refusal.code) == (400, code), refusal
        (error,) = refusal.details["errors"]
        assert set(error) == {"field", "constraint", "message", "value"}, error
        assert (error["field"], error["value"]) == (field, value), error
        assert limit in error["constraint"], (limit, error)
        assert error["message"], error


@then("the values in the last column are accepted")
def answered(context: Context) -> None:
    for field, value, stream in context.taken:
        assert stream.refused is None, (field, value, stream.refused)
        assert stream.named("done"), (field, value, stream.events)


@then("a prompt of {most:d} tokens is answered, and one of {more:d} is refused")
def prompt_limit(context: Context, most: int, more: int) -> None:
    stream = context.standalone.answer(_text_of(context, most), 1)
    assert standalone_worker.done_of(stream)["prompt_tokens"] == most
    refused = replies.error_of_stream(context.standalone.ask(_text_of(context, more), 1), 10)
    assert (refused.status, refused.code) == (400, "PROMPT_TOO_LONG"), refused


@then("a text of {most:d} tokens is embedded, and one of {more:d} is refused")
def text_limit(context: Context, most: int, more: int) -> None:
    path = "/v1/embeddings"
    taken = context.standalone.post(path, {"input": _text_of(context, most)})
    assert replies.embeddings(taken).usage["prompt_tokens"] == most
    refused = replies.error_of(context.standalone.post(path, {"input": _text_of(context, more)}))
    assert (refused.status, refused.code) == (400, "PROMPT_TOO_LONG"), refused


def _text_of(context: Context, tokens: int) -> str:
    text = " ".join(["word"] * tokens)
    assert len(context.model_files.reference_decoder.tokens(text)) == tokens
    return text


@when("the worker is asked with a prompt and messages, and with neither")
def ask_both(context: Context) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    bodies = [{"prompt": "Hello", "messages": messages}, {"max_tokens": 1}]
    context.replies = [context.standalone.post("/v1/inference", body) for body in bodies]


@then("both are refused with {code:w}, which names the prompt")
def both_refused(context: Context, code: str) -> None:
    for reply in context.replies:
        refusal = replies.error_of(reply)
        assert (refusal.status, refusal.code) == (400, code), refusal
        assert [error["field"] for error in refusal.details["errors"]] == ["prompt"], refusal


# A context that is shared


@when("an answer of up to {tokens:d} tokens is under way")
def first_of_two(context: Context, tokens: int) -> None:
    context.long = context.standalone.ask(_PROMPT, tokens)
    context.long.wait_for("token", within=20)


@when("one of up to {tokens:d} more tokens is asked for")
def one_beside(context: Context, tokens: int) -> None:
    context.stream = context.standalone.ask(_PROMPT, tokens)
    if context.stream.refused is not None:
        context.answer = replies.error_of(context.stream.refused)


@then("it says {total:d} slots in all and {busy:d} busy, and names the context of {tokens:d}")
def says_context(context: Context, total: int, busy: int, tokens: int) -> None:
    details = {"slots_total": total, "slots_busy": busy, "waiting": 0}
    assert context.answer.details == details, context.answer
    assert str(tokens) in context.answer.message, context.answer


@then("it is answered with {tokens:d} tokens, beside the other")
def answered_beside(context: Context, tokens: int) -> None:
    answered_with(context, tokens)
    (done,) = context.stream.named("done")
    wait_until(
        "the other answer to go on",
        lambda: context.long.named("token")[-1].at,
        10,
        lambda last: last > done.at,
    )
    assert context.long.named("token")[0].at < context.stream.named("token")[0].at


@then("it is answered with {tokens:d} tokens")
def answered_with(context: Context, tokens: int) -> None:
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for_end(within=60)
    assert standalone_worker.done_of(context.stream)["total_tokens"] == tokens


@when("the other has ended")
def other_ended(context: Context) -> None:
    context.long.wait_for_end(within=60)
    assert standalone_worker.done_of(context.long)["stop_reason"] == "MAX_TOKENS"


# The id of a request


@when('a request with the id "{request_id}" is under way')
def with_an_id(context: Context, request_id: str) -> None:
    context.stream = context.standalone.ask(_PROMPT, 2000, request_id=request_id)
    accepted = context.stream.wait_for("accepted", within=20).data
    assert accepted.pop("prompt_tokens") > 0, accepted
    assert accepted == {"request_id": request_id}, accepted


@when('another one is sent with the id "{request_id}"')
def with_the_same_id(context: Context, request_id: str) -> None:
    stream = context.standalone.ask(_PROMPT, 2, request_id=request_id)
    context.answer = replies.error_of_stream(stream, within=20)


@then('it names the field "{field}" and the value "{value}"')
def names_field(context: Context, field: str, value: str) -> None:
    (error,) = context.answer.details["errors"]
    assert (error["field"], error["value"]) == (field, value), error


@when("the first one is deleted")
def first_deleted(context: Context) -> None:
    request_id = context.stream.named("accepted")[0].data["request_id"]
    assert context.standalone.delete(request_id).status == 204
    context.stream.wait_for_end(within=10)


@then('the id "{request_id}" can be used again')
def used_again(context: Context, request_id: str) -> None:
    stream = context.standalone.answer(_PROMPT, 2, request_id=request_id)
    assert standalone_worker.done_of(stream)["total_tokens"] == 2


# How long it stays


@when("it is asked in turn to stay for each of these times")
def to_stay(context: Context) -> None:
    context.kept = []
    for row in context.table:
        wish = json.loads(row["keep_alive"])
        heard = len(context.standalone.status.named("status"))
        context.standalone.answer(_PROMPT, 1, keep_alive=wish)
        seconds = float(row["seconds"]) if row["seconds"] else None
        context.kept.append((row["keep_alive"], seconds, _told(context, heard)))


def _told(context: Context, heard: int) -> float | None:
    """What the worker's status says once it is busy and idle again."""
    seen = wait_until(
        "the worker to say that it is idle again",
        lambda: [event.data for event in context.standalone.status.named("status")[heard:]],
        5,
        lambda events: len(events) >= 2 and events[-1]["state"] == "idle",
    )
    told: float | None = seen[-1].get("keep_alive_s")
    return told


@then("its status tells those seconds each time")
def told_seconds(context: Context) -> None:
    assert all(wanted == told for _, wanted, told in context.kept), context.kept
