"""OpenAI's own package as a client of the queen's Responses, and what that promises of a stream.

The package takes most of a second to import, so that happens where it is used.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import psutil

from harness.watching import channels
from harness.watching.openai_figures import heads_problem
from harness.watching.openai_package import Found, OpenAIPackage

QUESTION = "Say something nice about cats."
TOOLS = [{"type": "function", "strict": False, **tool["function"]} for tool in channels.TOOLS]
# What the package's method has no parameter for.
_OURS = (
    *("top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("ignore_eos", "cache_prompt", "grammar", "keep_alive", "chat_template_kwargs"),
    *("seed", "stop"),
)
# What the package sends to have the tokens of a request counted.
_COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text")
_WHOLE = ("created", "in_progress")
_ENDS = ("completed", "incomplete", "failed")


class ResponsesPackage(OpenAIPackage):
    """Its clients, in turn and asynchronous, asking for responses."""

    def respond(self, fields: Mapping[str, Any]) -> Found:
        """The reply, checked with the package's type."""
        with self.client as client:
            return checked(client.responses.create(**_asked(fields)))

    def events(self, fields: Mapping[str, Any]) -> list[Found]:
        """The events of a stream, each checked with the package's type."""
        asked = {**_asked(fields), "stream": True}
        with self.short_client as client, client.responses.create(**asked) as found:
            return [checked(event) for event in found]

    def events_after(
        self, fields: Mapping[str, Any], count: int, then: Callable[[], None]
    ) -> list[Found]:
        """All events of a stream of which so many came before `then` was done."""
        found = []
        with self.client as client, client.responses.create(**_asked(fields), stream=True) as read:
            for event in read:
                found.append(checked(event))
                if len(found) == count:
                    then()
        return found

    def events_while_hung(self, fields: Mapping[str, Any], process: psutil.Process) -> list[Found]:
        """The events of a response whose process does nothing until the stream is open. They are
        not checked: the package's own type does not know every code of an error that agents
        know."""
        process.suspend()
        asked = {**_asked(fields), "stream": True}
        try:
            with self.client as client, client.responses.create(**asked) as found:
                process.resume()
                return [dict(event.to_dict(mode="json")) for event in found]
        finally:
            process.resume()

    def respond_asynchronously(self, fields: Mapping[str, Any]) -> tuple[Found, list[Found]]:
        """The reply and the events of the asynchronous client."""
        from openai import AsyncOpenAI

        async def ask() -> tuple[Found, list[Found]]:
            async with AsyncOpenAI(**self._how) as client:
                whole = await client.responses.create(**_asked(fields))
                stream = await client.responses.create(**_asked(fields), stream=True)
                return checked(whole), [checked(event) async for event in stream]

        return asyncio.run(ask())

    def final_response(self, fields: Mapping[str, Any]) -> tuple[Found, str]:
        """What the package's own reader of streams puts together: the response, and the text of
        the pieces that it showed."""
        with self.client as client, client.responses.stream(**_asked(fields)) as stream:
            shown = [each.delta for each in stream if each.type == "response.output_text.delta"]
            return checked(stream.get_final_response()), "".join(shown)

    def input_tokens(self, fields: Mapping[str, Any]) -> list[int]:
        """The tokens of a request as the package counts them, in turn and asynchronously."""
        from openai import AsyncOpenAI

        asked = _asked(fields)
        how = {name: asked[name] for name in _COUNTED if name in asked}

        async def ask() -> Found:
            async with AsyncOpenAI(**self._how) as client:
                return checked(await client.responses.input_tokens.count(**how))

        with self.client as client:
            found = [checked(client.responses.input_tokens.count(**how)), asyncio.run(ask())]
        return [each["input_tokens"] for each in found]

    def parsed_responses(self, kind: type[Any]) -> list[Any]:
        """What both clients, and the reader of streams, parse an answer into."""
        from openai import AsyncOpenAI

        how: Found = {**_asked({"temperature": 1.2}), "text_format": kind}

        async def ask() -> Any:
            async with AsyncOpenAI(**self._how) as client:
                return await client.responses.parse(**how)

        with self.client as client:
            replies = [client.responses.parse(**how)]
            with client.responses.stream(**how) as stream:
                replies.append(stream.get_final_response())
        return [reply.output_parsed for reply in [*replies, asyncio.run(ask())]]

    def refused_response(self, fields: Mapping[str, Any]) -> Any:
        """The exception with which a response is refused."""
        import openai

        try:
            self.respond({"max_output_tokens": 4, **fields})
        except openai.APIStatusError as error:
            return error
        raise AssertionError(f"{fields} was answered")

    def stored(self, response_id: str) -> list[tuple[int, str]]:
        """Status and code of the errors for getting a response, and for deleting it."""
        import openai

        found = []
        with self.client as client:
            for ask in (client.responses.retrieve, client.responses.delete):
                try:
                    ask(response_id)
                except openai.APIStatusError as error:
                    found.append((error.status_code, str(error.code)))
        return found


