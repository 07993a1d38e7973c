"""Programs that were written for other people's protocols, with the packages that those have."""

import json
from itertools import groupby
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import BUNDLED
from harness.watching import channels, openai_figures, openai_package, protocol_errors, replies
from harness.watching.openai_package import OpenAIPackage
from harness.watching.raw_requests import bearer
from harness.world import cluster
from harness.world.waiting import wait_until

_LONG = {"max_tokens": 6000, "temperature": 0, "ignore_eos": True}
_CALLS: list[dict[str, Any]] = [
    {"tools": channels.TOOLS, "tool_choice": "required", "seed": 1, "max_tokens": 200},
    {
        "tools": channels.TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "is_day"}},
        "max_tokens": 200,
    },
]


def _package(context: Context) -> OpenAIPackage:
    return OpenAIPackage(context.world.queen_url, context.world.key)


# Chats


@when("OpenAI's package asks for a chat with each of these fields, whole and streamed")
def chats(context: Context) -> None:
    _ask(context, [json.loads(row["fields"]) for row in context.table])


@when("OpenAI's package asks for calls of one of two functions, whole and streamed")
def calls(context: Context) -> None:
    _ask(context, _CALLS)


def _ask(context: Context, asked: list[dict[str, Any]]) -> None:
    package = _package(context)
    context.asked = asked
    context.answers = [(package.chat(each), package.chat_chunks(each)) for each in asked]


@then("every reply and every chunk is of the package's types, and the chunks are in order")
def in_order(context: Context) -> None:
    """The types were checked as they came."""
    for _, chunks in context.answers:
        wrong = openai_package.disorder(chunks)
        assert not wrong, (wrong, chunks)
    heads = [head for reply, chunks in context.answers for head in (reply, chunks[0])]
    wrong = openai_figures.heads_problem(heads)
    assert not wrong, wrong


@then("each stream says what its reply says")
def says_the_same(context: Context) -> None:
    for asked, (reply, chunks) in zip(context.asked, context.answers, strict=True):
        whole, streamed = openai_package.choices_of(reply), openai_package.gathered(chunks)
        assert len(whole) == len(streamed) == asked.get("n", 1), (asked, whole, streamed)
        assert whole[0] == streamed[0], (asked, whole, streamed)
        names = {reply["model"], chunks[0]["model"]}
        assert names == {asked["model"] or BUNDLED}, (asked, names)


@then("usage and timings count the tokens of each")
def figures(context: Context) -> None:
    for asked, (reply, chunks) in zip(context.asked, context.answers, strict=True):
        for found in (reply, chunks[-1]):
            wrong = openai_figures.figures_problem(found)
            assert not wrong, (asked, wrong)
    first = context.answers[0][0]
    assert first["usage"]["completion_tokens"] == context.asked[0]["max_tokens"], first
    wrong = openai_figures.writing_problem(first["timings"])
    assert not wrong, wrong
    likely = openai_package.choices_of(context.answers[1][0])[0]["tokens"]
    assert len(likely) == context.answers[1][0]["usage"]["completion_tokens"], likely
    assert all(each.endswith(" 2") for each in likely), likely
    wrong = openai_figures.likelihoods_problem(context.answers[1][0]["choices"][0])
    assert not wrong, wrong


@then("they finished for these reasons: {reasons}")
def finished(context: Context, reasons: str) -> None:
    """Each stream says so, too: that is compared with its reply."""
    found = [openai_package.choices_of(reply)[0]["reason"] for reply, _ in context.answers]
    assert found == reasons.split(", "), found


@then("the asynchronous client gets the first answer too, whole and streamed")
def asynchronously(context: Context) -> None:
    whole, chunks = _package(context).both_asynchronously(context.asked[0])
    wanted = openai_package.choices_of(context.answers[0][0])
    assert openai_package.choices_of(whole) == wanted, whole
    assert openai_package.gathered(chunks) == wanted, chunks
    unasked = [each for each in chunks if not each["choices"] or each.get("usage")]
    assert not unasked, unasked


