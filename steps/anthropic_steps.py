"""Programs that were written for Anthropic, with Anthropic's own package."""

import json
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import BUNDLED
from harness.watching import anthropic_package, channels
from harness.watching.anthropic_package import AnthropicPackage
from harness.world.waiting import wait_until

_LONG = {"max_tokens": 6000, "temperature": 0}
_TOO_LONG = 16_777_217
_CALLS: list[dict[str, Any]] = [
    {
        "tools": anthropic_package.TOOLS,
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "temperature": 0,
        "max_tokens": 200,
    },
    {
        "tools": anthropic_package.TOOLS,
        "tool_choice": {"type": "tool", "name": "is_day"},
        "temperature": 0,
        "max_tokens": 200,
    },
]


def _package(context: Context) -> AnthropicPackage:
    return AnthropicPackage(context.world.queen_url, context.world.key)


# Messages


@when("Anthropic's package asks for messages with each of these fields, whole and streamed")
def messages(context: Context) -> None:
    _ask(context, [json.loads(row["fields"]) for row in context.table])


@when("Anthropic's package asks for calls of one of two functions, whole and streamed")
def calls(context: Context) -> None:
    _ask(context, _CALLS)


@when("Anthropic's package asks for a message with these fields")
def with_fields(context: Context) -> None:
    _package(context).message({row["field"]: json.loads(row["value"]) for row in context.table})


def _ask(context: Context, asked: list[dict[str, Any]]) -> None:
    package = _package(context)
    context.asked = asked
    context.answers = [(package.message(each), package.events(each)) for each in asked]


@then("every reply and every event is of the package's types, and the events are in order")
def in_order(context: Context) -> None:
    """The types were checked as they came."""
    for _, events in context.answers:
        wrong = anthropic_package.disorder(events)
        assert not wrong, (wrong, events)
    ids = [
        each["id"] for reply, events in context.answers for each in (reply, events[0]["message"])
    ]
    assert len({*ids}) == len(ids) and all(each.startswith("msg_") for each in ids), ids


@then("each stream of events says what its reply says")
def says_the_same(context: Context) -> None:
    for asked, (reply, events) in zip(context.asked, context.answers, strict=True):
        streamed = anthropic_package.gathered(events)
        assert anthropic_package.said(reply) == anthropic_package.said(streamed), (reply, streamed)
        names = {reply["model"], streamed["model"]}
        assert names == {asked["model"] or BUNDLED}, (asked, names)
        spent = [each["usage"]["output_tokens"] for each in (reply, streamed)]
        assert spent[0] == spent[1] <= asked["max_tokens"], (asked, spent)


@then("they stopped for these reasons: {reasons}")
def reasons(context: Context, reasons: str) -> None:
    found = [reply["stop_reason"] for reply, _ in context.answers]
    assert found == reasons.split(", "), found
    assert [reply["role"] for reply, _ in context.answers] == ["assistant"] * len(found)
    assert context.answers[-1][0]["content"] == [], context.answers[-1]


@then("the second tells which of its stop sequences came, and does not show it")
def stop_sequence(context: Context) -> None:
    reply, asked = context.answers[1][0], context.asked[1]
    [block] = reply["content"]
    assert reply["stop_sequence"] in asked["stop_sequences"][1:], reply
    assert not any(stop in block["text"] for stop in asked["stop_sequences"]), reply


@then("the package counts as many tokens of each prompt as its usage has")
def counts(context: Context) -> None:
    counted = [_package(context).count(each) for each in context.asked]
    for asked, (reply, events), count in zip(context.asked, context.answers, counted, strict=True):
        streamed = anthropic_package.gathered(events)
        found = [anthropic_package.prompt_tokens(each) for each in (reply, streamed)]
        began = events[0]["message"]["usage"]["input_tokens"]
        assert [*found, began] == [count] * 3, (asked, found, began, count)
    assert counted[0] == counted[1] == counted[3] > counted[2], counted


@then("the package's reader of streams, and the asynchronous client, get the first message too")
def other_ways(context: Context) -> None:
    wanted = anthropic_package.said(context.answers[0][0])
    text, message = _package(context).read(context.asked[0])
    whole, streamed = _package(context).asynchronously(context.asked[0])
    for each in (message, whole, streamed):
        assert anthropic_package.said(each) == wanted, (each, wanted)
    assert text == message["content"][0]["text"], (text, message)


@then("an answer that the assistant has begun goes on as the first message does")
def goes_on_from(context: Context) -> None:
    whole = context.answers[0][0]["content"][0]["text"]
    begun = " ".join(whole.split(" ")[:2])
    turns = [*anthropic_package.QUESTION, {"role": "assistant", "content": begun}]
    reply = _package(context).message({**context.asked[0], "messages": turns})
    (block,) = reply["content"]
    rest = whole.removeprefix(begun)
    assert rest and block["text"].startswith(rest), (whole, block)


