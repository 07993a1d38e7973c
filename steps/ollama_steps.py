"""Programs that were written for Ollama, with its own package and the program llm."""

import json
from typing import Any

import jsonschema
from behave import given, then, when
from behave.runner import Context

from harness.watching import channels, ollama_package
from harness.watching.ollama_package import OllamaPackage, WaitingChat
from harness.watching.raw_requests import bearer, send
from harness.watching.standalone_worker import now

_SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["age"],
    "additionalProperties": False,
}
# Whoever waits for an answer gets its headers by then.
_OPENS_AFTER_S = 2
_LONG = {"options": {"num_predict": 6000, "temperature": 0}, "format": "json"}


def _package(context: Context) -> OllamaPackage:
    return OllamaPackage(context.world.queen_url, context.world.key)


# Answers


@when("Ollama's package asks with each of these fields, whole and streamed")
def asks(context: Context) -> None:
    package = _package(context)
    context.asked = [(row["route"], json.loads(row["fields"])) for row in context.table]
    context.answers = [(package.ask(*each), package.parts(*each)) for each in context.asked]


@then("every part is of the package's types, and the lines are in order")
def in_order(context: Context) -> None:
    """The types were checked as they came."""
    for whole, parts in context.answers:
        wrong = [ollama_package.disorder([whole]), ollama_package.disorder(parts)]
        assert wrong == ["", ""], (wrong, whole, parts)


@then("the first answer took longer to load its model than any other")
def loaded_once(context: Context) -> None:
    first, *others = [whole["load_duration"] for whole, _ in context.answers]
    assert first > max(others), (first, others)


@then("each stream of lines says what its reply says")
def same(context: Context) -> None:
    for whole, parts in context.answers:
        assert len(parts) > 2, parts
        assert ollama_package.said(whole) == ollama_package.gathered(parts), (whole, parts)
        figures = [each["eval_count"] for each in (whole, parts[-1])]
        assert figures[0] == figures[1], figures
    for (_, asked), answers in zip(context.asked, context.answers, strict=True):
        for last in (answers[0], answers[1][-1]):
            is_cut = last["eval_count"] == asked["options"]["num_predict"]
            assert last["done_reason"] == ("length" if is_cut else "stop"), last


@then(
    "the answers are called by the names that were asked for, and the likelihoods are those of "
    "their tokens"
)
def names_and_likelihoods(context: Context) -> None:
    for (_, asked), (whole, parts) in zip(context.asked, context.answers, strict=True):
        names = {each["model"] for each in (whole, *parts)}
        assert names == {asked.get("model", "smollm2")}, names
        assert all(ollama_package.made_now(each["created_at"]) for each in (whole, *parts)), whole
        assert whole["eval_count"] <= asked["options"]["num_predict"], whole
    likely = context.answers[1][0]["logprobs"]
    assert "".join(each["token"] for each in likely) == context.answers[1][0]["message"]["content"]
    assert {len(each["top_logprobs"]) for each in likely} == {2}, likely
    assert all(each["logprob"] <= 0 for each in likely), likely


@then("the times of its reading and of its writing are those of the clock")
def durations(context: Context) -> None:
    """The prompt is in the cache by then, so that reading it takes little of the time. In one of
    three answers: the way here takes time, too, and other programs run on this machine."""
    asked = {"options": {"num_predict": 60, "temperature": 0, "stop": []}}
    for _ in range(3):
        last, first_s, rest_s = _package(context).timed(asked)
        reading, writing = (last[name] / 1e9 for name in ("prompt_eval_duration", "eval_duration"))
        assert 0 < reading <= first_s, (last, first_s)
        assert writing < first_s + rest_s + 0.2, (last, first_s, rest_s)
        if rest_s / 2 < writing:
            return
    raise AssertionError((last, first_s, rest_s))