def _asked(fields: Mapping[str, Any]) -> Found:
    extra = {name: fields[name] for name in _OURS if name in fields}
    asked: Found = {"input": QUESTION, "model": "smollm2"}
    asked |= {name: value for name, value in fields.items() if name not in extra}
    return {**asked, "extra_body": extra}


def checked(found: Any) -> Found:
    """As plain values, checked with its own type: the package itself takes anything."""
    plain = dict(found.to_dict(mode="json"))
    type(found).model_validate(plain, strict=True)
    return plain


def disorder(events: Sequence[Found]) -> str:
    """What is wrong with the events of a stream; "" if nothing is."""
    if [each["sequence_number"] for each in events] != list(range(len(events))):
        return "the numbers are not in order"
    kinds = [each["type"].removeprefix("response.") for each in events]
    if tuple(kinds[:2]) != _WHOLE or kinds[-1] not in _ENDS:
        return f"it begins or ends with {kinds[:2]}, {kinds[-1:]}"
    ids = {each["response"]["id"] for each in (*events[:2], events[-1])}
    if len(ids) != 1 or any(each["response"]["output"] for each in events[:2]):
        return "it has several ids, or output before the first item"
    output = events[-1]["response"]["output"]
    groups = [list(each) for _, each in groupby(events[2:-1], lambda event: event["output_index"])]
    if [each[0]["output_index"] for each in groups] != list(range(len(output))):
        return "the items are not one after the other"
    wrong = (_item_problem(group, item) for group, item in zip(groups, output, strict=True))
    return next((each for each in wrong if each), "")


def _item_problem(events: Sequence[Found], item: Found) -> str:
    """What is wrong with the events of an item that ends as `item`."""
    kinds = [each["type"].removeprefix("response.") for each in events]
    word = {"message": "output_text", "reasoning": "reasoning_text"}.get(item["type"])
    part = [] if word is None else ["content_part"]
    word = word or "function_call_arguments"
    frame = [f"{each}.added" for each in ["output_item", *part]]
    deltas = [f"{word}.delta"] * kinds.count(f"{word}.delta")
    ending = [f"{word}.done", *(f"{each}.done" for each in part), "output_item.done"]
    if kinds != [*frame, *deltas, *ending]:
        return f"the events of an item are {kinds}"
    if events[-1]["item"] != item or events[0]["item"]["status"] != "in_progress":
        return f"the item is {events[-1]['item']}, and {item} in the response"
    if {each.get("item_id", item["id"]) for each in events} != {item["id"]}:
        return "an event has the id of another item"
    said = item["content"][0]["text"] if part else item["arguments"]
    done = next(each for each in events if each["type"].endswith(f"{word}.done"))
    told = "".join(each["delta"] for each in events if each["type"].endswith(f"{word}.delta"))
    if not told == said == done.get("text", done.get("arguments")):
        return f"{told!r}, {done}, and {said!r} in the item"
    likely = [one for each in events for one in each.get("logprobs", []) if "delta" in each]
    wanted = (item["content"][0].get("logprobs") or []) if part else []
    # What is held back at the end has no event of its own.
    if likely != wanted[: len(likely)] or bool(likely) != bool(wanted):
        return f"likelihoods {likely} on the way, and {wanted} in the item"
    if done.get("logprobs", wanted) != wanted:
        return f"likelihoods {likely}, {done}, and {wanted} in the item"
    return ""


