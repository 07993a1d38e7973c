"""A person at the command line: what they type, what they see, how it ends."""

import signal
from collections.abc import Sequence
from itertools import pairwise

from behave import then, when
from behave.runner import Context

from harness.breaking.proxy import Asked
from harness.watching import keeper_output
from harness.world.waiting import wait_until

_LONGEST_S = 60


@when("I run `{line}`")
def run_to_its_end(context: Context, line: str) -> None:
    start(context, line)
    context.run.wait(_LONGEST_S)


@when("I start `{line}`")
def start(context: Context, line: str) -> None:
    context.run_before = context.run if "run" in context else None
    context.run = context.world.start(line)


@when("I type `{line}` on a terminal")
def type_on_a_terminal(context: Context, line: str) -> None:
    context.terminal = context.world.open_terminal(line)


@when("the keeper gets {name:w}")
def get_signal(context: Context, name: str) -> None:
    context.run.send(signal.Signals[name])


@when("the story is arriving")
def the_story_arrives(context: Context) -> None:
    run = context.run
    wait_until(
        "the story to arrive",
        lambda: (run.running, run.stdout.text, run.stderr.text[-500:]),
        30,
        lambda seen: seen[1].strip() or not seen[0],
    )
    assert run.running, f"ended with {run.exit_code} before anything could happen"


@when("tokens are arriving")
def tokens_arrive(context: Context) -> None:
    wait_until("tokens", lambda: keeper_output.tokens(context.run.stdout.text), 30)
    assert context.run.running, "it ended before anything could happen"


@then("it exits with {code:d}")
def exits_with(context: Context, code: int) -> None:
    found = context.run.wait(_LONGEST_S)
    assert found == code, f"exit code {found}; standard error:\n{context.run.stderr.text}"


@then("it exits with {code:d} within {seconds:d} s")
def exits_within(context: Context, code: int, seconds: int) -> None:
    found = context.run.wait(seconds)
    assert found == code, f"exit code {found}; standard error:\n{context.run.stderr.text}"


@then("it exits with 1 or 2")
def exits_with_an_error(context: Context) -> None:
    """It is a matter of taste whether a word that can't be right is a wrong usage."""
    found = context.run.wait(_LONGEST_S)
    assert found in {1, 2}, f"exit code {found}; standard error:\n{context.run.stderr.text}"


@then("it exits there with {code:d}")
def exits_there_with(context: Context, code: int) -> None:
    found = context.terminal.wait(_LONGEST_S)
    assert found == code, f"exit code {found}; the screen:\n{context.terminal.screen}"


@then("it took less than {seconds:d} s")
def took_less(context: Context, seconds: int) -> None:
    assert context.run.took < seconds, f"it took {context.run.took:.2f} s"


@then("standard output holds the story and nothing else")
def only_the_story(context: Context) -> None:
    text = context.run.stdout.text
    assert len(text.split()) >= 5, f"this is no story: {text!r}"
    assert not keeper_output.foreign_to_a_story(text), keeper_output.foreign_to_a_story(text)


@then("standard error is empty")
def nothing_on_stderr(context: Context) -> None:
    assert context.run.stderr.text == "", context.run.stderr.text


@then("standard error ends with a summary of {count:d} tokens")
def a_summary(context: Context, count: int) -> None:
    told = keeper_output.summary(context.run.stderr.text)
    assert told["tokens"] == count, told
    assert 0 < told["first_ms"] < context.run.took * 1000, told
    assert told["rate"] > 0, told


@then("there is no summary")
def no_summary(context: Context) -> None:
    assert "tokens/s" not in context.run.stderr.text, context.run.stderr.text


@then('standard error says "{words}"')
def standard_error_says(context: Context, words: str) -> None:
    text = context.run.stderr.text
    assert context.world.expand(words).lower() in text.lower(), text


@then("{code:w} is told")
def a_code_is_told(context: Context, code: str) -> None:
    assert keeper_output.error_codes(context.run.stderr.text) == [code], context.run.stderr.text


@then("it is a clear message with a next step")
def a_clear_message(context: Context) -> None:
    text = context.run.stderr.text
    assert "Traceback" not in text + context.run.stdout.text, text
    assert keeper_output.next_steps(text), f"no next step: {text!r}"


@then("the next step names {name:S}")
def next_step_names(context: Context, name: str) -> None:
    steps = keeper_output.next_steps(context.run.stderr.text)
    assert any(name in step for step in steps), context.run.stderr.text


