"""Validation speaks the command line's language: the flag, what it may be, and what it was."""

# ruff: noqa: E501  (a case is one line here)

from __future__ import annotations

import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.registry import AddNode
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import SpawnRequest
from rbee.keeper.commands.flag_errors import for_command_line
from rbee.keeper.commands.runner import message


@pytest.mark.parametrize(
    ("kind", "flags", "told"),
    [
        (TaskRequest, {"max_tokens": -5}, "--max-tokens must be a whole number from 1 to 1000000, got -5."),
        (TaskRequest, {"max_tokens": 10**8}, "--max-tokens must be a whole number from 1 to 1000000, got 100000000."),
        (TaskRequest, {"temperature": 9.5}, "--temperature must be a number from 0 to 5, got 9.5."),
        (TaskRequest, {"top_p": 0.0}, "--top-p must be a number above 0, 1 at most, got 0.0."),
        (TaskRequest, {"stop": [""]}, "--stop must be a text, got an empty one."),
        (TaskRequest, {"stop": ["a"] * 65}, "--stop must be given 64 times at most."),
        (TaskRequest, {"backend": ""}, "--backend must be a text, got an empty one."),
        (TaskRequest, {"device": -1}, "--device must be a whole number from 0 to 255, got -1."),
        (TaskRequest, {"keep_alive": "soon"}, "--keep-alive must be seconds or a text such as \"10m\", got 'soon'."),
        (SpawnRequest, {"model": "m", "slots": 0}, "--slots must be a whole number from 1 to 256, got 0."),
        (TaskRequest, {"seed": -2}, "--seed must be a whole number from 0 to 4294967294, or -1 for any, got -2."),
        (AddNode, {"node_name": "a", "ssh_host": "h", "hive_port": 0}, "--hive-port must be a whole number from 1 to 65535, got 0."),
    ],
)  # fmt: skip
def test_a_wrong_flag_is_told_as_a_person_typed_it(
    kind: type, flags: dict[str, object], told: str
) -> None:
    prompt = {"prompt": "hi"} if kind is TaskRequest else {}
    with pytest.raises(InvalidRequest) as caught:
        message(kind, prompt | flags)
    error = for_command_line(caught.value, kind, flags, {})
    assert error.message == told
    assert error.advice.startswith("Correct --")
