"""What a feature writes down for a step to compare: the fields of its table, and of its JSON, each
with the message that has it, by the OpenAPI documents."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from behave.model import Step

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
DAEMONS = ("queen", "hive", "worker")
_NOTHING: tuple[object, ...] = (
    None,
    "…",
    "",
    [],
    {},
)  # as good as not compared: a default, or anything at all
_PARAMETER = re.compile(r"\{\w+\}")
_PLACEHOLDER = re.compile(r"<[^<>]*>")

Field = tuple[str, str]
"""Message and field; a message "" is any."""


@dataclass(frozen=True)
class Use:
    """A step as a scenario has it. `values` are those of its pattern's parameters; `code` is the
    error's that the scenario named last."""

    step: Step
    values: Mapping[str, str]
    code: str

    def fields(self) -> set[Field]:
        """Return those that stand here with a value."""
        found = set(self._of_table())
        if self.step.text:
            found |= set(_walk(self._told(), _json(self.step.text)))
        if "body" in self.values:
            found |= set(_walk(self._asked(), _json(f"{{{self.values['body']}}}")))
        if "values" in self.values:
            details = _json(f"{{{self.values['values']}}}")
            found |= {(self.code, key) for key, value in details.items() if _says(value)}
        return found

    @property
    def is_written(self) -> bool:
        """Whether the feature writes down here what the step compares."""
        return bool(self.step.text or self.values.keys() & {"body", "values"} or self._has_table)

    @property
    def _has_table(self) -> bool:
        return bool(self.step.table and self.step.table.headings[-1] == "value")

    def _of_table(self) -> Iterator[Field]:
        for row in self.step.table if self._has_table else ():
            owner, _, name = row.cells[0].rpartition(".")
            if row.cells[-1] not in ("null", "{}", "[]"):
                yield owner, name

    def _told(self) -> object:
        """The schemas of what the JSON is: an answer, or an event."""
        if "name" in self.values:
            return [operation["events"].get(self.values["name"]) for operation in self._operations]
        return [operation["reply"] for operation in self._operations]

    def _asked(self) -> object:
        return [operation["request"] for operation in self._operations]

    @property
    def _operations(self) -> list[dict[str, Any]]:
        """The one that the step names, or all."""
        known = _operations()
        if "path" not in self.values:
            return list(known.values())
        path = self.values["path"].partition("?")[0]
        method = "POST" if "POST" in self.step.name else "GET"
        asked = f"{method} {path}"
        there = [each for who, each in known if who == self.values["who"]]
        template = next(each for each in there if _matches(each, asked))
        return [known[self.values["who"], template]]


def _matches(template: str, path: str) -> bool:
    """Whether a route with `{name}` in it is that of the path."""
    parts = _PARAMETER.split(template)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None


def _json(text: str) -> Any:
    return json.loads(_PLACEHOLDER.sub("0", text))


def _says(value: object) -> bool:
    return value not in _NOTHING


def _walk(schema: object, value: object) -> Iterator[Field]:
    """Every field with a value, however deep."""
    messages = set(_messages_in(schema))
    for each in value if isinstance(value, list) else [value]:
        for key, inner in each.items() if isinstance(each, dict) else ():
            for message in messages:
                of_key = _schemas()[message].get("properties", {}).get(key)
                if of_key is not None and _says(inner):
                    yield message, key
                yield from _walk(of_key, inner)


def _messages_in(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for each in schema.values():
            yield from _messages_in(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _messages_in(each)


def documents() -> dict[str, Any]:
    """Return the OpenAPI documents by daemon."""
    return {
        daemon: json.loads((REFERENCE / f"openapi-{daemon}.json").read_text()) for daemon in DAEMONS
    }


@cache
def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for document in documents().values():
        found |= document["components"]["schemas"]
    return found


@cache
def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    """The schemas of request, reply and events, by daemon and route."""
    found = {}
    for daemon, document in documents().items():
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                content: dict[str, Any] = {}
                for status, response in operation["responses"].items():
                    content |= response.get("content", {}) if status != "default" else {}
                found[daemon, f"{method.upper()} {path}"] = {
                    "request": operation.get("requestBody"),
                    "reply": content.get("application/json"),
                    "events": content.get("text/event-stream", {}).get("x-events", {}),
                }
    return found