@when("OpenAI's package asks for a chat with these fields")
def asks_with_fields(context: Context) -> None:
    _package(context).chat({row["field"]: json.loads(row["value"]) for row in context.table})


# Forms and calls


@when("OpenAI's package parses an answer into a class of pydantic, in turn and asynchronously")
def parses(context: Context) -> None:
    context.parsed = _package(context).parsed(openai_package.person_class())


@then("both are that class, within its limits")
def parsed(context: Context) -> None:
    assert [openai_package.person_problem(each) for each in context.parsed] == ["", ""], (
        context.parsed
    )


@then("each answer is calls of those functions, whose arguments are valid after their schemas")
def are_calls(context: Context) -> None:
    for reply, chunks in context.answers:
        assert reply["choices"][0]["message"]["content"] is None, reply
        for found in (openai_package.choices_of(reply), openai_package.gathered(chunks)):
            wrong = openai_package.call_problems(found)
            assert not wrong, wrong
    second = [name for name, _ in openai_package.choices_of(context.answers[1][0])[0]["calls"]]
    assert second == ["is_day"], second


@then("the package's own reader of streams finds the same kind of calls")
def reader_finds(context: Context) -> None:
    kinds, found = _package(context).read_calls(context.asked[0])
    assert kinds.count("tool_calls.function.arguments.done") == len(found) > 0, kinds
    wrong = [problem for call in found if (problem := channels.problem(*call))]
    assert not wrong, wrong


# Completions, vectors and scores


@when("OpenAI's package completes prompts with each of these fields, whole and streamed")
def completes(context: Context) -> None:
    context.asked = [json.loads(row["fields"]) for row in context.table]
    context.answers = [_package(context).complete(each) for each in context.asked]


@then("the texts have those choices, and the streams say what the replies say")
def texts(context: Context) -> None:
    for asked, (reply, chunks) in zip(context.asked, context.answers, strict=True):
        wrong = openai_package.text_problem(asked, reply, chunks)
        assert not wrong, (wrong, reply, chunks)
        prompts = asked["prompt"] if isinstance(asked["prompt"], list) else [asked["prompt"]]
        tokens = context.model_files.reference_decoder.tokens
        count = sum(len(tokens(each) if isinstance(each, str) else each) for each in prompts)
        assert reply["usage"]["prompt_tokens"] == count, (asked, reply["usage"], count)


@then("a completion with each of these is refused, and the field is named")
def refused_completions(context: Context) -> None:
    url = f"{context.world.queen_url}/v1/completions"
    for row in context.table:
        body = {"prompt": "Once", "model": "smollm2", **json.loads(row["fields"])}
        reply = context.world.call("POST", url, body, timeout=30)
        found = protocol_errors.shaped(reply), reply.json["error"]["param"]
        assert found == ((400, "invalid_request"), row["field"]), (row, reply)


@when('OpenAI\'s package embeds "{text}" as text, in a list, and as base64')
def embeds(context: Context, text: str) -> None:
    package = _package(context)
    context.sentence = text
    context.vectors = [
        *package.embed(text, encoding_format="float"),
        *package.embed([text, text]),
        *package.embed(text, encoding_format="base64", dimensions=576),
    ]
    (context.shortened,) = package.embed(text, dimensions=64)


@then("every vector is the one that the worker itself makes")
def same_vectors(context: Context) -> None:
    (worker,) = cluster.workers(context.world)
    url = f"{worker['url']}/v1/embeddings"
    reply = context.world.call("POST", url, {"input": context.sentence}, timeout=30)
    wanted = replies.embeddings(reply).matrix[0]
    assert len(context.vectors) == 4
    for found in context.vectors:
        near = openai_package.cosine(found, wanted)
        assert 0.999 < near < 1.001, near
    assert len(context.shortened) == 64, len(context.shortened)
    length = sum(number * number for number in wanted[:64]) ** 0.5
    near = openai_package.cosine(context.shortened, [number / length for number in wanted[:64]])
    assert 0.999 < near < 1.001, near


