"""OpenAI's Responses, with OpenAI's own package."""

import json
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import BUNDLED
from harness.watching import openai_package, responses_package
from harness.watching.responses_package import TOOLS, ResponsesPackage
from harness.world import cluster

_CALLS: list[dict[str, Any]] = [
    {"tools": TOOLS, "tool_choice": "required", "seed": 1},
    {
        "tools": [*TOOLS, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "is_day"},
    },
]


def _package(context: Context) -> ResponsesPackage:
    return ResponsesPackage(context.world.queen_url, context.world.key)


def _ask(context: Context, asked: list[dict[str, Any]]) -> None:
    package = _package(context)
    context.asked = asked
    context.responses = [(package.respond(each), package.events(each)) for each in asked]


@when("OpenAI's package asks for a response with each of these fields, whole and streamed")
def responds(context: Context) -> None:
    _ask(context, [json.loads(row["fields"]) for row in context.table])


@when("OpenAI's package asks for a response with calls of one of two functions, whole and streamed")
def responds_with_calls(context: Context) -> None:
    _ask(context, [{**each, "max_output_tokens": 200} for each in _CALLS])


@when("OpenAI's package asks for a response with these fields")
def responds_with_fields(context: Context) -> None:
    context.asked = {row["field"]: json.loads(row["value"]) for row in context.table}
    context.response = _package(context).respond(context.asked)


@then("the response repeats {one:w}, {two:w} and {three:w}")
def repeats_these(context: Context, one: str, two: str, three: str) -> None:
    for name in (one, two, three):
        assert context.response[name] == context.asked[name], (name, context.response)


@then("every response and every event is of the package's types, and the events are in order")
def events_in_order(context: Context) -> None:
    """The types were checked as they came."""
    for _, events in context.responses:
        wrong = responses_package.disorder(events)
        assert not wrong, (wrong, events)


@then("each stream ends with the response that its reply is")
def same_response(context: Context) -> None:
    for reply, events in context.responses:
        one, other = responses_package.said(reply), responses_package.said(events[-1]["response"])
        assert one == other, (one, other)
    each = [one for reply, events in context.responses for one in (reply, events[-1]["response"])]
    wrong = responses_package.times_problem(each)
    assert not wrong, wrong


@then("a response that was cut is incomplete, and one that came to its end is completed")
def statuses(context: Context) -> None:
    found = [
        (reply["status"], reply["incomplete_details"], reply["output"][0]["status"])
        for reply, _ in context.responses
    ]
    cut = ("incomplete", {"reason": "max_output_tokens"}, "incomplete")
    assert found == [cut, cut, ("completed", None, "completed")], found


@then("the usage of each counts its tokens")
def usage(context: Context) -> None:
    for asked, (reply, _) in zip(context.asked, context.responses, strict=True):
        used = reply["usage"]
        assert used["total_tokens"] == used["input_tokens"] + used["output_tokens"], used
        assert 0 <= used["input_tokens_details"]["cached_tokens"] < used["input_tokens"], used
        assert used["output_tokens_details"] == {"reasoning_tokens": 0}, used
        assert used["output_tokens"] in (asked.get("max_output_tokens"), 4, 5), used
    plain, instructed, other = (reply["usage"]["input_tokens"] for reply, _ in context.responses)
    assert plain == other != instructed, (plain, instructed, other)
    likely = context.responses[1][0]["output"][0]["content"][0]["logprobs"]
    assert [len(each["top_logprobs"]) for each in likely] == [2] * 4, likely


@then("the package counts as many input tokens of each request as its usage has")
def counts_input(context: Context) -> None:
    """Both clients, in the same way."""
    for asked, (reply, _) in zip(context.asked, context.responses, strict=True):
        counted = _package(context).input_tokens(asked)
        assert counted == [reply["usage"]["input_tokens"]] * 2, (asked, counted, reply["usage"])


@then("each response repeats its request, and says that nothing is stored")
def repeats(context: Context) -> None:
    for asked, (reply, events) in zip(context.asked, context.responses, strict=True):
        for found in (reply, events[0]["response"]):
            wrong = responses_package.repetition_problem(asked, found)
            assert not wrong, (wrong, found)
            assert found["model"] == asked.get("model", "smollm2") != BUNDLED, found["model"]


