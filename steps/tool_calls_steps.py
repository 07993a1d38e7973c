"""Functions that a model calls, and reasoning: channels of an answer beside its text."""

import json
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.watching import channels, standalone_worker
from harness.watching.standalone_worker import StandaloneWorker
from harness.world.http_client import EventStream

_TOKENS = 200


def _ask(context: Context, **fields: Any) -> EventStream:
    body = {"messages": channels.QUESTION, "max_tokens": _TOKENS, "temperature": 0}
    stream: EventStream = context.standalone.ask_with({**body, **fields})
    return stream


# Calls


@when("{count:d} answers must call one of two functions, at temperature {heat:g}")
def must_call(context: Context, count: int, heat: float) -> None:
    how = {"tools": channels.TOOLS, "tool_choice": "required", "temperature": heat}
    context.asked = [_ask(context, seed=seed, **how) for seed in range(count)]


@then("each is calls of those functions, whose arguments are valid after their schemas")
def valid_calls(context: Context) -> None:
    for stream in context.asked:
        said = channels.said(stream)
        assert said and all(channel == "tool_call" for channel, _, _ in said), said
        done = standalone_worker.done_of(stream)
        calls = said if done["stop_reason"] == "TOOL_CALLS" else said[:-1]
        problems = [channels.problem(name, arguments) for _, name, arguments in calls]
        assert not any(problems), problems


@then("each ends with TOOL_CALLS, with its calls numbered and an id for each")
def ends_with_calls(context: Context) -> None:
    for stream in context.asked:
        assert standalone_worker.done_of(stream)["stop_reason"] == "TOOL_CALLS", stream.events[-2:]
        begun = channels.begun(stream)
        assert [call["index"] for call in begun] == list(range(len(begun))), begun
        assert len({call["id"] for call in begun if call["id"]}) == len(begun), begun


@when("the second function must be called, and when only one call may come")
def one_call(context: Context) -> None:
    named = {"type": "function", "function": {"name": channels.TOOLS[1]["function"]["name"]}}
    context.asked = [
        _ask(context, tools=channels.TOOLS, tool_choice=named),
        _ask(context, tools=channels.TOOLS, tool_choice="required", parallel_tool_calls=False),
    ]


@then("both answers are one call, the first of the second function")
def is_one_call(context: Context) -> None:
    calls = [channels.begun(stream) for stream in context.asked]
    assert [len(each) for each in calls] == [1, 1], calls
    assert calls[0][0]["name"] == channels.TOOLS[1]["function"]["name"], calls
    valid_calls(context)


@when("a model of each of these families is offered two functions")
def of_each_family(context: Context) -> None:
    context.reasoning = {row["family"] for row in context.table if row["reasons"] == "yes"}
    families = [row["family"] for row in context.table]
    context.answered = {
        each: _of_family(context, each, True, tools=channels.TOOLS) for each in families
    }


@when("each must call one, and is not taught to reason")
def must_call_one(context: Context) -> None:
    how = {"tools": [channels.WEATHER_IN_PARIS], "tool_choice": "required"}
    # With one family a call is a channel like any other, and its models reason in one always.
    context.reasoning = {"gpt-oss"}
    context.answered = {
        each: _of_family(context, each, False, **how, parallel_tool_calls=False)
        for each in context.answered
    }


def _of_family(context: Context, family: str, reasons: bool, **how: Any) -> EventStream:
    model = context.model_files.that_calls_as(family, reasons)
    context.standalone = StandaloneWorker(context.world, "--slots 1", model)
    answer = _ask(context, **how)
    context.standalone.process.terminate()
    context.standalone.process.wait(20)
    return answer