@when('the queen ranks "{one}" and "{other}" for "{query}" with {model}')
def ranks(context: Context, one: str, other: str, query: str, model: str) -> None:
    reference = f"file:{context.model_files.named(model.strip('<>'))}"
    context.ranked = {"query": query, "documents": [one, other]}
    body = {**context.ranked, "model": reference, "top_n": 2, "return_documents": False}
    url = f"{context.world.queen_url}/v1/rerank"
    context.reply = context.world.call("POST", url, body, timeout=60)
    assert replies.ranking(context.reply).model == reference, context.reply.body
    short = f"{context.world.queen_url}/rerank"
    context.best = context.world.call("POST", short, {**body, "top_n": 1}, timeout=60)


@then("the scores are those of its worker, with the best first")
def ranked(context: Context) -> None:
    worker = cluster.workers(context.world)[-1]
    reply = context.world.call("POST", f"{worker['url']}/v1/rerank", context.ranked, timeout=30)
    wanted, found = replies.ranking(reply).scores, replies.ranking(context.reply).scores
    assert list(found) == list(wanted), (found, wanted)
    assert sorted(found.values(), reverse=True) == list(found.values()), found
    assert all(abs(found[at] - wanted[at]) < 2e-3 for at in (0, 1)), (found, wanted)
    assert list(replies.ranking(context.best).scores) == list(wanted)[:1], context.best


# Models


@when("OpenAI's package lists the models until the bundled one is there")
def lists(context: Context) -> None:
    context.listed = wait_until(
        "the bundled model in the list",
        _package(context).models,
        20,
        lambda found: found.get(BUNDLED) == "loaded",
    )


@then("it lists the bundled one and its aliases as loaded, and other aliases as unloaded")
def listed(context: Context) -> None:
    loaded = {name for name, state in context.listed.items() if state == "loaded"}
    assert loaded == {BUNDLED, "smollm2", "Mine", "tinyllama"}, context.listed
    others = {name for name, state in context.listed.items() if state == "unloaded"}
    assert others == {"qwen-0.5b"}, context.listed
    assert _package(context).short_ids() == [*context.listed]


@then("it finds each of these, asked for by name: {names}")
def finds(context: Context, names: str) -> None:
    found = [_package(context).model(name) for name in names.split(", ")]
    assert found == ["Mine", "Mine", BUNDLED, "smollm2"], found


@then("a chat that names no model is answered by {name:w}")
def answered_by_default(context: Context, name: str) -> None:
    reply = _package(context).chat({"model": "", "max_tokens": 1})
    assert reply["model"] == name, reply["model"]


@then('asked for "{name}", it says that "{near}" is near')
def near(context: Context, name: str, near: str) -> None:
    error = _package(context).refusal({"model": name})
    assert near in error.body["rbee"]["details"]["near"], error.body
    assert near in error.body["message"], error.body


@then("the list takes less than {most:d} ms")
def quick_list(context: Context, most: int) -> None:
    least = protocol_errors.least_ms(f"{context.world.queen_url}/v1/models", context.world.key)
    assert least < most, least


@when("a chat with {model} is asked for")
def chat_with(context: Context, model: str) -> None:
    world, file = context.world, context.model_files.named(model.strip("<>"))
    body = openai_package.body({"model": f"file:{file}", "max_tokens": 1})
    states: list[str] = []

    def state() -> list[str]:
        reply = protocol_errors.get(f"{world.queen_url}/v1/models", bearer(world.key))
        told = [each for each in reply.json["data"] if each["id"] == body["model"]]
        states.extend(each["status"]["value"] for each in told)
        return states

    with protocol_errors.asked(f"{world.queen_url}/v1/chat/completions", world.key, body):
        wait_until("the model to be loaded", state, 60, lambda found: "loaded" in found)
    context.states = states


@then("the list tells that it is loading, and then that it is loaded")
def told_of_loading(context: Context) -> None:
    assert [state for state, _ in groupby(context.states)] == ["loading", "loaded"], context.states


