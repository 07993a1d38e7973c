"""What a model thinks and says, as each protocol tells the two apart."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.world.world import World

_QUESTION = "Say something."
_TURNS = [{"role": "user", "content": _QUESTION}]
_WITHIN_S = 60

Told = tuple[str, str]


def _chat(reply: Any) -> Told:
    message = reply["choices"][0]["message"]
    return message.get("reasoning_content", ""), message["content"]


def _response(reply: Any) -> Told:
    said = {each["type"]: each["content"][0]["text"] for each in reply["output"]}
    return said.get("reasoning", ""), said.get("message", "")


def _ollama_chat(reply: Any) -> Told:
    return reply["message"].get("thinking", ""), reply["message"]["content"]


def _generate(reply: Any) -> Told:
    return reply.get("thinking", ""), reply["response"]


_ASKED: Mapping[str, tuple[dict[str, Any], dict[bool, dict[str, Any]], Callable[[Any], Told]]] = {
    "/v1/chat/completions": (
        {"messages": _TURNS},
        {True: {"reasoning_effort": "low"}, False: {"reasoning_effort": "none"}},
        _chat,
    ),
    "/v1/responses": (
        {"input": _QUESTION},
        {True: {"reasoning": {"effort": "low"}}, False: {"reasoning": {"effort": "none"}}},
        _response,
    ),
    "/api/chat": (
        {"messages": _TURNS, "stream": False},
        {True: {"think": True}, False: {"think": False}},
        _ollama_chat,
    ),
    "/api/generate": (
        {"prompt": _QUESTION, "stream": False},
        {True: {"think": True}, False: {"think": False}},
        _generate,
    ),
}


def replies(world: World, model: str, thinks: bool) -> dict[str, Any]:
    """The reply of each route, where the model `thinks` first, or must not."""
    found = {}
    for route, (question, how, _) in _ASKED.items():
        body = {"model": model, **question, **how[thinks]}
        reply = world.call("POST", world.queen_url + route, body, timeout=_WITHIN_S)
        assert reply.status == 200, (route, reply)
        found[route] = reply.json
    return found


def told(found: Mapping[str, Any]) -> dict[str, Told]:
    """What the model thought and said, by the route that was asked."""
    return {route: read(found[route]) for route, (*_, read) in _ASKED.items()}


def counted(found: Mapping[str, Any]) -> int:
    """How many of the tokens of a response were thought, as its usage tells."""
    usage = found["/v1/responses"]["usage"]
    return int(usage["output_tokens_details"]["reasoning_tokens"])
