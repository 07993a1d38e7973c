"""Validation speaks the command line's language: the flag, what it may be, and what it was."""

# ruff: noqa: E501  (a case is one line here)

from __future__ import annotations

import click
import pytest

from rbee.contract.errors import InvalidRequest, NotFound, PromptTooLong
from rbee.contract.registry import AddNode
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import SpawnRequest
from rbee.keeper.cli import main
from rbee.keeper.commands.flag_errors import for_command_line
from rbee.keeper.commands.runner import message, screen_of, typed_names


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
    error = for_command_line(caught.value, typed_names(flags), kind)
    assert error.message == told
    assert error.advice.startswith("Correct --")


FAR = [
    (["infer", "--context", "9"], InvalidRequest.of("context", "at most 8", "It has 8"), "--context: It has 8."),
    (["infer", "hi"], InvalidRequest.of("messages[0].content", "", "It has no tokens"), "--prompt: It has no tokens."),
    (["infer", "hi"], InvalidRequest.of("tools[1]", "", "It is odd"), "--tools: It is odd."),
    (["infer", "--schema", "f"], InvalidRequest.of("response_format", "", "Expected less"), "--schema must be less."),
    (["setup", "wake", "--node", "a"], InvalidRequest.of("node_name", "", "It has no MAC"), "--node: It has no MAC."),
    (["setup", "remove-node", "--name", "a"], InvalidRequest.of("node_name", "", "It stays"), "--name: It stays."),
    (["auth", "revoke", "a"], NotFound.of("name", "", "No key is called a"), "NAME: No key is called a."),
    (["show", "m"], InvalidRequest.of("model", "", "It has none"), "MODEL: It has none."),
    (["infer", "hi"], PromptTooLong("It is too long.", errors=[{"field": "prompt"}]), "It is too long."),
    (["infer", "hi"], InvalidRequest.of("body", "json", "Expected JSON"), "The request is not valid: body: Expected JSON"),
    (["infer", "hi"], InvalidRequest("Wrong.", errors=None), "Wrong."),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "error", "told"), FAR)
def test_an_error_of_the_queen_names_what_was_typed(
    typed: list[str],
    error: InvalidRequest,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    context, names = click.Context(main), iter(typed)
    while isinstance(context.command, click.Group):
        command = context.command.get_command(context, next(names))
        assert command is not None
        context = click.Context(command, parent=context)
    with context:
        screen_of({"model": None}).error(error)
    assert capsys.readouterr().err.splitlines()[0] == f"Error [{error.code}]: {told}"
