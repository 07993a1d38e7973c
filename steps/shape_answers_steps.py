"""Answers in a given form, how likely their tokens were, and what moves those."""

import json
import re
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.model_files.reference_decoder import TOLERANCE
from harness.watching import forms, replies, standalone_worker
from harness.world.http_client import EventStream

_PROMPT = "Once upon a time"
_TOKENS = 24
_TASKS = "/v2/tasks"


# Forms


@when(
    "{count:d} answers are asked for at temperature {heat:g}, four at a time, with these schemas "
    "in turn"
)
def with_schemas(context: Context, count: int, heat: float) -> None:
    schemas = [json.loads(row["schema"]) for row in context.table]
    context.heat, context.asked = heat, []
    for first in range(0, count, 4):
        seeds = range(first, first + 4)
        asked = [(seed, schemas[seed % len(schemas)]) for seed in seeds]
        started = [(_in_form(context, schema, seed), schema, seed) for seed, schema in asked]
        for stream, *_ in started:
            stream.wait_for_end(within=60)
        context.asked += started


def _in_form(context: Context, schema: dict[str, Any], seed: int) -> EventStream:
    stream: EventStream = context.standalone.ask(
        _PROMPT,
        400,
        temperature=context.heat,
        ignore_eos=False,
        seed=seed,
        **forms.as_schema(schema),
    )
    assert stream.refused is None, stream.refused
    return stream


@then("each answer is a valid document of its schema, and ends with EOS")
def all_valid(context: Context) -> None:
    for stream, schema, seed in context.asked:
        problem = forms.problem(standalone_worker.text_of(stream), schema)
        assert not problem, (seed, problem)
        assert standalone_worker.done_of(stream)["stop_reason"] == "EOS", (seed, stream.events[-2:])


@then("asked again alone, twice with the same seed, it gives the same document")
def the_same_document(context: Context) -> None:
    _, schema, seed = context.asked[0]
    texts = []
    for _ in range(2):
        stream = _in_form(context, schema, seed)
        stream.wait_for_end(within=60)
        texts.append(standalone_worker.text_of(stream))
    assert texts[0] == texts[1] != "", texts


@when("the worker is asked with these forms, at temperature {heat:g}")
def with_forms(context: Context, heat: float) -> None:
    context.asked = []
    for row in context.table:
        field, text = row["field"], row["value"]
        value = text if field == "grammar" else json.loads(text)
        stream = context.standalone.answer(
            _PROMPT, _TOKENS, temperature=heat, ignore_eos=False, **{field: value}
        )
        context.asked.append((row["matches"], stream))


@then("each answer, or what there is of it, matches that pattern")
def all_match(context: Context) -> None:
    for pattern, stream in context.asked:
        text = standalone_worker.text_of(stream)
        assert text and re.fullmatch(pattern, text, re.DOTALL), (pattern, text)


@when("an answer under a schema is stopped by 3 tokens, and one by a stop sequence")
def stopped(context: Context) -> None:
    schema = forms.as_schema({"const": {"a": "one two three four five"}})
    context.streams = [
        context.standalone.answer(_PROMPT, tokens, ignore_eos=False, **schema, **more)
        for tokens, more in ((3, {}), (60, {"stop": ["four"]}))
    ]


@then("they end with {one:w} and {other:w}")
def they_end_with(context: Context, one: str, other: str) -> None:
    reasons = [standalone_worker.done_of(stream)["stop_reason"] for stream in context.streams]
    assert reasons == [one, other], reasons
    text = standalone_worker.text_of(context.streams[1])
    assert re.search(r"three $", text), text


@when("the worker is asked with each of these forms")
def impossible(context: Context) -> None:
    context.refusals = [
        (row["field"], row["reason"], _refused(context, forms.IMPOSSIBLE[row["form"]]))
        for row in context.table
    ]


def _refused(context: Context, fields: dict[str, Any]) -> EventStream:
    stream: EventStream = context.standalone.ask(
        **{"prompt": _PROMPT, "max_tokens": 1, "ignore_eos": False, **fields}
    )
    return stream


