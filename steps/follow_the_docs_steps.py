"""The documentation's commands, typed as they are printed."""

from behave import given, then, when
from behave.runner import Context

from harness.watching import documentation, exported_packages

_LONGEST_S = 150


@given("{name:S} as the page {page} shows it")
def file_of_the_page(context: Context, name: str, page: str) -> None:
    documentation.write_shown(context.world, page, name)


@when("each command of the page {page} is typed")
def type_each(context: Context, page: str) -> None:
    _type(context, documentation.examples(page))


@when("each command of the page {page} is typed, except those that begin with")
def type_most(context: Context, page: str) -> None:
    _type(
        context,
        documentation.without(
            documentation.examples(page), [row["words"] for row in context.table]
        ),
    )


def _type(context: Context, examples: list[documentation.Example]) -> None:
    context.examples = examples
    context.runs = []
    for example in examples:
        run = documentation.type_in_a_shell(context.world, example.command)
        run.wait(_LONGEST_S)
        context.runs.append(run)


@when(
    "OpenAI's, Anthropic's and Ollama's packages ask where the lines of {page} with export were "
    "typed"
)
def packages_ask(context: Context, page: str) -> None:
    lines = [each.command for each in documentation.examples(page)]
    exported = [line for line in lines if line.startswith("export ")]
    context.asked = exported_packages.ask(context.world, exported)


@then("each of the {count:d} is answered")
def packages_answered(context: Context, count: int) -> None:
    assert len(context.asked) == count, context.asked
    for package, run in context.asked.items():
        assert run.exit_code == 0 and run.stdout.text.strip(), (package, run.stderr.text)


@then("each of the {count:d} shows what the page says, apart from figures")
def each_as_shown(context: Context, count: int) -> None:
    assert len(context.examples) == count, [example.command for example in context.examples]
    shown_as_documented(context)


@then("the output is what the page shows, apart from figures")
def shown_as_documented(context: Context) -> None:
    typed = zip(context.examples, context.runs, strict=True)
    shown = [(example, run) for example, run in typed if example.shows]
    assert shown, "the page shows nothing"
    # A list: a page may type the same command twice.
    found = [
        (example.command, difference)
        for example, run in shown
        for difference in documentation.differences(example, context.world, run)
    ]
    assert not found, found


@then("each of the {count:d} exits with 0")
def each_succeeds(context: Context, count: int) -> None:
    _exit_codes(context, count, {})


@then("each of the {count:d} exits with 0, except the first `{line}`, with {code:d}")
def each_but_one_succeeds(context: Context, count: int, line: str, code: int) -> None:
    first = [example.command for example in context.examples].index(line)
    _exit_codes(context, count, {first: code})


def _exit_codes(context: Context, count: int, others: dict[int, int]) -> None:
    assert len(context.examples) == count, [example.command for example in context.examples]
    wrong = [
        (example.command, run.exit_code, run.stderr.text[-500:])
        for index, (example, run) in enumerate(zip(context.examples, context.runs, strict=True))
        if run.exit_code != others.get(index, 0)
    ]
    assert not wrong, wrong


@then("the expected answers came: {count:d}")
def answers_came(context: Context, count: int) -> None:
    """If the answer went into a file, the command that shows the file counts."""
    texts = [
        (example.command, run.stdout.text)
        for example, run in zip(context.examples, context.runs, strict=True)
        if ("rbee-keeper infer" in example.command and " > " not in example.command)
        or example.command.startswith("cat ")
    ]
    assert len(texts) == count, texts
    assert all(text.strip() for _, text in texts), texts