# Calls, reasoning


@then("each message is calls of those functions, whose input is valid after their schemas")
def are_calls(context: Context) -> None:
    for asked, (reply, events) in zip(context.asked, context.answers, strict=True):
        counted = _package(context).count(asked)
        assert anthropic_package.prompt_tokens(reply) == counted, (reply["usage"], counted)
        for message in (reply, anthropic_package.gathered(events)):
            assert message["stop_reason"] == "tool_use", message
            for block in message["content"]:
                assert block["type"] == "tool_use" and block["id"], block
                wrong = channels.problem(block["name"], json.dumps(block["input"]))
                assert not wrong, wrong
    assert [block["name"] for block in context.answers[1][0]["content"]] == ["is_day"]


@then("a conversation goes on with the results of such calls, as text, as blocks, and as an error")
def goes_on(context: Context) -> None:
    reply = context.answers[1][0]
    call = reply["content"][0]["id"]
    result = {"type": "tool_result", "tool_use_id": call}
    for more in (
        {"content": "yes"},
        {"content": [{"type": "text", "text": "yes"}]},
        {"content": "no such place", "is_error": True},
        {},
    ):
        turns = [{"role": "assistant", "content": reply["content"]}]
        turns += [{"role": "user", "content": [{**result, **more}]}]
        asked = {**_CALLS[1], "tool_choice": {"type": "auto"}, "max_tokens": 4}
        said = [*anthropic_package.QUESTION, *turns]
        answer = _package(context).message({**asked, "messages": said})
        assert 0 < answer["usage"]["output_tokens"] <= 4, answer


@when("the package's runner of tools asks {model}, whole and streamed")
def runs_tools(context: Context, model: str) -> None:
    name = f"file:{context.model_files.named(model.strip('<>'))}"
    context.ran = _package(context).run_tools(name)


@then('each time it has run its function for "{city}", and the model ends with "{words}"')
def has_run_tools(context: Context, city: str, words: str) -> None:
    assert context.ran == [([city], words), ([city], words)], context.ran


@when("Anthropic's package parses an answer into a class of pydantic, in turn and asynchronously")
def parses(context: Context) -> None:
    context.parsed = _package(context).parsed(anthropic_package.pet_class())


@then("both are of that class, and valid")
def parsed(context: Context) -> None:
    assert [type(pet).__name__ for pet in context.parsed] == ["Pet", "Pet"], context.parsed
    assert {pet.kind for pet in context.parsed} <= {"cat", "dog"}, context.parsed
    assert {pet.is_old for pet in context.parsed} <= {True, False}, context.parsed


@when("{model} is asked with and without thinking, and with its display omitted")
def thinks_or_not(context: Context, model: str) -> None:
    name = f"file:{context.model_files.named(model.strip('<>'))}"
    on = {"type": "enabled", "budget_tokens": 1024}
    how: list[dict[str, Any]]
    off = {"type": "disabled"}
    how = [{"thinking": on}, {"thinking": off}, {"thinking": {**on, "display": "omitted"}}]
    asked = [{"model": name, "max_tokens": 99, **each} for each in how]
    _ask(context, asked)


@when("a call of {name:w} is cut after {count:d} tokens")
def cut_call(context: Context, name: str, count: int) -> None:
    choice = {"type": "tool", "name": name}
    _ask(context, [{**_CALLS[1], "tool_choice": choice, "max_tokens": count}])


@then("what came of its arguments is told as text")
def unreadable(context: Context) -> None:
    ((reply, _),) = context.answers
    (block,) = reply["content"]
    assert (reply["stop_reason"], block["type"]) == ("max_tokens", "tool_use"), reply
    assert set(block["input"]) == {"unreadable_arguments"}, block
    assert block["input"]["unreadable_arguments"].startswith("{"), block


@when("{model} is asked, which can't do otherwise, and nobody asks for its thinking")
def thinks_unasked(context: Context, model: str) -> None:
    name = f"file:{context.model_files.named(model.strip('<>'))}"
    _ask(context, [{"model": name, "max_tokens": 5, "temperature": 0}])


@then("it has thought, and none of that is shown")
def unseen(context: Context) -> None:
    ((reply, events),) = context.answers
    assert reply["usage"]["output_tokens_details"]["thinking_tokens"] > 0, reply
    assert reply["content"] == [], reply
    assert "content_block_start" not in {each["type"] for each in events}, events


