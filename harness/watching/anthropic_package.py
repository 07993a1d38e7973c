"""Anthropic's own package as a client of the queen, and what its protocol promises of a stream.

The package takes most of a second to import, so that happens where it is used.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.watching import channels
from harness.watching.raw_requests import bearer, send
from harness.world.http_client import Reply

QUESTION = [{"role": "user", "content": "Say something nice about cats."}]
# What the package's methods have no parameter for.
_OURS = (
    *("temperature", "top_p", "top_k", "keep_alive", "thread", "mcp_servers", "compaction"),
    "output_format",
)
_ONLY_ANSWERS = ("max_tokens", "stop_sequences", "extra_body")
_WITHIN_S = 60
_ORDER = {
    "message_start": {""},
    "content_block_start": {"message_start", "content_block_stop"},
    "content_block_delta": {"content_block_start", "content_block_delta"},
    "content_block_stop": {"content_block_start", "content_block_delta"},
    "message_delta": {"message_start", "content_block_stop"},
    "message_stop": {"message_delta"},
}
_DELTAS = {
    "text": {"text_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
}

Found = dict[str, Any]

TOOLS = [
    {
        "name": tool["function"]["name"],
        "description": "A function.",
        "input_schema": tool["function"]["parameters"],
    }
    for tool in channels.TOOLS
]


class AnthropicPackage:
    """Its clients, in turn and asynchronous, without tries of their own."""

    def __init__(self, url: str, key: str) -> None:
        self._how: Found = {
            "base_url": url,
            "api_key": key,
            "max_retries": 0,
            "timeout": _WITHIN_S,
        }

    @property
    def client(self) -> Any:
        from anthropic import Anthropic

        return Anthropic(**self._how)

    def message(self, fields: Mapping[str, Any]) -> Found:
        """The reply, checked with the package's type."""
        from anthropic.types import Message

        with self.client as client:
            return _checked(Message, client.messages.create(**asked(fields)))

    def events(self, fields: Mapping[str, Any]) -> list[Found]:
        """The events, each checked with the package's types."""
        from anthropic.types import RawMessageStreamEvent
        from pydantic import TypeAdapter

        adapter: Any = TypeAdapter(RawMessageStreamEvent)
        with self.client as client, client.messages.create(**asked(fields), stream=True) as stream:
            found = [_plain(event) for event in stream]
        for event in found:
            adapter.validate_python(event)
        return found

    def read(self, fields: Mapping[str, Any]) -> tuple[str, Found]:
        """What the package's reader of streams finds: the text as it comes, and the message."""
        with self.client as client, client.messages.stream(**asked(fields)) as stream:
            text = "".join(stream.text_stream)
            return text, _plain(stream.get_final_message())

    def asynchronously(self, fields: Mapping[str, Any]) -> tuple[Found, Found]:
        """The reply and the streamed message of the asynchronous client, on the beta route."""
        from anthropic import AsyncAnthropic

        async def ask() -> tuple[Found, Found]:
            async with AsyncAnthropic(**self._how) as client:
                whole = await client.beta.messages.create(**asked(fields))
                async with client.messages.stream(**asked(fields)) as stream:
                    return _plain(whole), _plain(await stream.get_final_message())

        return asyncio.run(ask())

    def parsed(self, kind: type[Any]) -> list[Any]:
        """What both clients parse an answer into."""
        from anthropic import AsyncAnthropic

        how = {**asked({"max_tokens": 200, "temperature": 0}), "output_format": kind}

        async def ask() -> Any:
            async with AsyncAnthropic(**self._how) as client:
                return await client.messages.parse(**how)

        with self.client as client:
            replies = [client.messages.parse(**how)]
        replies.append(asyncio.run(ask()))
        return [reply.parsed_output for reply in replies]

    def run_tools(self, model: str) -> list[tuple[list[str], str]]:
        """For the package's runner of tools, whole and streamed: the cities for which it ran the
        function, and the model's last words."""
        from anthropic import beta_tool

        cities: list[str] = []

        def weather(city: str) -> str:
            cities.append(city)
            return "Rain"

        ran, tool = [], beta_tool(weather, description="The weather in a city.")
        for stream in (False, True):
            cities.clear()
            with self.client as client:
                runner = client.beta.messages.tool_runner(
                    model=model, max_tokens=200, messages=QUESTION, tools=[tool], stream=stream
                )
                words = str(runner.until_done().content[0].text)
            ran.append(([*cities], words))
        return ran

    def count(self, fields: Mapping[str, Any]) -> int:
        """The tokens of a prompt, as the package counts them."""
        how = {name: value for name, value in asked(fields).items() if name not in _ONLY_ANSWERS}
        with self.client as client:
            return int(client.messages.count_tokens(**how).input_tokens)

    def models(self) -> list[str]:
        """The ids of all models, page by page, each checked with the package's type."""
        from anthropic.types import ModelInfo

        with self.client as client:
            found = [_checked(ModelInfo, each) for each in client.models.list(limit=2)]
        return [each["id"] for each in found]

    def models_before(self, name: str, limit: int) -> list[str]:
        """The ids of one page: the last ones before a model."""
        with self.client as client:
            return [str(each.id) for each in client.models.list(before_id=name, limit=limit).data]

    def model(self, name: str) -> str:
        """The id of the model that the name stands for."""
        with self.client as client:
            return str(client.models.retrieve(name).id)

    def refusal(self, fields: Mapping[str, Any]) -> Any:
        """The exception with which a message is refused."""
        import anthropic

        try:
            self.message({"max_tokens": 4, **fields})
        except anthropic.APIStatusError as error:
            return error
        raise AssertionError(f"{fields} was answered")

    def close_in_the_middle(self, fields: Mapping[str, Any], after: int) -> None:
        """Read so many events of a stream, and close it."""
        with self.client as client:
            stream = client.messages.create(**asked(fields), stream=True)
            for _ in range(after):
                next(stream)
            stream.close()


