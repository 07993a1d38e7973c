"""The channels of an answer, as its events have them, and functions that a model may call."""

import json
from typing import Any

import jsonschema

from harness.world.http_client import EventStream

QUESTION = [{"role": "user", "content": "Will it rain in Paris tomorrow?"}]
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"enum": ["Paris", "Oslo", 'a "b" {']},
                    "days": {"type": "integer", "minimum": 1, "maximum": 14},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "is_day",
            "parameters": {
                "type": "object",
                "properties": {"here": {"type": "boolean"}},
                "required": ["here"],
                "additionalProperties": False,
            },
        },
    },
]
# There is one way to call it.
WEATHER_IN_PARIS = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"const": "Paris"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
# In the form that the worker asks of a model whose template has none.
WRITTEN_CALL = '{"tool_call": {"name": "is_day", "arguments": {"here": true}}}'


def said(stream: EventStream) -> list[tuple[str, str, str]]:
    """What was said, stretch by stretch: its channel, the function that is called, and the text."""
    found: list[tuple[str, str, str]] = []
    last = None
    for event in stream.named("token"):
        text, channel = event.data["token"], event.data.get("channel", "text")
        call = event.data.get("call", {})
        if (channel, call.get("index")) == last:
            found[-1] = (*found[-1][:2], found[-1][2] + text)
        elif text or call:
            found.append((channel, call.get("name", ""), text))
            last = (channel, call.get("index"))
    return found


def begun(stream: EventStream) -> list[dict[str, Any]]:
    """How each call begins."""
    calls = [event.data.get("call", {}) for event in stream.named("token")]
    return [call for call in calls if "name" in call]


def problem(name: str, arguments: str) -> str:
    """What is wrong with a call of one of the tools; nothing if it is valid."""
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    try:
        jsonschema.validate(json.loads(arguments), schemas[name])
    except (KeyError, ValueError, jsonschema.ValidationError) as error:
        return f"{str(error).splitlines()[0]}: {name} {arguments!r}"
    return ""
