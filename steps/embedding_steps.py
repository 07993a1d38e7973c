"""Texts as vectors."""

import json

from behave import then, when
from behave.runner import Context

from harness.model_files.reference_decoder import TOLERANCE
from harness.watching import embeddings, failures, standalone_worker

_PATH = "/v1/embeddings"


@when("these texts are embedded")
def embed(context: Context) -> None:
    context.texts = [row["text"] for row in context.table]
    context.vectors = embeddings.of(context.hand.post(_PATH, {"input": context.texts}))


@then("there is a vector of {width:d} numbers for each, in order, each of length 1")
def lengths(context: Context, width: int) -> None:
    assert context.vectors.matrix.shape == (len(context.texts), width)
    assert context.vectors.indices == list(range(len(context.texts)))
    assert all(abs(length - 1) < 1e-3 for length in context.vectors.lengths())


@then("the first and the last are the same")
def equal_texts(context: Context) -> None:
    assert context.vectors.apart(0, -1) < 1e-3


@then("the second is nearer to the first than the third is")
def nearer(context: Context) -> None:
    near, far = context.vectors.cosine(0, 1), context.vectors.cosine(0, 2)
    assert far < near < 0.9999, (near, far)


@then("the usage counts the tokens of all four")
def usage(context: Context) -> None:
    counted = sum(len(context.shelf.teacher.tokens(text)) for text in context.texts)
    assert context.vectors.usage == {"prompt_tokens": counted, "total_tokens": counted}


@when('the text "{text}" is embedded, alone and in a list')
def alone(context: Context, text: str) -> None:
    replies = [context.hand.post(_PATH, {"input": given}) for given in (text, [text])]
    context.both = [embeddings.of(reply) for reply in replies]


@then("both times there is one vector, and it is the same")
def the_same(context: Context) -> None:
    first, second = (found.matrix for found in context.both)
    assert first.shape == second.shape == (1, first.shape[1])
    assert abs(first - second).max() < 1e-3


@when("each of these is embedded")
def bad_inputs(context: Context) -> None:
    given = [json.loads(row["input"]) for row in context.table]
    context.replies = [(value, context.hand.post(_PATH, {"input": value})) for value in given]


@then('each is answered with {status:d} and {code:w}, which names the field "{field}"')
def bad_answers(context: Context, status: int, code: str, field: str) -> None:
    for given, reply in context.replies:
        assert reply.status == status, (given, reply.status, reply.body[:200])
        refusal = failures.of_reply(reply)
        assert refusal.code == code, (given, refusal)
        fields = [error["field"] for error in refusal.details["errors"]]
        assert len(fields) == 1, fields
        assert fields[0].startswith(field), (given, fields)


@when("{count:d} texts are embedded, one after the other")
def embed_many(context: Context, count: int) -> None:
    context.began = standalone_worker.now()
    for number in range(count):
        embeddings.of(context.hand.post(_PATH, {"input": f"Text number {number} about bees."}))
    context.ended = standalone_worker.now()
    assert not context.stream.named("done"), "the answer was over already"


@then("tokens came in between")
def tokens_between(context: Context) -> None:
    assert standalone_worker.between(context.stream, context.began, context.ended) >= 5


@then("the answer is still that of its prompt")
def still_its_own(context: Context) -> None:
    context.stream.wait_for_end(within=60)
    pieces = standalone_worker.pieces_of(context.stream)
    assert len(pieces) == 300, len(pieces)
    assert max(context.shelf.teacher.shortfalls(context.prompt, pieces)) <= TOLERANCE