# What is refused


@then("OpenAI's package is refused each of these")
def is_refused(context: Context) -> None:
    package = _package(context)
    context.refusals = {}
    for row in context.table:
        fields = json.loads(row["fields"].replace("<a text of 9000 words>", "hello " * 9000))
        error = package.refusal(fields)
        found = type(error).__name__, error.code, error.param
        assert found == (row["error"], row["code"], row["param"]), (row, found, str(error))
        assert error.body["message"] and error.body["type"] == "invalid_request_error", error.body
        context.refusals[row["param"]] = error


@then('the error for "{name}" names the nearest: {near}')
def names_the_nearest(context: Context, name: str, near: str) -> None:
    message = context.refusals["model"].body["message"]
    assert repr(name) in message and near in message, message


@then(
    "with a wrong key, as Bearer and as X-Api-Key, every route of the protocol answers "
    "{status:d} in that shape"
)
def wrong_keys(context: Context, status: int) -> None:
    found = protocol_errors.with_wrong_keys(context.world.queen_url)
    assert len(found) == 45 and {*found.values()} == {(status, "invalid_api_key")}, found


@then("with the right key as X-Api-Key, the models are listed")
def other_header(context: Context) -> None:
    reply = protocol_errors.get(
        f"{context.world.queen_url}/models", {"X-Api-Key": context.world.key}
    )
    assert reply.status == 200 and reply.json["object"] == "list", reply


@then(
    "a body that is not JSON, and one of {size:d} bytes, are refused in that shape, as is an"
    " unknown path"
)
def odd_bodies(context: Context, size: int) -> None:
    found = protocol_errors.with_odd_bodies(context.world.queen_url, context.world.key, size)
    *bodies, too_long, nothing = found
    assert bodies == [(400, "invalid_request")] * 12, bodies
    assert (too_long, nothing) == ((413, "invalid_request"), (404, "invalid_request")), found


# Clients that close, and clients that wait


@when("OpenAI's package streams a long answer, and closes it in the middle")
def closes(context: Context) -> None:
    _package(context).close_in_the_middle(_LONG, after=5)


@when("a long answer is asked for as a whole, and its client leaves")
def leaves(context: Context) -> None:
    url = f"{context.world.queen_url}/v1/chat/completions"
    with protocol_errors.asked(url, context.world.key, openai_package.body(_LONG)):
        cluster.wait_for_state(context.world, "busy", within=20)


@then("the slot is free within {seconds:d} s")
def is_free(context: Context, seconds: int) -> None:
    cluster.wait_for_state(context.world, "idle", within=seconds)


@when("a chat streams while the slot is busy")
def waits(context: Context) -> None:
    url = f"{context.world.queen_url}/v1/chat/completions"
    asked = {"messages": openai_package.QUESTION, "max_tokens": 3, "stream": True}
    context.chat = context.world.stream("POST", url, asked)


@then("after {least:d} s it has its status 200, within {most:d} s, and a comment, but no chunk")
def early_headers(context: Context, least: int, most: int) -> None:
    assert context.chat.refused is None, context.chat.refused
    assert least <= context.chat.opened_after < most, context.chat.opened_after
    wait_until("a comment", lambda: context.chat.comments, 1)
    assert not context.chat.events, context.chat.events


@then("OpenAI's package is refused one more with {status:d} and Retry-After")
def one_more(context: Context, status: int) -> None:
    error = _package(context).refusal({})
    found = error.status_code, error.code, error.body["type"]
    assert found == (status, "queue_full", "server_error"), error.body
    assert int(error.response.headers["Retry-After"]) >= 1, error.response.headers


@then("the chat is answered, and ends with [DONE]")
def is_answered(context: Context) -> None:
    context.chat.wait_for_end(within=30)
    chunks = [event.data for event in context.chat.events[:-1]]
    assert chunks[-1]["choices"][0]["finish_reason"], chunks
