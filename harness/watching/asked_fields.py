"""What a queen or a worker was asked, as it stood on the wire, field by field."""

import json
from typing import Any

# A field with this value means the same as one that is not there.
_DEFAULTS: dict[str, Any] = {
    "prompt": None,
    "messages": None,
    "max_tokens": 512,
    "temperature": 0.7,
    "top_p": 0.95,
    "top_k": 40,
    "min_p": 0.05,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "logit_bias": {},
    "logprobs": None,
    "grammar": None,
    "response_format": None,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "continue_final_message": None,
    "think": None,
    "chat_template_kwargs": {},
    "seed": None,
    "stop": [],
    "ignore_eos": False,
    "cache_prompt": True,
    "keep_alive": None,
}
_OF_THE_QUEEN: dict[str, Any] = {
    "node": None,
    "model": None,
    "backend": None,
    "device": None,
    "context": None,
    "force": False,
    "explain": False,
}
_OF_THE_WORKER: dict[str, Any] = {"stream": True}
DEFAULTS = {
    "queen": {**_DEFAULTS, **_OF_THE_QUEEN},
    "worker": {**_DEFAULTS, **_OF_THE_WORKER},
}


def differences(who: str, body: bytes, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return each field that `who` was asked with another value than wanted: what it was asked, and
    what was wanted. A field that is not wanted must have its default; the id does not count."""
    asked = {**DEFAULTS[who], **json.loads(body)}
    asked.pop("request_id", None)
    expected = {**DEFAULTS[who], **wanted}
    return {
        name: (asked.get(name), expected.get(name))
        for name in {*asked, *expected}
        if asked.get(name) != expected.get(name)
    }


def id_of(body: bytes) -> str:
    """The request's own id."""
    return str(json.loads(body)["request_id"])


def messages(body: bytes) -> list[dict[str, Any]]:
    """The conversation that a task asks with."""
    return list(json.loads(body)["messages"])


def question(text: str) -> list[dict[str, str]]:
    """A conversation of one question; `\\n` in a feature is the end of a line."""
    return [{"role": "user", "content": text.replace("\\n", "\n")}]
