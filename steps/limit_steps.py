"""A worker's limits: of its context, and of the fields of a request."""

import json

from behave import then, when
from behave.runner import Context

from harness.watching import failures, standalone_worker
from harness.world.events import EventStream


@when("it is asked for {tokens:d} tokens")
def ask_for(context: Context, tokens: int) -> None:
    context.stream = context.hand.answer("Once upon a time", tokens)


@then("the answer fills the {tokens:d} tokens of the context and ends with {reason:w}")
def fills(context: Context, tokens: int, reason: str) -> None:
    """The newest token needs no place before it is followed, so that one more may come."""
    done = standalone_worker.done_of(context.stream)
    assert done["stop_reason"] == reason, done
    assert done["prompt_tokens"] + done["total_tokens"] in (tokens, tokens + 1), done
    assert done["total_tokens"] == len(context.stream.named("token")), done


@then("it tells how many tokens the prompt has, and that the context holds {tokens:d}")
def both_counts(context: Context, tokens: int) -> None:
    counted = len(context.shelf.teacher.tokens("word " * 100))
    assert str(counted) in context.answer.message, context.answer
    assert str(tokens) in context.answer.message, context.answer
    assert [error["value"] for error in context.answer.details["errors"]] == [counted]


@when("the worker is asked with each of these values")
def ask_with_each(context: Context) -> None:
    rows = [(row["field"], json.loads(row["value"])) for row in context.table]
    good = [(row["field"], json.loads(row["but"])) for row in context.table]
    context.refused = [(*row, _ask(context, *row)) for row in rows]
    context.taken = [(*row, _ask(context, *row)) for row in good]


@when("the worker is asked with an unknown field")
def ask_unknown(context: Context) -> None:
    context.refused = [("temprature", 1, _ask(context, "temprature", 1))]


def _ask(context: Context, field: str, value: object) -> EventStream:
    stream: EventStream = context.hand.ask(**{"prompt": "Bees are", "max_tokens": 1, field: value})
    if stream.refused is None:
        stream.wait_for_end(within=30)
    return stream


@then("each is refused with {code:w}, which names the field, its limit and the value")
@then("it is refused with {code:w}, which names that field")
def refused_by_field(context: Context, code: str) -> None:
    for field, value, stream in context.refused:
        assert stream.refused is not None, f"{field} {value!r} was taken: {stream.events[:2]}"
        refusal = failures.of_reply(stream.refused)
        assert (refusal.status, refusal.code) == (400, code), refusal
        (error,) = refusal.details["errors"]
        assert set(error) == {"field", "constraint", "message", "value"}, error
        assert (error["field"], error["value"]) == (field, value), error
        assert error["constraint"], error
        assert error["message"], error


@then("what stands in the last column is answered")
def answered(context: Context) -> None:
    for field, value, stream in context.taken:
        assert stream.refused is None, (field, value, stream.refused)
        assert stream.named("done"), (field, value, stream.events)
