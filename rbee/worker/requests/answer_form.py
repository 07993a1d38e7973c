"""What form an answer must have: its grammar, compiled for the model."""

from __future__ import annotations

import importlib
from typing import Any

from rbee.contract.tasks import InferenceRequest, ResponseFormat
from rbee.worker.engine.load import Loaded
from rbee.worker.model import gbnf, grammar
from rbee.worker.model.constraint import Constraint, refused
from rbee.worker.model.tool_formats.parser import Form
from rbee.worker.requests import tool_use


def is_wanted(asked: InferenceRequest) -> bool:
    """Whether there may be something to prepare."""
    forms = (asked.grammar, asked.response_format, asked.logprobs)
    return bool(asked.tools) or any(each is not None for each in forms)


def constraint(
    loaded: Loaded, asked: InferenceRequest, form: Form | None = None
) -> Constraint | None:
    """What holds the answer to its form, if one is asked for. `form` is what is looked for in the
    answer: reasoning may come before what is asked for, and calls in its place. It may take a
    second: not for the event loop. Raises INVALID_REQUEST with the reason if it can't be had."""
    if asked.logprobs is not None:  # NumPy is imported here, and not between two tokens
        importlib.import_module("rbee.worker.model.likelihood")
    field = "response_format"
    try:
        if asked.grammar is not None:
            field = "grammar"
            source = gbnf.to_lark(asked.grammar)
        else:
            schema = _schema(asked.response_format)
            if asked.response_format is not None and asked.response_format.json_schema is not None:
                field = "response_format.json_schema.schema"
            if form is not None:
                return tool_use.constraint(loaded, asked, form, schema, field)
            if schema is None:
                return None
            source = grammar.of_schema(schema)
    except ValueError as error:
        raise refused(field, str(error)) from None
    return loaded.model.grammars.compile(source, field)


def _schema(asked: ResponseFormat | None) -> dict[str, Any] | None:
    """The schema of the JSON that is asked for; None for any text."""
    if asked is None or asked.type == "text":
        return None
    return {"type": "object"} if asked.json_schema is None else asked.json_schema.schema
