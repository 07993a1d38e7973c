"""Answers that fill the context, and how each protocol says so."""

from collections.abc import Callable
from typing import Any

from harness.world.world import World

_TURNS = [{"role": "user", "content": "Say it."}]
# It can't be complete in a context of 256 tokens, where there is no ignore_eos.
_ENDLESS = {"type": "array", "items": {"const": "bees"}, "minItems": 300}


def _finish_reason(found: Any) -> Any:
    return found["choices"][0]["finish_reason"]


# By routes: what is asked beside the model and the number of tokens, the field for that number,
# what of the answer says how it ended, and how it must.
_ASKED: dict[str, tuple[dict[str, Any], str, Callable[[Any], Any], Any]] = {
    "/v1/chat/completions": (
        {"messages": _TURNS, "ignore_eos": True},
        "max_tokens",
        _finish_reason,
        "length",
    ),
    "/v1/completions": (
        {"prompt": "Once", "ignore_eos": True},
        "max_tokens",
        _finish_reason,
        "length",
    ),
    "/v1/responses": (
        {"input": "Say it.", "ignore_eos": True},
        "max_output_tokens",
        lambda found: (found["status"], found["incomplete_details"]),
        ("incomplete", {"reason": "max_output_tokens"}),
    ),
    "/v1/messages": (
        {
            "messages": _TURNS,
            "output_config": {"format": {"type": "json_schema", "schema": _ENDLESS}},
        },
        "max_tokens",
        lambda found: found["stop_reason"],
        "model_context_window_exceeded",
    ),
    "/api/chat": (
        {"messages": _TURNS, "stream": False, "format": _ENDLESS},
        "num_predict",
        lambda found: found["done_reason"],
        "length",
    ),
    "/completion": (
        {"prompt": "Once", "ignore_eos": True},
        "n_predict",
        lambda found: (found["stop_type"], found["truncated"]),
        ("limit", True),
    ),
}


def complaints(world: World, tokens: int) -> dict[str, tuple[Any, Any]]:
    """What each route says that must say something else, and that; each is asked for more `tokens`
    than the context holds."""
    wrong = {}
    for path, (asked, field, told, wanted) in _ASKED.items():
        limit = {"options": {field: tokens}} if path.startswith("/api/") else {field: tokens}
        body = {"model": "smollm2", **asked, **limit}
        reply = world.call("POST", world.queen_url + path, body, timeout=60)
        assert reply.status == 200, (path, reply)
        if told(reply.json) != wanted:
            wrong[path] = told(reply.json), wanted
    return wrong
