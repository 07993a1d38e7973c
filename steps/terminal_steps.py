"""A terminal: what is pressed there, how wide it is, and what was drawn on it."""

import re

from behave import then, when
from behave.runner import Context

from harness.watching import bars
from harness.world.processes import alive
from harness.world.waiting import let_pass

_LONGEST_S = 60
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@when("I type `{line}` on a terminal of {columns:d} columns")
def type_on_a_narrow_terminal(context: Context, line: str, columns: int) -> None:
    context.terminal = context.world.open_terminal(line, columns)
    context.columns = columns


@when("I press {key} there")
def press(context: Context, key: str) -> None:
    context.terminal.press(key)


@when("I press {key} there, and again a moment later")
def press_twice(context: Context, key: str) -> None:
    """As a person does: two signals of one moment would be one."""
    context.terminal.press(key)
    let_pass(0.3)
    context.terminal.press(key)


@when('the terminal shows "{words}"')
def shows(context: Context, words: str) -> None:
    context.terminal.wait_for([words], _LONGEST_S)


@when("text is on the terminal")
def text_is_there(context: Context) -> None:
    context.terminal.wait_for_text(_LONGEST_S)


@when("the terminal is made {columns:d} columns wide")
def resize(context: Context, columns: int) -> None:
    context.terminal.resize(columns)
    context.resized_at = len(context.terminal.written)


@when("the window of the terminal is closed")
def hang_up(context: Context) -> None:
    context.terminal.hang_up()


@then("the keeper there ends within {seconds:d} s")
def ends_there(context: Context, seconds: int) -> None:
    context.terminal.wait(seconds)


@then("it is canceled there within {seconds:d} s")
def canceled_there(context: Context, seconds: int) -> None:
    code = context.terminal.wait(seconds)
    screen = context.terminal.screen
    assert code == 130, f"exit code {code}; the screen:\n{screen}"
    assert screen.count("Canceled.") == 1, screen
    assert screen.splitlines()[-1].endswith("Canceled."), f"it is not the last word:\n{screen}"
    assert "Traceback" not in screen, screen
    assert "Error [" not in screen, screen


@then("no bar is left on the terminal")
def no_bar_left(context: Context) -> None:
    assert not bars.lines(context.terminal.screen), context.terminal.screen


@then("the terminal showed a bar that moved, with percentage, speed and time left")
def whole_bar(context: Context) -> None:
    seen = bars.percentages(context.terminal)
    assert len(seen) >= 3, f"{seen}; the last screen:\n{context.terminal.screen}"
    assert seen == sorted(seen), seen


@then("no bar was ever wider than the terminal or left a piece behind")
def well_placed(context: Context) -> None:
    wrong = bars.misplaced(context.terminal, context.columns)
    assert not wrong, wrong[0]


@then("from then on no bar was wider than {columns:d} columns")
def narrow_from_then_on(context: Context, columns: int) -> None:
    drawn = bars.drawn_since(context.terminal, context.resized_at)
    assert drawn, "no bar was drawn any more"
    assert all(len(line) <= columns for line in drawn), drawn


@then("the terminal was told no colour")
def no_colour(context: Context) -> None:
    assert not context.terminal.colours, context.terminal.colours


@then("the terminal was sent no control sequence")
def no_control(context: Context) -> None:
    found = _CONTROL.findall(context.terminal.written)
    assert not found, context.terminal.written


@then("neither output has a control character")
def no_control_in_outputs(context: Context) -> None:
    for text in (context.run.stdout.text, context.run.stderr.text):
        assert not _CONTROL.findall(text.encode()), text
        assert "\r" not in text, text


@then("nothing is saved, since it is on the screen")
def nothing_saved(context: Context) -> None:
    saved = sorted(context.world.tmp.glob("rbee-partial-*"))
    assert not saved, saved


@then("nobody waits in the queue")
def nobody_waits(context: Context) -> None:
    text = context.world.call("GET", f"{context.world.queen_url}/metrics").body.decode()
    assert "\nrbee_queue_waiting 0.0\n" in text, text


@then("the queen goes on, and nothing is running after {seconds:d} s")
def queen_goes_on(context: Context, seconds: int) -> None:
    queen = context.before["queen"]
    if alive(queen):
        queen.resume()
    context.world.wait_until_empty(within=seconds)


@then("~/.rbee/logs has no traceback")
def no_traceback(context: Context) -> None:
    for log in sorted((context.world.home / ".rbee" / "logs").glob("*.log")):
        assert "Traceback" not in log.read_text(), log.read_text()
