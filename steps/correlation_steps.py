"""The mark that leads from an error to the logs, and the trail that --debug shows."""

from behave import then
from behave.runner import Context

from harness.watching import log_lines


@then("the last line of standard error is its correlation id")
def ends_with_a_mark(context: Context) -> None:
    context.mark = log_lines.last_mark(context.run.stderr.text)


@then("the last line of standard error is another correlation id")
def another_mark(context: Context) -> None:
    assert log_lines.last_mark(context.run.stderr.text) != context.mark


@then("standard error names no correlation id")
def no_mark(context: Context) -> None:
    assert not log_lines.marks(context.run.stderr.text), context.run.stderr.text


@then("the logs of {programs} have lines with that correlation id")
def logs_have(context: Context, programs: str) -> None:
    names = programs.replace(" and ", ", ").split(", ")
    context.logged = {name: log_lines.under(context.world, name, context.mark) for name in names}
    silent = [name for name, lines in context.logged.items() if not lines]
    assert not silent, f"no line with {context.mark} of {silent}"


@then('among them are "{first}", "{second}" and "{third}"')
def among_them(context: Context, first: str, second: str, third: str) -> None:
    lines = [line for found in context.logged.values() for line in found]
    missing = [each for each in (first, second, third) if not any(each in line for line in lines)]
    assert not missing, (missing, lines)


@then("the worker's log has what it loaded, with that correlation id")
def load_is_logged(context: Context) -> None:
    lines = context.logged["llm-worker-rbee"]
    assert any("is loaded" in line for line in lines), lines


@then('the trail has "{first}" and "{second}", each with its status and time')
def trail_has_requests(context: Context, first: str, second: str) -> None:
    lines = log_lines.trail(context.run.stderr.text)
    missing = [each for each in (first, second) if not log_lines.has_request(lines, each)]
    assert not missing, (missing, context.run.stderr.text)


@then("the trail has lines of {one:S} and {other:S} with the correlation id that was told")
def trail_has_logs(context: Context, one: str, other: str) -> None:
    text = context.run.stderr.text
    (mark,) = log_lines.marks(text)
    for name in (one, other):
        found = [line for line in log_lines.trail(text) if line.startswith(f"{name}: ")]
        assert any(f"[{mark}]" in line for line in found), (name, text)


@then("the trail has the chain of exceptions")
def trail_has_chain(context: Context) -> None:
    lines = log_lines.trail(context.run.stderr.text)
    assert "Traceback (most recent call last):" in lines, context.run.stderr.text
    assert any("ModelNotFound" in line for line in lines), lines


@then("the trail has no key")
def trail_has_no_key(context: Context) -> None:
    text = context.run.stderr.text
    assert context.world.key not in text, "the API key stands in the trail"
    assert "Authorization" not in text, text
    assert "Bearer" not in text, text


@then("there is no trail")
def no_trail(context: Context) -> None:
    text = context.run.stderr.text
    assert not log_lines.trail(text), text
    assert "Traceback" not in text, text


@then("the trail tells when the first of {count:d} tokens came, and when the end")
def trail_tells_tokens(context: Context, count: int) -> None:
    lines = log_lines.trail(context.run.stderr.text)
    first = [at for at, line in enumerate(lines) if line.endswith("event: the first token")]
    end = [at for at, line in enumerate(lines) if f"the stream's end after {count} tokens" in line]
    assert len(first) == len(end) == 1, lines
    assert first < end, lines
