"""Codex and opencode, pointed at the queen."""

from behave import given, then, when
from behave.runner import Context

from harness.watching import coding_agents


@given('a note with "{text}", and a model that has {program:w} show it and answers "{answer}"')
def note_for_agent(context: Context, text: str, program: str, answer: str) -> None:
    context.note = context.world.tmp / "note.txt"
    context.note.write_text(text + "\n")
    context.said, context.answer = text, answer
    context.model = coding_agents.model_that_reads(context.world, program, context.note, answer)


@when('the program {program:w} is asked "{question}"')
def agent_asked(context: Context, program: str, question: str) -> None:
    context.session = coding_agents.ask(context.world, program, context.model, question)


@when("the program {program:w} is asked for more than the bundled model can read")
def agent_asked_too_much(context: Context, program: str) -> None:
    context.session = coding_agents.ask(context.world, program, "smollm2", "Where is the kettle?")


@then("it has shown the note by a command of its own, and answers as the model does")
def agent_has_read(context: Context) -> None:
    session = context.session
    assert session.exit_code == 0 and not session.errors, session
    assert len(session.ran) == 1, session
    ((command, output),) = session.ran
    assert str(context.note) in command and context.said in output, session
    assert session.answers == [context.answer], session


@then("its second question found half of its tokens in the cache")
def agent_cached(context: Context) -> None:
    used = context.session.usage
    cached, read = used["cached_input_tokens"], used["input_tokens"]
    assert read / 3 < cached < read, used
    assert 0 < used["output_tokens"] <= 10, used


@then("it says that there is no room in the model's context")
def agent_has_no_room(context: Context) -> None:
    assert context.session.exit_code == 1, context.session
    assert any("context window" in error for error in context.session.errors), context.session
