"""A shell: pipes, redirections, files; and what came of them."""

import json
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.model_files import prompts
from harness.watching import keeper_output

_LONGEST_S = 60


@when("I run in a shell `{line}`")
def run_in_shell(context: Context, line: str) -> None:
    context.run = context.world.start_in_shell(line)
    context.run.wait(_LONGEST_S)


@given('the file {name} has the text "{text}"')
def a_text(context: Context, name: str, text: str) -> None:
    _file(context, name).write_text(f"{text}\n")


@given("the file {name} has {size:d} KB of text")
def a_large_text(context: Context, name: str, size: int) -> None:
    context.prompt = (prompts.of_words(1000) + " ") * (size * 1000 // 5000)
    _file(context, name).write_text(context.prompt)


def _file(context: Context, name: str) -> Path:
    """Where commands are run."""
    return Path(context.world.tmp / name)


@then('the queen was asked "{text}"')
def queen_was_asked(context: Context, text: str) -> None:
    (asked,) = context.wire.asked_for("POST", "/v2/tasks")
    wanted = [{"role": "user", "content": text.replace("\\n", "\n")}]
    assert json.loads(asked.body)["messages"] == wanted, asked.body


@then("the queen was asked all of it")
def queen_was_asked_all(context: Context) -> None:
    (asked,) = context.wire.asked_for("POST", "/v2/tasks")
    assert json.loads(asked.body)["messages"][0]["content"] == context.prompt


@then("standard error tells nothing but the work")
def only_narration(context: Context) -> None:
    lines = context.run.stderr.text.splitlines()
    assert lines == keeper_output.narration(context.run.stderr.text), lines


@then("standard output is one {what}")
def one_piece(context: Context, what: str) -> None:
    text = context.run.stdout.text
    if what == "few bytes":
        assert len(text.encode()) == 20, text
        return
    assert text.count("\n") == 1, text
    if what == "event":
        assert json.loads(text)["event"] == "accepted", text


@then("the model was not loaded")
def not_loaded(context: Context) -> None:
    assert "is loaded" not in context.run.stderr.text, context.run.stderr.text


@then('each line on standard output is an event, the first "{first}", the last "{last}"')
def events_only(context: Context, first: str, last: str) -> None:
    text = context.run.stdout.text
    assert text.endswith("\n"), text
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(set(line) == {"event", "data"} for line in lines), lines
    names = [line["event"] for line in lines]
    assert (names[0], names[-1]) == (first, last), names
    assert len([name for name in names if name in ("done", "error")]) == 1, names


@then("the last line on standard error names `{command}`, and no other does")
def last_line_names(context: Context, command: str) -> None:
    lines = context.run.stderr.text.splitlines()
    assert [number for number, line in enumerate(lines) if command in line] == [len(lines) - 1]
    assert lines[-1].startswith("→ "), lines


@then("nothing names `{command}`")
def nothing_names(context: Context, command: str) -> None:
    assert command not in context.run.stderr.text + context.run.stdout.text
