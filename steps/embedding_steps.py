"""Vectors in the forms that clients ask for, and models that are made for vectors and scores."""

import json

from behave import then, when
from behave.runner import Context

from harness.model_files.embedding_models import LETTERS
from harness.model_files.reference_vectors import ReferenceVectors
from harness.watching import replies

_EMBEDDINGS = "/v1/embeddings"
_RERANK = "/v1/rerank"
_NEAR = 0.99999
# A batch of another width adds in another order. Scores go from 0 to 1.
_ROUNDING = 2e-3
# The vocabulary has so many.
_NO_TOKEN = 49152


# The forms


@when('the text "{text}" is embedded with each of these fields')
def with_fields(context: Context, text: str) -> None:
    context.sentence = text
    context.found = [
        replies.embeddings(
            context.standalone.post(_EMBEDDINGS, {"input": text, **json.loads(row["fields"])})
        )
        for row in context.table
    ]


@when("as the ids of its tokens, alone and in a list")
def as_ids(context: Context) -> None:
    ids = _reference(context).tokens(context.sentence)
    for given in (ids, [ids]):
        reply = context.standalone.post(_EMBEDDINGS, {"input": given})
        context.found.append(replies.embeddings(reply))


@then("each time it is the vector that the model makes of it")
def same_vector(context: Context) -> None:
    reference = _reference(context)
    wanted = reference.vector(reference.tokens(context.sentence))
    for found in context.found:
        assert found.matrix.shape == (1, len(wanted))
        near = float(found.matrix[0] @ wanted)
        assert _NEAR <= near < 1.001, near
        assert abs(found.norms()[0] - 1) < 1e-3


@when("it is embedded with {count:d} dimensions")
def with_dimensions(context: Context, count: int) -> None:
    body = {"input": context.sentence, "dimensions": count}
    context.reply = context.standalone.post(_EMBEDDINGS, body)


@then("the vector is its first {count:d} numbers, again with length 1")
def first_numbers(context: Context, count: int) -> None:
    found = replies.embeddings(context.reply)
    wanted = context.found[0].matrix[0][:count]
    assert found.matrix.shape == (1, count)
    assert abs(found.norms()[0] - 1) < 1e-3
    assert float(found.matrix[0] @ wanted) >= _NEAR * float(wanted @ wanted) ** 0.5


# Models for vectors and scores


@when("texts of {one:d}, {two:d} and {three:d} letters are embedded")
def letters(context: Context, one: int, two: int, three: int) -> None:
    context.texts = [(LETTERS * 100)[:length] for length in (one, two, three)]
    context.vectors = replies.embeddings(
        context.standalone.post(_EMBEDDINGS, {"input": context.texts})
    )


@then("each vector is the one that llama.cpp makes of the whole text")
def llamas_own(context: Context) -> None:
    reference = _reference(context)
    assert len(context.vectors.matrix) == len(context.texts)
    for text, found in zip(context.texts, context.vectors.matrix, strict=True):
        near = float(found @ reference.vector(reference.tokens(text)))
        assert _NEAR <= near < 1.001, (len(text), near)


@when("it is asked for an answer")
def ask_for_an_answer(context: Context) -> None:
    context.reply = context.standalone.post("/v1/inference", {"prompt": "abc"})


@when("it is asked for a vector")
def ask_for_a_vector(context: Context) -> None:
    context.reply = context.standalone.post(_EMBEDDINGS, {"input": "abc"})


@then("of {most:d} texts the last one is looked at, and {more:d} are too many")
def most_texts(context: Context, most: int, more: int) -> None:
    for count, field in ((most, f"input[{most - 1}]"), (more, "input")):
        texts = [*["a"] * (count - 1), [_NO_TOKEN]]
        error = replies.error_of(context.standalone.post(_EMBEDDINGS, {"input": texts}))
        found = error.status, error.code, [each["field"] for each in error.details["errors"]]
        assert found == (400, "INVALID_REQUEST", [field]), found


@when("a text is embedded that it makes NaN of")
def ask_for_nan(context: Context) -> None:
    context.reply = context.standalone.post(_EMBEDDINGS, {"input": "az"})


@when("one is embedded that it makes numbers of")
def ask_for_numbers(context: Context) -> None:
    replies.embeddings(context.standalone.post(_EMBEDDINGS, {"input": "bc"}))


@when('it ranks these documents for the query "{query}"')
def rank(context: Context, query: str) -> None:
    context.query = query
    context.documents = [row["document"] for row in context.table]
    body = {"query": query, "documents": context.documents, "model": "any"}
    context.reply = context.standalone.post(_RERANK, body)


@then("each has the score that llama.cpp makes of the query with it, and the best comes first")
def ranked(context: Context) -> None:
    reference = _reference(context)
    begin, end = (reference.tokens(mark, around=False) for mark in ("<s>", "</s>"))
    said = [f"ask {context.query} of {document}" for document in context.documents]
    ids = [[*begin, *reference.tokens(text, around=False, control=False), *end] for text in said]
    wanted = {index: float(reference.scores(each)[0]) for index, each in enumerate(ids)}
    context.ranking = replies.ranking(context.reply)
    assert sorted(context.ranking.scores) == sorted(wanted)
    for index, score in context.ranking.scores.items():
        assert abs(score - wanted[index]) < _ROUNDING, (index, score, wanted)
    best = sorted(wanted, key=lambda index: wanted[index], reverse=True)
    assert [*context.ranking.scores] == best != sorted(best), (context.ranking, wanted)
    assert context.ranking.model == f"file:{context.standalone.model}"
    count = sum(len(each) for each in ids)
    assert context.ranking.usage == {"prompt_tokens": count, "total_tokens": count}


@when("it ranks them again with a top_n of {count:d}")
def rank_few(context: Context, count: int) -> None:
    body = {"query": context.query, "documents": context.documents, "top_n": count}
    context.reply = context.standalone.post(_RERANK, body)


@then("it returns the first {count:d} of them")
def few(context: Context, count: int) -> None:
    found = replies.ranking(context.reply)
    assert [*found.scores.items()] == [*context.ranking.scores.items()][:count]


@then('it is refused with {status:d} and {code:w}, and "{words}" is named')
def refused_with(context: Context, status: int, code: str, words: str) -> None:
    assert context.reply.status == status, (context.reply.status, context.reply.body[:300])
    refusal = replies.error_of(context.reply)
    assert refusal.code == code, refusal
    assert words in refusal.message, refusal.message


def _reference(context: Context) -> ReferenceVectors:
    """The worker's model, loaded by the harness itself."""
    found: ReferenceVectors = context.model_files.reference_vectors(context.standalone.model)
    return found
