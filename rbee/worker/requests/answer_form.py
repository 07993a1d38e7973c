"""What form an answer must have: its grammar, compiled for the model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rbee.contract.tasks import InferenceRequest, ResponseFormat
from rbee.runtime.concurrency import InThread
from rbee.worker.engine.load import Loaded
from rbee.worker.model import grammar

if TYPE_CHECKING:  # most answers have no form
    from rbee.worker.model.constraint import Constraint
    from rbee.worker.model.tool_formats.parser import Form


def is_wanted(asked: InferenceRequest) -> bool:
    """Whether there may be something to prepare."""
    forms = (asked.grammar, asked.response_format, asked.logprobs)
    return bool(asked.tools) or any(each is not None for each in forms)


async def constraint(
    loaded: Loaded, asked: InferenceRequest, form: Form | None, in_thread: InThread
) -> Constraint | None:
    """What holds the answer to its form, if one is asked for. `form` is what is looked for in the
    answer: reasoning may come before what is asked for, and calls in its place. Raises
    INVALID_REQUEST with the reason if it can't be had. Canceled, it stops the work on it."""
    from rbee.worker.model.constraint import refused
    from rbee.worker.requests import tool_use

    if asked.logprobs is not None:  # NumPy is imported here, and not between two tokens
        importlib.import_module("rbee.worker.model.likelihood")
    field, schema = "grammar", None
    if asked.grammar is None:
        field, schema = _schema(asked.response_format)
        if form is not None:
            return await tool_use.constraint(loaded, asked, form, schema, field, in_thread)
        if schema is None:
            return None
    try:
        source = await in_thread(lambda: _source(asked.grammar, schema or {}))
    except ValueError as error:
        raise refused(field, str(error)) from None
    return await loaded.model.grammars.compile(source, field, in_thread)


def _source(gbnf_text: str | None, schema: dict[str, Any]) -> str:
    if gbnf_text is None:
        return grammar.of_schema(schema)
    from rbee.worker.model import gbnf

    return gbnf.to_lark(gbnf_text)


def _schema(asked: ResponseFormat | None) -> tuple[str, dict[str, Any] | None]:
    """The field that asks for JSON, and the schema of it; None for any text."""
    if asked is None or asked.type == "text":
        return "response_format", None
    if asked.json_schema is None:
        return "response_format", {"type": "object"}
    return "response_format.json_schema.schema", asked.json_schema.schema