@then("the asynchronous client of Ollama gets the first answer too, whole and streamed")
def asynchronously(context: Context) -> None:
    whole, parts = _package(context).asynchronously(*context.asked[0])
    wanted = ollama_package.said(context.answers[0][0])
    assert ollama_package.said(whole) == ollama_package.gathered(parts) == wanted, whole


@then(
    "a prompt with the context of an answer goes on with that conversation, and a raw one has none"
)
def goes_on(context: Context) -> None:
    first, raw = context.answers[2][0], context.answers[3][0]
    assert "context" not in raw, raw
    numbers = first["context"]
    assert numbers and all(type(each) is int for each in numbers), numbers
    assert numbers == context.answers[2][1][-1]["context"], context.answers[2][1]
    asked = {"prompt": "And then?", "options": {"num_predict": 3, "temperature": 0}}
    package = _package(context)
    alone = package.ask("generate", asked)
    continued = package.ask("generate", {**asked, "context": numbers})
    assert continued["prompt_eval_count"] > alone["prompt_eval_count"], (alone, continued)
    assert len(continued["context"]) > len(numbers), continued
    system = context.asked[2][1]["system"]
    again = package.ask("generate", {**asked, "context": numbers, "system": system})
    assert again["prompt_eval_count"] == continued["prompt_eval_count"], (again, continued)


@when("Ollama's package asks for a {what:w} with these fields")
def asks_with_fields(context: Context, what: str) -> None:
    fields = {row["field"]: json.loads(row["value"]) for row in context.table}
    _package(context).ask({"chat": "chat", "prompt": "generate"}[what], fields)


# Forms and calls


@when("Ollama's package asks for an answer as JSON, and one after a schema")
def forms(context: Context) -> None:
    options = {"num_predict": 200, "seed": 1}
    context.answers = [
        _package(context).ask("chat", {"format": form, "options": options})
        for form in ("json", _SCHEMA)
    ]


@then("the first is an object, and the second is valid after the schema")
def formed(context: Context) -> None:
    first, second = (json.loads(each["message"]["content"]) for each in context.answers)
    assert isinstance(first, dict), first
    jsonschema.validate(second, _SCHEMA)


@when("/api/chat is asked for a call of one of two functions, whole and in lines")
def calls(context: Context) -> None:
    context.answers = [_calls(context, "required")]


@when("it is asked for a call of {name}, by OpenAI's object and by the name alone")
def named_calls(context: Context, name: str) -> None:
    choices: list[dict[str, Any]] = [{"function": {"name": name}}, {"name": name}]
    context.answers = [_calls(context, {"type": "function", **each}) for each in choices]