def pet_class() -> type[Any]:
    """A class of pydantic that any answer can be held to. The package makes no limits of lengths
    or numbers part of the schema."""
    from typing import Literal

    from pydantic import BaseModel

    class Pet(BaseModel):
        kind: Literal["cat", "dog"]
        is_old: bool

    return Pet


def asked(fields: Mapping[str, Any]) -> Found:
    """What the package passes on by name, and what it takes only beside that."""
    extra = {name: fields[name] for name in _OURS if name in fields}
    found = {"messages": QUESTION, "model": "smollm2"}
    found |= {name: value for name, value in fields.items() if name not in extra}
    return {**found, "extra_body": extra}


def body(fields: Mapping[str, Any]) -> Found:
    """A request with these fields, as it stands on the wire."""
    return {"messages": QUESTION, "model": "smollm2", **fields}


def _plain(found: Any) -> Found:
    return dict(found.to_dict(mode="json"))


def _checked(kind: Any, found: Any) -> Found:
    """The package itself takes anything; its types do not."""
    plain = _plain(found)
    kind.model_validate(plain)
    return plain


def disorder(events: Sequence[Found]) -> str:
    """What is wrong with the order of a stream's events; "" if nothing is."""
    before, blocks, kind = "", 0, ""
    for event in events:
        name = event["type"]
        if before not in _ORDER.get(name, set()):
            return f"{name} after {before or 'nothing'}"
        if name.startswith("content_block") and event["index"] != blocks:
            return f"the index {event['index']}, not {blocks}"
        if name == "content_block_start":
            kind = event["content_block"]["type"]
        elif name == "content_block_delta" and event["delta"]["type"] not in _DELTAS[kind]:
            return f"{event['delta']['type']} in a block of the type {kind}"
        blocks += name == "content_block_stop"
        before = name
    first = events[0]["message"]
    if first["content"] or first["stop_reason"] or first["usage"]["input_tokens"] <= 0:
        return f"a message begins with {first}"
    return "" if before == "message_stop" else f"the last event is {before}"


def gathered(events: Sequence[Found]) -> Found:
    """What the events of a stream make up."""
    found: Found = {"content": []}
    for event in events:
        if event["type"] == "message_start":
            found |= {name: event["message"][name] for name in ("id", "model", "role")}
        elif event["type"] == "content_block_start":
            found["content"].append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            block, delta = found["content"][-1], event["delta"]
            for name in ("text", "thinking", "signature"):
                block[name] = block.get(name, "") + delta.get(name, "")
            block["json"] += delta.get("partial_json", "")
        elif event["type"] == "message_delta":
            found |= {**event["delta"], "usage": event["usage"]}
    for block in found["content"]:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}")
    return found


def said(message: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The blocks of a message, without what differs from one answer to the same question to the
    next, and why it stopped."""
    names = ("type", "text", "thinking", "name", "input")
    blocks = [tuple(block.get(name) or "" for name in names) for block in message["content"]]
    return [*blocks, (message["stop_reason"], message.get("stop_sequence"))]


def prompt_tokens(message: Mapping[str, Any]) -> int:
    """The tokens of the prompt by its usage: those that were read, and those from the cache."""
    usage = message["usage"]
    assert usage["cache_creation_input_tokens"] == 0, usage
    assert usage["input_tokens"] > 0 <= usage["cache_read_input_tokens"], usage
    return int(usage["input_tokens"] + usage["cache_read_input_tokens"])


def shaped(reply: Reply) -> tuple[int, str]:
    """Status and type of a refusal; the type is what is wrong if it is not in Anthropic's shape,
    with ours inside."""
    wrong = f"not in shape: {reply.body[:300]!r}"
    try:
        error = reply.json["error"]
        right = set(reply.json) == {"type", "error", "request_id"}
        right = right and reply.json["type"] == "error" and bool(error["message"])
        right = right and set(error) == {"type", "message", "rbee"}
        right = right and set(error["rbee"]) == {"code", "details"}
        right = right and reply.json["request_id"] == reply.headers["request-id"]
    except (ValueError, KeyError, TypeError):
        right = False
    return reply.status, error["type"] if right else wrong


def with_wrong_keys(url: str) -> dict[str, tuple[int, str]]:
    """What the routes answer to keys that are not the key."""
    version = {"anthropic-version": "2023-06-01"}
    found = {}
    for method, path in (
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages?beta=true"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/v1/models"),
    ):
        for header in (bearer("wrong"), {"X-Api-Key": "wrong"}, {}):
            content = b"{}" if method == "POST" else None
            reply = send(method, url + path, {**header, **version}, content)
            found[f"{method} {path} with {header}"] = shaped(reply)
    return found


def with_odd_bodies(url: str, key: str, size: int) -> list[tuple[int, str]]:
    """What the routes answer to a body that is not JSON, and one that is too long; and to a route
    that there is not."""
    paths = ("/v1/messages", "/v1/messages/count_tokens")
    found = [shaped(send("POST", url + path, bearer(key), b'{"messages": [')) for path in paths]
    found += [shaped(send("POST", url + path, bearer(key), b" " * size)) for path in paths]
    return [*found, shaped(send("POST", f"{url}/v1/messages/batches", bearer(key), b"{}"))]