@then("asynchronously it is the same")
def responds_asynchronously(context: Context) -> None:
    reply, events = _package(context).respond_asynchronously(context.asked[0])
    wanted = responses_package.said(context.responses[0][0])
    assert responses_package.said(reply) == wanted, reply
    assert responses_package.said(events[-1]["response"]) == wanted, events
    assert not responses_package.disorder(events), events


@then('the package\'s own reader of streams puts together "{text}"')
def reads_stream(context: Context, text: str) -> None:
    final, shown = _package(context).final_response(context.asked[2])
    assert shown == final["output"][0]["content"][0]["text"] == text, (shown, final)


@then("no response is there afterwards: to get one, or to delete one, is answered {status:d}")
def not_stored(context: Context, status: int) -> None:
    found = _package(context).stored(context.responses[0][0]["id"])
    assert found == [(status, "invalid_request")] * 2, found


# Forms and calls


@when(
    "OpenAI's package parses a response into a class of pydantic, in turn, streamed and "
    "asynchronously"
)
def parses_responses(context: Context) -> None:
    context.parsed = _package(context).parsed_responses(openai_package.person_class())


@then("all three are that class, within its limits")
def all_parsed(context: Context) -> None:
    wrong = [openai_package.person_problem(each) for each in context.parsed]
    assert wrong == [""] * 3, context.parsed


@then("each response is calls of those functions, whose arguments are valid after their schemas")
def responses_are_calls(context: Context) -> None:
    offered = [{"description": None, **tool} for tool in TOOLS]
    for asked, (reply, events) in zip(context.asked, context.responses, strict=True):
        for found in (reply, events[0]["response"]):
            told = found["tools"], found["tool_choice"], found["parallel_tool_calls"]
            is_one = asked["tool_choice"] == "required"
            assert told == (offered, asked["tool_choice"], not is_one), told
        for found in (reply, events[-1]["response"]):
            wrong = responses_package.call_problems(found)
            assert not wrong, (wrong, found)
            assert found["status"] == "completed", found
    names = {each["name"] for each in context.responses[1][0]["output"]}
    assert names == {"is_day"}, names


@when('the call is answered, and the conversation so far is sent back with "{grammar}"')
def answers_call(context: Context, grammar: str) -> None:
    sent = responses_package.answered(context.responses[1][0])
    asked = {"input": sent, "tools": TOOLS, "tool_choice": "none"}
    context.response = _package(context).respond({**asked, "grammar": grammar.replace('\\"', '"')})


@then('the response says "{text}"')
def response_says(context: Context, text: str) -> None:
    assert context.response["output"][0]["content"][0]["text"] == text, context.response


# What is refused, and what fails


@then("OpenAI's package is refused a response with each of these")
def response_is_refused(context: Context) -> None:
    for row in context.table:
        fields = json.loads(row["fields"].replace("<a text of 9000 words>", "hello " * 9000))
        error = _package(context).refused_response(fields)
        found = type(error).__name__, error.code, error.param
        assert found == (row["error"], row["code"], row["param"]), (row, found, str(error))
        assert error.body["message"] and error.body["type"] == "invalid_request_error", error.body


@when(
    "OpenAI's package streams a response to a text of {words:d} words, whose worker hangs until "
    "the stream is open"
)
def worker_hangs(context: Context, words: int) -> None:
    """So the stream is open before the prompt is looked at."""
    worker = cluster.process_at(context.world, cluster.only_worker(context.world)["url"])
    asked = {"input": "hello " * words}
    context.events = _package(context).events_while_hung(asked, worker)


@then("the stream ends with a failed response: {code}")
def fails_with(context: Context, code: str) -> None:
    kinds = [each["type"] for each in context.events]
    assert kinds == [f"response.{kind}" for kind in ("created", "in_progress", "failed")], kinds
    error = context.events[-1]["response"]["error"]
    assert (error["code"], error["rbee"]["code"]) == (code, "PROMPT_TOO_LONG"), error


@when("OpenAI's package streams a long response, and its worker is killed in the middle")
def worker_killed(context: Context) -> None:
    asked = {"max_output_tokens": 6000, "temperature": 0, "ignore_eos": True}
    worker = cluster.process_at(context.world, cluster.only_worker(context.world)["url"])
    context.events = _package(context).events_after(asked, count=10, then=worker.kill)


@then("the stream is in order, and ends with a failed response that keeps what was said")
def ends_failed(context: Context) -> None:
    wrong = responses_package.failure_problem(context.events)
    assert not wrong, (wrong, context.events[-3:])
