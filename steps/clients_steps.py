"""Programs of other people, each set up as our page about it shows."""

import json

from behave import given, then
from behave.runner import Context

from harness.watching import llm_program


@given("llm is set up as docs/how-to/clients.md shows")
def llm_set_up(context: Context) -> None:
    llm_program.set_up(context.world)


@then("it prints the same as the command before, which is not nothing")
def prints_the_same(context: Context) -> None:
    before, found = context.run_before.stdout.text, context.run.stdout.text
    assert before.strip() and before == found, (before, found)


@then("llm's own log has the last two as one conversation, whose prompts were counted")
def one_conversation(context: Context) -> None:
    *_, (first, read, _), (second, read_then, written) = llm_program.logged(context.world)
    assert first == second, (first, second)
    assert 0 < read < read_then and 0 < written <= 4, (read, read_then, written)


@then("it prints an object with a name, which is text, and an age, which is an integer")
def prints_an_object(context: Context) -> None:
    found = json.loads(context.run.stdout.text)
    assert {name: type(value) for name, value in found.items()} == {"name": str, "age": int}, found