def _calls(context: Context, choice: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    body: dict[str, Any] = {"messages": ollama_package.QUESTION, "tools": channels.TOOLS}
    body |= {"tool_choice": choice, "options": {"seed": 1, "num_predict": 200}}
    package = _package(context)
    whole = package.raw("POST /api/chat", {**body, "stream": False}).json
    return whole, ollama_package.lines(package.raw("POST /api/chat", body))


@then("each is calls of those functions, whole and with arguments as objects, that are valid")
def are_calls(context: Context) -> None:
    from ollama import ChatResponse

    for whole, parts in context.answers:
        for each in (whole, *parts):
            ChatResponse.model_validate(each)
        for found in (ollama_package.said(whole), ollama_package.gathered(parts)):
            wrong = ollama_package.call_problems(found)
            assert not wrong, wrong
            assert len(found["calls"]) == 1, found
        assert parts[-1]["done_reason"] == "stop" and not ollama_package.said(parts[-1])["calls"]


@then("each is calls of {name} alone")
def are_calls_of(context: Context, name: str) -> None:
    for whole, parts in context.answers:
        for found in (ollama_package.said(whole), ollama_package.gathered(parts)):
            assert not ollama_package.call_problems(found), found
            assert {call["name"] for call in found["calls"]} == {name}, found


@then("the package tells the model of a call and its answer, by the name of the tool")
def told(context: Context) -> None:
    call = {"function": {"name": "is_day", "arguments": {"here": True}}}
    said = [
        *ollama_package.QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_name": "is_day", "content": "yes"},
    ]
    package, few = _package(context), {"options": {"num_predict": 3}}
    short = package.ask("chat", few)
    found = package.ask("chat", {"messages": said, "tools": channels.TOOLS, **few})
    assert found["prompt_eval_count"] > short["prompt_eval_count"] + 20, (short, found)


# What is refused


@then("Ollama's package is refused each of these")
def is_refused(context: Context) -> None:
    """A stream that is refused late has a status by then, and ends with the error: -1."""
    for row in context.table:
        began, fields = now(), json.loads(row["fields"])
        status, text = _package(context).refusal(row["call"], fields)
        is_late = fields.get("stream") and now() - began >= _OPENS_AFTER_S
        assert status in (int(row["status"]), -1 if is_late else 0), (row, status, text)
        assert row["text"] in text, (row, status, text)


@then(
    "with a wrong key, as Bearer and as X-Api-Key, every route of Ollama's answers "
    "{status:d} in its shape"
)
def wrong_keys(context: Context, status: int) -> None:
    found = ollama_package.with_wrong_keys(context.world.queen_url)
    assert len(found) == 45 and {*found.values()} == {(status, True)}, found


@then("a route below /api/ that is not there is refused with {status:d} in its shape")
def no_route(context: Context, status: int) -> None:
    reply = _package(context).raw("POST /api/nothing", {"model": "a"})
    assert reply.status == status and ollama_package.in_shape(reply), reply


@then("the address itself says that it is running, but not to a browser")
def running(context: Context) -> None:
    url, key = context.world.queen_url + "/", bearer(context.world.key)
    reply = send("GET", url, key)
    assert (reply.status, reply.body) == (200, b"Ollama is running"), reply
    assert send("HEAD", url, key).status == 200
    assert send("GET", url, {**key, "Accept": "text/html,*/*"}).status == 404


# Clients that close, and clients that wait


@when("Ollama's package streams a long answer, and closes it in the middle")
def closes(context: Context) -> None:
    _package(context).close_in_the_middle({"options": _LONG["options"]}, after=5)


@when("a chat of Ollama's streams while the slot is busy")
def waits(context: Context) -> None:
    world, asked = context.world, {"options": {"num_predict": 3}}
    context.chat = WaitingChat(world.queen_url, world.key, asked)


@then("it has its status {status:d} after 2 s, and not a byte more")
def early(context: Context, status: int) -> None:
    assert context.chat.status == status, context.chat.status
    assert _OPENS_AFTER_S <= context.chat.opened_after < 8, context.chat.opened_after
    assert context.chat.is_silent(0.5), "something came"


@then("that chat is answered in lines, and ends with a last one")
def answered(context: Context) -> None:
    found = context.chat.lines()
    assert not ollama_package.disorder(found), found


@then("Ollama's package is refused one more with {status:d}")
def one_more(context: Context, status: int) -> None:
    fields = {"model": "smollm2", "messages": ollama_package.QUESTION}
    found, text = _package(context).refusal("chat", fields)
    assert found == status and "slot" in text, (found, text)


# llm


@given("a shell with the queen's address and key where Ollama's clients look for them")
def shell(context: Context) -> None:
    world = context.world
    world.extra_environment |= {"OLLAMA_HOST": world.queen_url, "OLLAMA_API_KEY": world.key}


@then("it has printed an answer")
def printed(context: Context) -> None:
    assert 2 < len(context.run.stdout.text.strip()) < 200, context.run.stdout.text


@then("it has printed an object with name and age")
def printed_object(context: Context) -> None:
    found = json.loads(context.run.stdout.text)
    assert type(found["name"]) is str and type(found["age"]) is int, found