@then(
    'the first reasons "{thought}", the second not at all, and the third unseen, '
    'and each says "{text}"'
)
def thought_of(context: Context, thought: str, text: str) -> None:
    for reply, events in context.answers:
        streamed = anthropic_package.gathered(events)
        assert anthropic_package.said(reply) == anthropic_package.said(streamed), (reply, events)
        assert not anthropic_package.disorder(events), events
    shown, none, unseen = (reply["content"] for reply, _ in context.answers)
    answer = {"type": "text", "text": text}
    assert shown[0]["thinking"] == thought and shown[0]["signature"], shown
    assert unseen[0]["thinking"] == "" and unseen[0]["signature"], unseen
    assert shown[1:] == unseen[1:] == none == [answer], (shown, none, unseen)
    spent = [reply["usage"]["output_tokens_details"] for reply, _ in context.answers]
    assert spent == [{"thinking_tokens": count} for count in (1, 0, 1)], spent


@then("a conversation goes on with the blocks of each")
def goes_on_after_thinking(context: Context) -> None:
    """The model reads its reasoning again, seen or not."""
    counted = []
    for asked, (reply, _) in zip(context.asked, context.answers, strict=True):
        turns = [{"role": "assistant", "content": reply["content"]}, *anthropic_package.QUESTION]
        said = {**asked, "messages": [*anthropic_package.QUESTION, *turns]}
        counted.append(_package(context).count(said))
    assert counted[0] == counted[2] > counted[1], counted


# What is refused


@then("Anthropic's package is refused each of these")
def refused(context: Context) -> None:
    for row in context.table:
        fields = json.loads(row["fields"].replace("<a text of 9000 words>", "hello " * 9000))
        error = _package(context).refusal(fields)
        found = type(error).__name__, error.type
        assert found == (row["error"], row["type"]), (row, found, str(error))
        assert row["words"] in error.api_message, (row, error.api_message)
        assert error.request_id and error.request_id == error.body["request_id"], error.body


@then(
    "with a wrong key, as Bearer and as X-Api-Key, every route of Anthropic's answers {status:d} "
    "in that shape"
)
def wrong_keys(context: Context, status: int) -> None:
    found = anthropic_package.with_wrong_keys(context.world.queen_url)
    assert len(found) == 12 and {*found.values()} == {(status, "authentication_error")}, found


@then("bodies that are not JSON or too long, and unknown routes, are refused in Anthropic's shape")
def odd_bodies(context: Context) -> None:
    url, key = context.world.queen_url, context.world.key
    found = anthropic_package.with_odd_bodies(url, key, _TOO_LONG)
    wanted = [(400, "invalid_request_error")] * 2 + [(413, "request_too_large")] * 2
    assert found == [*wanted, (404, "not_found_error")], found


@then("Anthropic's package lists the models page by page, and finds {name} by name")
def lists(context: Context, name: str) -> None:
    wanted = {"bundled:smollm2-135m-instruct", "tinyllama", "qwen-0.5b", "smollm2"}
    package = _package(context)
    found = wait_until("the models", package.models, 20, lambda found: len(found) == len(wanted))
    assert {*found} == wanted, found
    assert package.model(name.upper()) == name
    assert package.models_before(found[3], 2) == found[1:3], found


# Clients that close, and clients that wait


@when("Anthropic's package streams a long answer, and closes it in the middle")
def closes(context: Context) -> None:
    _package(context).close_in_the_middle(_LONG, after=5)


@then("the package still counts tokens at once")
def counts_at_once(context: Context) -> None:
    assert 20 < _package(context).count({}) < 60


@when("a message streams while the slot is busy")
def waits(context: Context) -> None:
    url = f"{context.world.queen_url}/v1/messages?beta=true"
    asked = anthropic_package.body({"max_tokens": 3, "stream": True})
    context.message = context.world.stream("POST", url, asked)


@then(
    "after {least:d} s the message has its status 200, within {most:d} s, and a comment, "
    "but no event"
)
def early_headers(context: Context, least: int, most: int) -> None:
    assert context.message.refused is None, context.message.refused
    assert least <= context.message.opened_after < most, context.message.opened_after
    wait_until("a comment", lambda: context.message.comments, 1)
    assert not context.message.events, context.message.events


@then("Anthropic's package is refused one more with {status:d}, Retry-After and {kind:S}")
def one_more(context: Context, status: int, kind: str) -> None:
    error = _package(context).refusal({})
    assert (error.status_code, error.type) == (status, kind), error
    assert int(error.response.headers["Retry-After"]) >= 1, error.response.headers


@then("the message is answered, and ends with {last:S}")
def answered(context: Context, last: str) -> None:
    context.message.wait_for_close(within=30)
    events = [event.data for event in context.message.events if event.name != "ping"]
    names = [event.name for event in context.message.events]
    assert (names[:2], names[-1]) == (["message_start", "ping"], last), names
    wrong = anthropic_package.disorder(events)
    assert not wrong, (wrong, events)