@then("each is refused with {code:w}, which names the field and the reason")
def each_refused(context: Context, code: str) -> None:
    for field, reason, stream in context.refusals:
        assert stream.refused is not None, f"{field} was taken: {stream.events[:2]}"
        refusal = replies.error_of(stream.refused)
        assert (refusal.status, refusal.code) == (400, code), refusal
        (error,) = refusal.details["errors"]
        assert error["field"] == field, error
        assert reason in f"{error['constraint']} {error['message']}", (reason, error)


# On the command line


@then("standard output is a valid document of {name:S}")
def valid_document(context: Context, name: str) -> None:
    schema = json.loads((context.world.tmp / name).read_text())
    problem = forms.problem(context.run.stdout.text, schema)
    assert not problem, problem


@then('it has answered "{one:w}" or "{other:w}"')
def one_of(context: Context, one: str, other: str) -> None:
    assert context.run.stdout.text.strip() in (one, other), context.run.stdout.text


@then("the queen was asked with the schema of {schema:S}, and then with the grammar of {grammar:S}")
def asked_with_forms(context: Context, schema: str, grammar: str) -> None:
    asked = [json.loads(each.body) for each in context.proxy.requests_for("POST", _TASKS)]
    folder = context.world.tmp
    of_schema = forms.as_schema(json.loads((folder / schema).read_text()))["response_format"]
    found = [(each.get("response_format"), each.get("grammar")) for each in asked]
    (one, none), (other_none, text) = found[-2:]
    assert (none, other_none) == (None, None), found
    assert one["type"] == of_schema["type"], one
    assert one["json_schema"]["schema"] == of_schema["json_schema"]["schema"], one
    assert text == (folder / grammar).read_text(), text


# Likelihoods


@when("an answer is made with logprobs {most:d}, at temperature {heat:g}")
def with_logprobs(context: Context, most: int, heat: float) -> None:
    context.stream = context.standalone.answer(
        _PROMPT, _TOKENS, temperature=heat, seed=3, logprobs=most
    )


@when('an answer is held to "{one}" or "{other}", with logprobs {most:d}')
def held_with_logprobs(context: Context, one: str, other: str, most: int) -> None:
    grammar = f'root ::= "{one}" | "{other}"'
    context.stream = context.standalone.answer(
        _PROMPT, _TOKENS, grammar=grammar, ignore_eos=False, logprobs=most
    )


@then("each token's logprob is the model's own, and so are the {most:d} likeliest, in order")
def own_logprobs(context: Context, most: int) -> None:
    pieces = standalone_worker.pieces_of(context.stream)
    rows = context.model_files.reference_decoder.logprobs(_PROMPT, pieces)
    for event, (own, likeliest) in zip(context.stream.named("token"), rows, strict=True):
        told = event.data["logprob"]
        assert abs(told["logprob"] - own) < TOLERANCE, (told, own)
        found = [each["logprob"] for each in told["top"]]
        assert found == sorted(found, reverse=True), told
        assert len(found) == most, told
        apart = (abs(a - b) for a, b in zip(found, likeliest, strict=False))
        assert max(apart, default=0.0) < TOLERANCE, told
        assert len({each["token"] for each in told["top"]}) == most, told


@then("the tokens and their bytes are those of the answer")
def tokens_and_bytes(context: Context) -> None:
    for event in context.stream.named("token"):
        told = event.data["logprob"]
        assert told["token"] == event.data["token"], event.data
        for each in [told, *told["top"]]:
            assert bytes(each["bytes"]).decode(errors="replace") == each["token"], each


@when("the likeliest token is forbidden, and another one is made likelier by {bias:d}")
def biased(context: Context, bias: int) -> None:
    teacher = context.model_files.reference_decoder
    likeliest = teacher.next_token(_PROMPT, [])
    context.other = " zebra"
    (other,) = teacher.tokens(context.other, control=False)
    biases = {str(likeliest): -100, str(other): bias}
    context.stream = context.standalone.answer(_PROMPT, 2, logit_bias=biases)
    without = context.standalone.answer(_PROMPT, 2, logit_bias={str(likeliest): -100})
    context.without = standalone_worker.text_of(without)
    plain = standalone_worker.pieces_of(context.standalone.answer(_PROMPT, 1))
    context.likeliest = plain[0]


