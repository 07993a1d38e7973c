"""The documentation, typed as it stands."""

from behave import then, when
from behave.runner import Context

from harness import docs

_LONGEST_S = 60


@when("each command of the page {page} is typed")
def type_each(context: Context, page: str) -> None:
    context.examples = docs.examples(page)
    context.runs = []
    for example in context.examples:
        run = context.world.start(example.command)
        run.wait(_LONGEST_S)
        context.runs.append(run)


@then("each of the {count:d} shows what the page says, but for figures")
def each_as_shown(context: Context, count: int) -> None:
    assert len(context.examples) == count, [example.command for example in context.examples]
    wrong = {}
    for example, run in zip(context.examples, context.runs, strict=True):
        text, errors = run.stdout.text, run.stderr.text
        found = docs.differences(example, context.world.home, text, errors)
        if found:
            wrong[example.command] = found
    assert not wrong, wrong
