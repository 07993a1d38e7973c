"""Claude Code, pointed at the queen."""

from behave import given, then, when
from behave.runner import Context

from harness.watching import claude_code


@given('a note that says "{text}", and a model that reads it and answers "{answer}"')
def note_and_model(context: Context, text: str, answer: str) -> None:
    context.note = context.world.tmp / "note.txt"
    context.note.write_text(text + "\n")
    context.said, context.answer = text, answer
    context.model = claude_code.model_that_reads(context.world, context.note, answer)


@when('Claude Code is asked "{question}"')
def asked(context: Context, question: str) -> None:
    context.session = claude_code.ask(context.world, context.model, question)


@when("Claude Code is asked for more than the model can read")
def asked_for_too_much(context: Context) -> None:
    context.session = claude_code.ask(context.world, "smollm2", "Where is the kettle?")


@then("it has read the note with its own tool, and answers as the model does")
def has_read(context: Context) -> None:
    session = context.session
    assert session.exit_code == 0, session.lines[-3:]
    calls = [block for block in session.blocks if block["type"] == "tool_use"]
    wanted = ("Read", {"file_path": str(context.note)})
    assert [(call["name"], call["input"]) for call in calls] == [wanted], calls
    results = [block for block in session.blocks if block["type"] == "tool_result"]
    assert len(results) == 1 and context.said in str(results[0]["content"]), results
    found = session.result
    assert (found["subtype"], found["is_error"]) == ("success", False), found
    assert (found["result"], found["num_turns"]) == (context.answer, 2), found


@then("the second question to the model found the first in the cache")
def cached(context: Context) -> None:
    usage = context.session.result["usage"]
    assert usage["cache_read_input_tokens"] > usage["input_tokens"] / 2, usage
    assert 0 < usage["output_tokens"] <= 10, usage


@then("it says that the prompt is too long, and how long it may be")
def too_long(context: Context) -> None:
    found = context.session.result
    assert context.session.exit_code == 1 and found["is_error"], found
    assert found["terminal_reason"] == "prompt_too_long", found
    assert "limit 8191" in found["result"], found