@then("the answer begins with the other one")
def the_other(context: Context) -> None:
    text = standalone_worker.text_of(context.stream)
    assert text.startswith(context.other), text
    assert not context.without.startswith(context.likeliest), (context.without, context.likeliest)


@when(
    "the worker is asked with a bias or a prompt with the id {token:d}, which the model does not "
    "have"
)
def no_such_token(context: Context, token: int) -> None:
    wrong: list[tuple[str, object]] = [("logit_bias", {str(token): 1}), ("prompt", [1, token])]
    context.refusals = [
        (field, f"below {token}", _refused(context, {field: value})) for field, value in wrong
    ]


@when("an answer is made with presence_penalty {presence:g} and frequency_penalty {frequency:g}")
def penalized(context: Context, presence: float, frequency: float) -> None:
    context.penalties = presence, frequency
    context.stream = context.standalone.answer(
        _PROMPT, 80, presence_penalty=presence, frequency_penalty=frequency
    )


@then("each token is the likeliest after those penalties, over the whole answer")
def after_penalties(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.stream)
    teacher = context.model_files.reference_decoder
    presence, frequency = context.penalties
    gaps = teacher.logit_gaps(_PROMPT, pieces, presence=presence, frequency=frequency)
    assert max(gaps) <= TOLERANCE, (max(gaps), pieces)
    without = teacher.logit_gaps(_PROMPT, pieces)
    assert [gap for gap in without if gap > TOLERANCE], (without, pieces)


# Prompts


@when("a prompt is answered as text, and as the ids of its tokens")
def as_ids(context: Context) -> None:
    ids = context.model_files.reference_decoder.tokens(_PROMPT)
    context.streams = [
        context.standalone.answer(prompt, _TOKENS, cache_prompt=False, seed=1)
        for prompt in (_PROMPT, ids)
    ]


@when("a task with a prompt of {words:d} words is sent, and then once more with another end")
def long_tasks(context: Context, words: int) -> None:
    prompt = standalone_worker.prompt_of_words(words)
    url = f"{context.world.queen_url}{_TASKS}"
    context.streams = []
    for end in ("", standalone_worker.prompt_of_words(words // 2, seed=5)):
        body = {"prompt": f"{prompt} {end}", "max_tokens": 1}
        stream = context.world.stream("POST", url, body)
        stream.wait_for_end(within=90)
        context.streams.append(stream)


@then("the progress of the first goes up to the whole prompt, and none of it was cached")
def progress(context: Context) -> None:
    stream = context.streams[0]
    whole = standalone_worker.done_of(stream)["prompt_tokens"]
    told = [event.data for event in stream.named("prefill")]
    assert told, [event.name for event in stream.events]
    read = [each["tokens_read"] for each in told]
    assert read == sorted({*read}), read
    assert 0 < read[0] <= read[-1] < whole, (read, whole)
    assert {(each["tokens_total"], each["cached"]) for each in told} == {(whole, 0)}, told
    names = [event.name for event in stream.events]
    assert names.index("started") < names.index("prefill"), names
    assert max(at for at, name in enumerate(names) if name == "prefill") < names.index("token")


@then("the progress of the second begins behind what the cache had")
def progress_behind(context: Context) -> None:
    stream = context.streams[1]
    done = standalone_worker.done_of(stream)
    told = [event.data for event in stream.named("prefill")]
    assert done["cached_tokens"] > 100, done
    assert told, [event.name for event in stream.events]
    assert {each["cached"] for each in told} == {done["cached_tokens"]}, (told, done)
    assert told[0]["tokens_read"] > done["cached_tokens"], told


@then("at most ten events a second tell it")
def not_too_often(context: Context) -> None:
    for stream in context.streams:
        told = stream.named("prefill")
        took = told[-1].at - stream.named("started")[0].at
        assert len(told) <= 10 * took + 2, (len(told), took)