@then('the next step says "{words}"')
def next_step_says(context: Context, words: str) -> None:
    steps = keeper_output.next_steps(context.run.stderr.text)
    assert any(words in step for step in steps), context.run.stderr.text


@then("standard output is empty")
def nothing_on_stdout(context: Context) -> None:
    assert context.run.stdout.text == "", context.run.stdout.text


@then("it took at least {least:g} s and less than {most:g} s")
def took_between(context: Context, least: float, most: float) -> None:
    assert least <= context.run.took < most, f"it took {context.run.took:.2f} s"


@then("it says how many of {count:d} tokens came")
def tokens_of(context: Context, count: int) -> None:
    made = keeper_output.tokens_made(context.run.stderr.text, count)
    assert 0 < made < count, context.run.stderr.text


@then("it says how many of {count:d} tokens came, as many as were shown")
def tokens_of_shown(context: Context, count: int) -> None:
    """A text cut into tokens again may be cut in other places, but here and there only."""
    tokens_of(context, count)
    made = keeper_output.tokens_made(context.run.stderr.text, count)
    shown = len(context.shelf.teacher.tokens(context.run.stdout.text.rstrip("\n")))
    assert abs(made - shown) <= 1 + made // 20, (made, shown)


@then("it asked {times:d} times, with 1, 2 and 4 s in between")
def asked_again(context: Context, times: int) -> None:
    """As the wire saw it. A pause begins when the answer is there, so it can only be longer."""
    _paused(context.wire.asked_for("POST", "/v2/tasks"), times)


@then(
    "that worker was asked {times:d} times, with 1, 2 and 4 s in between, "
    "and answered {status:d} each time"
)
def worker_asked_again(context: Context, times: int, status: int) -> None:
    """Those that asked before it was full don't count."""
    asked = context.wire.asked_for("POST", "/v1/inference")[context.asked_by_then :]
    _paused(asked, times)
    assert [each.status for each in asked] == [status] * times, asked


def _paused(all_asked: Sequence[Asked], times: int) -> None:
    moments = [asked.at for asked in all_asked]
    assert len(moments) == times, moments
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    for gap, pause in zip(gaps, (1, 2, 4), strict=True):
        assert pause <= gap < pause + 0.9, gaps


@then("the text so far is saved, for nobody else to read")
def the_text_is_saved(context: Context) -> None:
    saved = keeper_output.saved_text(context.run.stderr.text, context.world.tmp)
    assert saved.stat().st_mode & 0o777 == 0o600, oct(saved.stat().st_mode)
    assert saved.read_text().strip() == context.run.stdout.text.strip(), saved.read_text()
    assert saved.read_text().strip(), "the saved text is empty"


@then('the terminal shows "{words}"')
def the_terminal_shows(context: Context, words: str) -> None:
    assert words in context.terminal.screen, context.terminal.screen


@when('the terminal asks "{words}"')
def the_terminal_asks(context: Context, words: str) -> None:
    terminal = context.terminal
    wait_until(
        f"the question {words!r}", lambda: terminal.screen, 20, lambda screen: words in screen
    )


@when('I type "{answer}" there')
def answer(context: Context, answer: str) -> None:
    context.terminal.press(f"{answer}\r")


@when('I type "" there')
def answer_nothing(context: Context) -> None:
    context.terminal.press("\r")


@then("the terminal showed the text growing in at least {count:d} steps")
def the_text_grew(context: Context, count: int) -> None:
    steps = context.terminal.growth()
    assert len(steps) >= count, steps


@then("the terminal showed a bar that moved while the model was loaded")
def a_bar_moved(context: Context) -> None:
    positions = context.terminal.bar_positions()
    assert len(positions) >= 3, f"{positions}; the last screen:\n{context.terminal.screen}"
    assert positions == sorted(positions), positions


@then("~/.rbee holds nothing but api_key, logs, models.db and the two pid files")
def only_promised_files(context: Context) -> None:
    """SQLite's own two files beside models.db go with the last program that has it open."""
    found = {path.name for path in (context.world.home / ".rbee").iterdir()}
    promised = {"api_key", "logs", "models.db", "queen-rbee.pid", "hive-rbee.pid"}
    if context.world.processes():
        promised |= {"models.db-wal", "models.db-shm"}
    assert "api_key" in found <= promised, found