def said(response: Found) -> list[Any]:
    """What a response says: without ids and times."""
    found: list[Any] = [response["status"], response["usage"]["output_tokens"]]
    for item in response["output"]:
        if item["type"] == "function_call":
            found.append((item["name"], item["arguments"]))
        else:
            found.append((item["type"], item["status"], item["content"]))
    return found


def times_problem(responses: Sequence[Found]) -> str:
    """What is wrong with the ids and times of different responses; "" if nothing is."""
    heads = [{"id": each["id"], "created": each["created_at"]} for each in responses]
    for each in responses:
        began, ended = each["created_at"], each["completed_at"]
        if (ended is not None) != (each["status"] == "completed"):
            return f"completed at {ended}, {each['status']}"
        if ended is not None and not began <= ended < began + 60:
            return f"completed at {ended}, begun at {began}"
    return heads_problem(heads)


def repetition_problem(asked: Mapping[str, Any], response: Found) -> str:
    """What is wrong with what a response repeats of a request, and says beside that."""
    names = ("instructions", "max_output_tokens", "user", "prompt_cache_key")
    wanted = {name: asked.get(name) for name in (*names, "max_tool_calls", "safety_identifier")}
    wanted |= {"top_p": asked.get("top_p", 0.95), "temperature": asked.get("temperature", 0.7)}
    wanted |= {"reasoning": {"effort": None, "summary": None, **asked.get("reasoning", {})}}
    wanted |= {"metadata": asked.get("metadata", {}), "top_logprobs": asked.get("top_logprobs", 0)}
    wanted |= {"store": False, "background": False, "truncation": "disabled", "tools": []}
    wanted |= {"object": "response", "tool_choice": "auto", "parallel_tool_calls": True}
    wanted |= {"text": {"format": {"type": "text"}, "verbosity": None}, "error": None}
    found = {name: response.get(name, "not there") for name in wanted}
    return "" if found == wanted else f"{found}, not {wanted}"


def answered(response: Found) -> list[Found]:
    """The conversation after a response of calls, each of which is answered."""
    question: Found = {"role": "user", "content": QUESTION}
    answers: list[Found] = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "true"}
        for call in response["output"]
    ]
    return [question, *response["output"], *answers]


def failure_problem(events: Sequence[Found]) -> str:
    """What is wrong with a stream whose worker ended in the middle of its only message."""
    kinds = [each["type"].removeprefix("response.") for each in events]
    deltas = kinds.count("output_text.delta")
    frame = [*_WHOLE, "output_item.added", "content_part.added"]
    if kinds != [*frame, *["output_text.delta"] * deltas, "failed"] or not deltas:
        return f"the events are {kinds}"
    told = "".join(each["delta"] for each in events if "delta" in each)
    response = events[-1]["response"]
    (item,) = response["output"]
    error = response["error"]
    right = (
        [each["sequence_number"] for each in events] == list(range(len(events)))
        and (response["status"], item["status"]) == ("failed", "incomplete")
        and item["content"][0]["text"] == told
        and (error["code"], error["rbee"]["code"]) == ("server_error", "WORKER_CRASHED")
        and error["message"]
    )
    return "" if right else f"{response}, after {told!r}"


def call_problems(response: Found) -> list[str]:
    """What is wrong with an answer that must be calls of the functions of `channels`."""
    calls = response["output"]
    if not calls or {each["type"] for each in calls} != {"function_call"}:
        return [f"not calls: {calls}"]
    return [wrong for call in calls if (wrong := channels.problem(call["name"], call["arguments"]))]
