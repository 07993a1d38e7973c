"""OpenAI's own package as a client of the queen, and what its protocol promises of a stream.

The package takes most of a second to import, so that happens where it is used.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.watching import channels
from harness.watching.replies import numbers

QUESTION = [{"role": "user", "content": "Say something nice about cats."}]
# What the package's methods have no parameter for.
_OURS = (
    "top_k",
    "min_p",
    "repeat_penalty",
    "ignore_eos",
    "cache_prompt",
    "grammar",
    "keep_alive",
    "chat_template_kwargs",
)
_WITHIN_S = 60

Found = dict[str, Any]


class OpenAIPackage:
    """Its clients, in turn and asynchronous, without tries of their own. What streams is asked at
    the address without /v1, as llama.cpp's server has it too."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._how: Found = {
            "base_url": f"{url}/v1",
            "api_key": key,
            "max_retries": 0,
            "timeout": _WITHIN_S,
        }

    @property
    def client(self) -> Any:
        from openai import OpenAI

        return OpenAI(**self._how)

    @property
    def short_client(self) -> Any:
        from openai import OpenAI

        return OpenAI(**{**self._how, "base_url": self._url})

    def chat(self, fields: Mapping[str, Any]) -> Found:
        """The reply, checked with the package's type."""
        from openai.types.chat import ChatCompletion

        with self.client as client:
            return _checked(ChatCompletion, client.chat.completions.create(**_chat(fields)))

    def chat_chunks(self, fields: Mapping[str, Any]) -> list[Found]:
        """The chunks, each checked with the package's type."""
        from openai.types.chat import ChatCompletionChunk

        asked = {**_chat(fields), "stream": True, "stream_options": {"include_usage": True}}
        with self.short_client as client, client.chat.completions.create(**asked) as stream:
            return [_checked(ChatCompletionChunk, chunk) for chunk in stream]

    def both_asynchronously(self, fields: Mapping[str, Any]) -> tuple[Found, list[Found]]:
        """The reply and the chunks of the asynchronous client."""
        from openai import AsyncOpenAI

        async def ask() -> tuple[Found, list[Found]]:
            async with AsyncOpenAI(**self._how) as client:
                whole = await client.chat.completions.create(**_chat(fields))
                asked = {**_chat(fields), "stream": True}
                stream = await client.chat.completions.create(**asked)
                return _plain(whole), [_plain(chunk) async for chunk in stream]

        return asyncio.run(ask())

    def parsed(self, kind: type[Any]) -> list[Any]:
        """What both clients parse an answer into."""
        from openai import AsyncOpenAI

        how: Found = {"model": "smollm2", "messages": QUESTION, "temperature": 1.2}

        async def ask() -> Any:
            async with AsyncOpenAI(**self._how) as client:
                return await client.chat.completions.parse(response_format=kind, **how)

        with self.client as client:
            replies = [client.chat.completions.parse(response_format=kind, **how)]
        replies.append(asyncio.run(ask()))
        return [reply.choices[0].message.parsed for reply in replies]

    def read_calls(self, fields: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
        """The kinds of the events that the package's reader of streams finds, and the calls."""
        asked = _chat(fields)
        with self.client as client, client.chat.completions.stream(**asked) as stream:
            kinds = [event.type for event in stream]
            message = stream.get_final_completion().choices[0].message
        calls = [(each.function.name, each.function.arguments) for each in message.tool_calls or ()]
        return kinds, calls

    def complete(self, fields: Mapping[str, Any]) -> tuple[Found, list[Found]]:
        """The reply, checked with the package's type, and the chunks."""
        from openai.types import Completion

        asked = {"model": "smollm2", **fields}
        with self.client as client:
            whole = _checked(Completion, client.completions.create(**asked))
        with self.short_client as client, client.completions.create(**asked, stream=True) as stream:
            return whole, [_plain(chunk) for chunk in stream]

    def embed(self, texts: Any, **fields: Any) -> list[list[float]]:
        """The vectors; without an `encoding_format` the package asks for base64 by itself. With
        `fields`, the address without /v1 is asked."""
        with self.short_client if fields else self.client as client:
            reply = client.embeddings.create(model="smollm2", input=texts, **fields)
        assert [each.index for each in reply.data] == list(range(len(reply.data))), reply
        if fields.get("encoding_format") == "base64":
            assert all(isinstance(each.embedding, str) for each in reply.data), reply
        assert reply.object == "list" and reply.model == "smollm2" and reply.usage, reply
        return [list(numbers(each.embedding)) for each in reply.data]

    def models(self) -> dict[str, str]:
        """The states of the models by their ids, each checked with the package's type."""
        from openai.types import Model

        with self.client as client:
            found = [_checked(Model, each) for each in client.models.list()]
        assert all(None not in each.values() for each in found), found
        assert {each["object"] for each in found} == {"model"}, found
        assert {each["created"] for each in found} == {0}, found  # none was downloaded
        return {each["id"]: each["status"]["value"] for each in found}

    def short_ids(self) -> list[str]:
        """Their ids, asked for at the address without /v1."""
        with self.short_client as client:
            return [each.id for each in client.models.list()]

    def model(self, name: str) -> str:
        """The id of the model that the name stands for."""
        with self.client as client:
            return str(client.models.retrieve(name).id)

    def refusal(self, fields: Mapping[str, Any]) -> Any:
        """The exception with which a chat is refused."""
        import openai

        try:
            self.chat({"model": "smollm2", "max_tokens": 4, **fields})
        except openai.APIStatusError as error:
            return error
        raise AssertionError(f"{fields} was answered")

    def close_in_the_middle(self, fields: Mapping[str, Any], after: int) -> None:
        """Read so many chunks of a stream, and close it."""
        with self.client as client:
            stream = client.chat.completions.create(**_chat(fields), stream=True)
            for _ in range(after):
                next(stream)
            stream.close()


def _chat(fields: Mapping[str, Any]) -> Found:
    """What the package passes on by name, and what it takes only beside that."""
    extra = {name: fields[name] for name in _OURS if name in fields}
    asked = {"messages": QUESTION, "model": "smollm2"}
    asked |= {name: value for name, value in fields.items() if name not in extra}
    return {**asked, "extra_body": extra}


def _plain(found: Any) -> Found:
    return dict(found.to_dict(mode="json"))


def _checked(kind: Any, found: Any) -> Found:
    """The package itself takes anything; its types do not."""
    plain = _plain(found)
    kind.model_validate(plain, strict=True)
    return plain


def disorder(chunks: Sequence[Found]) -> str:
    """What is wrong with the chunks of a chat with usage; "" if nothing is."""
    heads = {(each["id"], each["object"], each["created"], each["model"]) for each in chunks}
    if len(heads) != 1:
        return f"the head changes: {heads}"
    *body, last = chunks
    if last["choices"] or not last.get("usage") or not isinstance(last.get("timings"), dict):
        return f"the last chunk is {last}"
    if any(each.get("usage") or len(each["choices"]) != 1 for each in body):
        return f"a chunk before the last has usage, or not one choice: {body}"
    parts: dict[int, list[Found]] = {}
    for chunk in body:
        (choice,) = chunk["choices"]
        parts.setdefault(choice["index"], []).append({**choice, "timings": chunk.get("timings")})
    checks: list[Callable[[Sequence[Found]], str]] = [_roles, _ends, _nothing_empty, _calls]
    return next(
        (wrong for each in parts.values() for check in checks if (wrong := check(each))), ""
    )


def _roles(parts: Sequence[Found]) -> str:
    roles = [each["delta"].get("role") for each in parts]
    right = [("assistant" if at == 0 else None) for at in range(len(roles))]
    return "" if roles == right else f"the roles are {roles}"


def _ends(parts: Sequence[Found]) -> str:
    ends = [(each["finish_reason"], each["timings"]) for each in parts]
    last = parts[-1]
    if any(end != (None, None) for end in ends[:-1]) or not all(ends[-1]):
        return f"the reasons to finish, with timings, are {ends}"
    return "" if not last["delta"] else f"the last delta has content: {last}"


def _nothing_empty(parts: Sequence[Found]) -> str:
    found = [each for each in parts if "" in each["delta"].values()]
    return f"empty: {found}" if found else ""


def _calls(parts: Sequence[Found]) -> str:
    seen: set[int] = set()
    for each in parts:
        calls = each["delta"].get("tool_calls", [])
        if len(calls) > 1:
            return f"two calls in a chunk: {each}"
        for call in calls:
            opened = {"index", "id", "type", "function"}
            function = {"name", "arguments"}
            if call["index"] in seen:
                opened, function = {"index", "function"}, {"arguments"}
            seen.add(call["index"])
            if set(call) != opened or set(call["function"]) != function:
                return f"a part of a call is {call}"
    return ""


def gathered(chunks: Sequence[Found]) -> list[Found]:
    """What the chunks say: the choices in order, as a reply has them."""
    found: dict[int, Found] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            nothing: Found = {"content": "", "calls": {}, "tokens": []}
            said = found.setdefault(choice["index"], nothing)
            said["content"] += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", []):
                parts = said["calls"].setdefault(call["index"], ["", ""])
                parts[0] += call["function"].get("name", "")
                parts[1] += call["function"]["arguments"]
            said["tokens"] += _tokens(choice)
            said["reason"] = choice["finish_reason"]
    return [_said(found[at]) for at in sorted(found)]


def choices_of(reply: Found) -> list[Found]:
    """The same of a reply."""
    found = []
    for at, choice in enumerate(reply["choices"]):
        assert choice["index"] == at, reply
        message = choice["message"]
        assert message["role"] == "assistant", message
        calls = [call["function"] for call in message.get("tool_calls", [])]
        said = {"content": message["content"] or "", "tokens": _tokens(choice)}
        said |= {"calls": [(each["name"], each["arguments"]) for each in calls]}
        found.append({**said, "reason": choice["finish_reason"]})
    return found


def _said(found: Found) -> Found:
    return {**found, "calls": [tuple(parts) for parts in found["calls"].values()]}


def _tokens(choice: Found) -> list[str]:
    """Of the likelihoods, with as many likeliest tokens for each."""
    likely = choice.get("logprobs")
    return (
        [f"{each['token']} {len(each['top_logprobs'])}" for each in likely["content"]]
        if (likely)
        else []
    )


def call_problems(choices: Sequence[Found]) -> list[str]:
    """What is wrong with answers that must be calls of the functions of `channels`."""
    found = []
    for choice in choices:
        if choice["content"] or not choice["calls"] or choice["reason"] != "tool_calls":
            found.append(f"not calls: {choice}")
        found += [wrong for call in choice["calls"] if (wrong := channels.problem(*call))]
    return found


def body(fields: Mapping[str, Any]) -> Found:
    """A chat with these fields, as it stands on the wire."""
    return {"messages": QUESTION, "model": "smollm2", **fields}


def text_problem(asked: Mapping[str, Any], reply: Found, chunks: Sequence[Found]) -> str:
    """What is wrong with a completion's choices, whole and in chunks; "" if nothing is."""
    prompts = asked["prompt"] if isinstance(asked["prompt"], list) else [asked["prompt"]]
    count = len(prompts) * asked.get("n", 1)
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for chunk in chunks:
        if not chunk["choices"] or chunk.get("usage"):
            return f"nobody asked for usage in the stream: {chunk}"
        for choice in chunk["choices"]:
            at = choice["index"]
            texts[at] = texts.get(at, "") + choice["text"]
            if at in reasons:
                return f"a chunk after the reason to finish: {chunk}"
            if choice["finish_reason"]:
                reasons[at] = choice["finish_reason"]
    whole = reply["choices"]
    if [each["index"] for each in whole] != list(range(count)) or sorted(texts) != list(
        range(count)
    ):
        return f"not {count} choices"
    if count == 1 and texts[0] != whole[0]["text"]:
        return f"another text: {texts}"
    each_has = count // len(prompts)
    if asked.get("echo") and not all(
        said["text"].startswith(prompts[at // each_has])
        and texts[at].startswith(prompts[at // each_has])
        for at, said in enumerate(whole)
    ):
        return "a prompt is not repeated"
    used = reply["usage"]["completion_tokens"]
    # The protocol's own limit is 16 tokens.
    if used != asked.get("max_tokens", 16) * count or {*reasons.values()} != {"length"}:
        return f"{used} tokens, {reasons}"
    likely = whole[0].get("logprobs")
    return _likely_problem(likely, whole[0]["text"], asked) if asked.get("logprobs") else ""


def _likely_problem(likely: Found, text: str, asked: Mapping[str, Any]) -> str:
    ends = [
        at + len(token) for at, token in zip(likely["text_offset"], likely["tokens"], strict=True)
    ]
    right = (
        "".join(likely["tokens"]) == text
        and likely["text_offset"] == [0, *ends[:-1]]
        and all(value <= 0 for value in likely["token_logprobs"])
        and {len(each) for each in likely["top_logprobs"]} == {asked["logprobs"]}
    )
    return "" if right else f"{likely}"


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two vectors of length 1."""
    return float(sum(a * b for a, b in zip(one, other, strict=True)))


def person_class() -> type[Any]:
    """A class of pydantic that any answer can be held to."""
    from typing import Literal

    from pydantic import BaseModel, Field

    class Pet(BaseModel):
        kind: Literal["cat", "dog"]

    class Person(BaseModel):
        name: str = Field(max_length=10)
        age: int = Field(ge=18, le=99)
        pets: list[Pet] = Field(min_length=1, max_length=2)

    return Person


def person_problem(found: Any) -> str:
    """What is wrong with what was parsed into that class."""
    right = (
        type(found).__name__ == "Person"
        and len(found.name) <= 10
        and 18 <= found.age <= 99
        and {pet.kind for pet in found.pets} <= {"cat", "dog"}
        and 1 <= len(found.pets) <= 2
    )
    return "" if right else repr(found)