@then("each of those that reason does so, and then each calls weather for Paris")
def as_its_family(context: Context) -> None:
    faults = []
    for family, stream in context.answered.items():
        said, reason = channels.said(stream), standalone_worker.done_of(stream)["stop_reason"]
        *before, (channel, function, arguments) = said or [("", "", "")]
        right = (
            before == ([("reasoning", "", "Hm.")] if family in context.reasoning else [])
            and (channel, function, reason) == ("tool_call", "weather", "TOOL_CALLS")
            and json.loads(arguments) == {"city": "Paris"}
        )
        if not right:
            faults.append(f"{family}: {said}, {reason}")
    assert not faults, "\n".join(faults)


@when("the model is made to write a call without functions, and with tool_choice none")
def written_call(context: Context) -> None:
    grammar = f"root ::= {json.dumps(channels.WRITTEN_CALL)}"
    none = {"tools": channels.TOOLS, "tool_choice": "none"}
    context.asked = [_ask(context, grammar=grammar, **more) for more in ({}, none)]


@then("both answers are text, with {reason:w}")
def only_text(context: Context, reason: str) -> None:
    for stream in context.asked:
        assert channels.said(stream) == [("text", "", channels.WRITTEN_CALL)], channels.said(stream)
        assert standalone_worker.done_of(stream)["stop_reason"] == reason


@when("it is asked with another function than the one that it calls")
def another_function(context: Context) -> None:
    context.asked = [_ask(context, tools=[channels.TOOLS[1]])]


@then('its answer is text that says "{words}", with {reason:w}')
def is_text(context: Context, words: str, reason: str) -> None:
    ((channel, _, text),) = channels.said(context.asked[0])
    assert channel == "text" and words in text, (channel, text)
    assert standalone_worker.done_of(context.asked[0])["stop_reason"] == reason


@when(
    "a function without parameters must be called, and a quotation mark is made likelier by "
    "{bias:d}"
)
def nothing_to_tell(context: Context, bias: int) -> None:
    (mark,) = context.model_files.reference_decoder.tokens('"', control=False)
    tool = {"type": "function", "function": {"name": "rest"}}
    how = {"tool_choice": "required", "parallel_tool_calls": False, "logit_bias": {str(mark): bias}}
    context.asked = [_ask(context, tools=[tool], **how)]


@then("it is called without arguments")
def without_arguments(context: Context) -> None:
    ((_, name, arguments),) = channels.said(context.asked[0])
    assert (name, json.loads(arguments)) == ("rest", {}), (name, arguments)


@when("the worker is asked with each of these tools")
def wrong_tools(context: Context) -> None:
    context.refusals = []
    for row in context.table:
        fields = {"messages": channels.QUESTION, **json.loads(row["fields"])}
        reply = context.standalone.post("/v1/inference", fields)
        context.refusals.append((row["names"], reply))


@then("each is refused as INVALID_REQUEST and names that field")
def names_the_field(context: Context) -> None:
    for field, reply in context.refusals:
        assert reply.status == 400, reply
        error = reply.json["error"]
        assert error["code"] == "INVALID_REQUEST", error
        assert [wrong["field"] for wrong in error["details"]["errors"]] == [field], error


# Reasoning


@when('it is made to answer "{text}" to a message, and to a raw prompt')
def made_to_answer(context: Context, text: str) -> None:
    """The raw prompt ends as the template would."""
    how = {"grammar": f'root ::= "{text}"', "max_tokens": _TOKENS}
    context.asked = [
        context.standalone.ask_with({**how, **asked})
        for asked in ({"messages": channels.QUESTION}, {"prompt": "Is it?<think>\n"})
    ]
    context.written = text.replace("\\n", "\n")


@then('the message\'s answer is "{thought}" as reasoning, then "{text}" as text')
def reasoned(context: Context, thought: str, text: str) -> None:
    wanted = [("reasoning", "", thought), ("text", "", text)]
    assert channels.said(context.asked[0]) == wanted, channels.said(context.asked[0])


@then("the raw prompt's answer is nothing but text")
def all_text(context: Context) -> None:
    assert channels.said(context.asked[1]) == [("text", "", context.written)]
