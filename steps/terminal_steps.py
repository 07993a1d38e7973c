"""A command on a terminal: the keys that are pressed, and what is on the screen."""

import re

from behave import given, then, when
from behave.runner import Context

from harness.watching import keeper_output, node_installation, terminal_screen
from harness.watching.standalone_worker import now
from harness.world.waiting import let_pass, wait_until

_LONGEST_S = 60
_WORDS_OF_A_STORY = 8
# A line is drawn each second, and the machine may be busy.
_A_SECOND = 2.9
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


# What is typed


@when("I type `{line}` on a terminal")
def type_on_a_terminal(context: Context, line: str) -> None:
    context.terminal = context.world.open_terminal(line)


@when("I type `{line}` on a terminal of {columns:d} columns")
def type_on_a_narrow_terminal(context: Context, line: str, columns: int) -> None:
    context.terminal = context.world.open_terminal(line, columns)
    context.columns = columns


@when('I type "{answer}" there')
def answer(context: Context, answer: str) -> None:
    context.terminal.press(f"{answer}\r")


@when('I type "" there')
def answer_nothing(context: Context) -> None:
    context.terminal.press("\r")


@when("I press {key} there")
def press(context: Context, key: str) -> None:
    context.terminal.press(key)


@when("I press {key} there, {seconds:g} s later")
def press_later(context: Context, key: str, seconds: float) -> None:
    let_pass(seconds)
    context.terminal.press(key)


@when("I press {key} there, and again a moment later")
def press_twice(context: Context, key: str) -> None:
    """As a person does: two signals at the same moment would count as one."""
    context.terminal.press(key)
    let_pass(0.3)
    context.terminal.press(key)


@when("the terminal is made {columns:d} columns wide")
def resize(context: Context, columns: int) -> None:
    context.terminal.resize(columns)
    context.resized_at = len(context.terminal.written)


@when("the window of the terminal is closed")
def hang_up(context: Context) -> None:
    context.terminal.hang_up()


# How it ends


@then("it exits there with {code:d}")
def exits_there_with(context: Context, code: int) -> None:
    found = context.terminal.wait(_LONGEST_S)
    assert found == code, f"exit code {found}; the screen:\n{context.terminal.screen}"


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


@then("it is canceled there after {least:d} s, and within {most:d} s")
def canceled_later(context: Context, least: int, most: int) -> None:
    """After Ctrl+C, which has just been pressed."""
    pressed_at = now()
    canceled_there(context, most)
    took = now() - pressed_at
    assert least - 0.5 < took < most + 1, f"{took:.1f} s"


@then("nothing is saved, since it is on the screen")
def nothing_saved(context: Context) -> None:
    saved = sorted(context.world.tmp.glob("rbee-partial-*"))
    assert not saved, saved


# What the screen shows


@then('the terminal shows "{words}"')
def the_terminal_shows(context: Context, words: str) -> None:
    """Now or soon; once its program has ended, on the last screen."""
    terminal = context.terminal
    wait_until(f"{words!r}", lambda: terminal.screen, 20, lambda screen: words in screen)


@when('the terminal shows "{words}"')
def shows(context: Context, words: str) -> None:
    context.terminal.wait_for([words], _LONGEST_S)


@when("text is on the terminal")
def text_is_there(context: Context) -> None:
    context.terminal.wait_for_text(_LONGEST_S)


@when("the story is arriving there")
def story_arrives(context: Context) -> None:
    """For a --quiet command: the screen holds only the story."""
    terminal = context.terminal
    wait_until(
        "a story on the screen",
        lambda: terminal.screen,
        60,
        lambda screen: len(screen.split()) >= _WORDS_OF_A_STORY,
    )
    assert "Error [" not in terminal.screen, terminal.screen


@then("the terminal showed the text growing in at least {count:d} steps")
def the_text_grew(context: Context, count: int) -> None:
    steps = context.terminal.growth()
    assert len(steps) >= count, steps


@then('the screen says "{words}"')
def screen_says(context: Context, words: str) -> None:
    screen = context.terminal.screen
    assert terminal_screen.shows(screen, context.world.expand(words)), screen


@then('the screen says nothing of "{words}"')
def screen_says_nothing_of(context: Context, words: str) -> None:
    screen = context.terminal.screen
    assert not terminal_screen.shows(screen, words), screen


@then("the screen shows {code:w}, and right below it the next step")
def screen_shows_error(context: Context, code: str) -> None:
    screen = context.terminal.screen
    assert terminal_screen.error_codes(screen) == [code], screen
    assert terminal_screen.next_step(screen), screen
    assert terminal_screen.next_step_is_right_below(screen), screen
    assert terminal_screen.correlation_id(screen), screen
    assert "Traceback" not in "\n".join(context.terminal.screens), screen


@then('the screen\'s next step says "{words}"')
def next_step_says(context: Context, words: str) -> None:
    step = terminal_screen.next_step(context.terminal.screen)
    assert terminal_screen.shows(step, context.world.expand(words)), context.terminal.screen


@then("the screen names queen-rbee with its version, and rbee-hive with {version:S}")
def names_versions(context: Context, version: str) -> None:
    own = node_installation.version_of(context.world.commands.argv("queen"))
    reported = (f"queen-rbee is {own}, but rbee-hive is {version}",
            f"rbee-hive is {version}, but queen-rbee is {own}")  # fmt: skip
    screen = context.terminal.screen
    assert any(terminal_screen.shows(screen, words) for words in reported), screen


@then("the screen says how many of {count:d} tokens came")
def how_many(context: Context, count: int) -> None:
    """As many as the text has. Tokenizing it again may give slightly different tokens."""
    screen = context.terminal.screen
    story = terminal_screen.saved_text(screen, context.world.tmp).read_text()
    made = len(context.model_files.reference_decoder.tokens(story.rstrip("\n")))
    near = range(made - 1 - made // 20, made + 2 + made // 20)
    found = [n for n in near if terminal_screen.shows(screen, f"after {n} of {count} tokens")]
    assert found, (made, screen)


@then(
    "the file that the screen names holds the text that the screen shows, "
    "readable only by its owner"
)
def text_is_saved(context: Context) -> None:
    screen = context.terminal.screen
    saved = terminal_screen.saved_text(screen, context.world.tmp)
    assert saved.stat().st_mode & 0o777 == 0o600, oct(saved.stat().st_mode)
    shown = terminal_screen.without_spaces(terminal_screen.text_before_the_error(screen))
    assert shown, screen
    assert shown == terminal_screen.without_spaces(saved.read_text()), (saved.read_text(), screen)


@then('the last line of the screen is "{words}"')
def last_line(context: Context, words: str) -> None:
    screen = context.terminal.screen
    assert screen.rstrip().splitlines()[-1] == words, screen


@then("the screen says how many of how many layers are loaded, as the worker last reported")
def layers_on_screen(context: Context) -> None:
    reported = keeper_output.last_layers(context.progress)
    screen = context.terminal.screen
    assert any(terminal_screen.shows(screen, each) for each in reported), (reported, screen)


@then("the terminal counted the waits down in place: 1, then 2 1, then 4 3 2 1")
def counted_down(context: Context) -> None:
    seen = terminal_screen.countdowns(list(context.terminal.screens))
    lefts = {turn: left for turn, (_, left) in seen.items()}
    assert lefts == {1: [1], 2: [2, 1], 3: [4, 3, 2, 1]}, seen
    assert all(len(rows) == 1 for rows, _ in seen.values()), f"not in place: {seen}"


@then("the screen has three lines about waiting")
def three_waits(context: Context) -> None:
    screen = context.terminal.screen
    assert terminal_screen.finished_waits(screen) == [(1, 1), (2, 2), (3, 4)], screen


@then('before the story the terminal showed one line at a time, among them "{words}"')
def one_live_line(context: Context, words: str) -> None:
    """The story is that of the run without a terminal. What was replaced at once may have been on
    no screen that was looked at."""
    first = context.run.stdout.text.split()[0]
    seen = terminal_screen.lines_before(context.terminal, f"\n{first}")
    assert all(len(lines) <= 1 for lines in seen), seen
    written = context.terminal.written.decode(errors="replace").partition(f"\n{first}")[0]
    assert words in written, seen
    assert all(len(line) < context.columns for lines in seen for line in lines), seen


@then("the seconds there were those of the whole wait")
def seconds_of_the_wait(context: Context) -> None:
    """Of the time until the first screen nothing is known."""
    first = context.run.stdout.text.split()[0]
    seen = terminal_screen.seconds_shown(context.terminal, before=f"\n{first}")
    assert seen and all(abs(passed - shown) < _A_SECOND for passed, shown in seen), seen


@then("the live line counts the seconds, one by one")
def seconds_go_on(context: Context) -> None:
    wait_until(
        "the third second",
        lambda: [shown for _, shown in terminal_screen.seconds_shown(context.terminal)],
        20,
        lambda seen: seen[-1:] == [3] or 4 in seen,
    )
    seen = terminal_screen.seconds_shown(context.terminal)
    figures = [shown for _, shown in seen]
    assert figures == sorted(figures) and len(set(figures)) >= 3, seen
    assert all(abs(passed - shown) < _A_SECOND for passed, shown in seen), seen


@then("the screen has that story, and no word is broken, and apart from figures")
def story_on_screen(context: Context) -> None:
    """`STORY` stands for the answer of the run without a terminal."""
    story = " ".join(context.run.stdout.text.split())
    shown = terminal_screen.paragraphs(f"{context.terminal.screen}\n")
    wanted = terminal_screen.paragraphs(f"{context.text.rstrip()}\n".replace("STORY", story))
    assert [terminal_screen.without_figures(each) for each in shown] == wanted, (shown, wanted)
    assert context.terminal.screen.startswith("\n"), "no blank line before the story"


@then("what matters less was dimmed, and nothing else was sent in a colour")
def dimmed(context: Context) -> None:
    assert context.terminal.colours == {b"2"}, context.terminal.colours


@then('the screen shows {code:w}, with the words of its message whole: "{words}"')
def whole_words(context: Context, code: str, words: str) -> None:
    screen = context.terminal.screen
    assert f"Error [{code}]:" in screen, screen
    assert words in " ".join(screen.split()), screen
    assert words not in screen, f"it fits on one line:\n{screen}"


@then('"{words}" was sent in red')
def in_red(context: Context, words: str) -> None:
    assert f"\x1b[31m{words}\x1b[0m".encode() in context.terminal.written, context.terminal.written


@then('"{words}" was dimmed, and "{others}" was not')
def dimmed_alone(context: Context, words: str, others: str) -> None:
    """Each piece of a text is dimmed for itself."""
    written = context.terminal.written.replace(b"\x1b[0m\x1b[2m", b"")
    assert f"\x1b[2m{words}".encode() in written, written
    assert f"\n{others}".encode() in written, written


@given("a prompt of 20 KB in long.txt")
def long_prompt(context: Context) -> None:
    words = "In the garden bees fly from flower to flower and bring honey home. "
    context.long_prompt = words * (20_480 // len(words))
    (context.world.tmp / "long.txt").write_text(context.long_prompt)


@then("the terminal showed how many tokens were read, growing, of as many as the prompt has")
def prompt_is_read(context: Context) -> None:
    """The chat template adds some tokens to those of the text."""
    least = len(context.model_files.reference_decoder.tokens(context.long_prompt))
    wait_until("three positions", lambda: terminal_screen.tokens_read(context.terminal), 30, _three)
    seen = terminal_screen.tokens_read(context.terminal)
    assert seen == sorted(seen), seen
    assert all(least <= total < least + 100 for _, total in seen), (least, seen)


def _three(seen: list[tuple[int, int]]) -> bool:
    return len(seen) >= 3


# Bars, colours and control sequences


@then("the terminal showed a bar that moved while the model was loaded")
def a_bar_moved(context: Context) -> None:
    positions = context.terminal.bar_positions()
    assert len(positions) >= 3, f"{positions}; the last screen:\n{context.terminal.screen}"
    assert positions == sorted(positions), positions


@then("the terminal showed a bar that moved, with percentage, speed and time left")
def whole_bar(context: Context) -> None:
    seen = terminal_screen.bar_percentages(context.terminal)
    assert len(seen) >= 3, f"{seen}; the last screen:\n{context.terminal.screen}"
    assert seen == sorted(seen), seen


@then("each time bar, percentage, speed and time left were those of {megabytes:d} MB")
def bars_fit(context: Context, megabytes: int) -> None:
    """After a moment without the processor, what has gathered comes at once."""
    fastest = 3 * context.hub.faults.bytes_per_second / 1_000_000
    wrong = terminal_screen.wrong_bars(context.terminal, megabytes, fastest)
    assert not wrong, wrong


@then("no bar was wider than {columns:d} columns")
def not_wide(context: Context, columns: int) -> None:
    lines = {line for screen in list(context.terminal.screens)
             for line in terminal_screen.bar_lines(screen)}  # fmt: skip
    assert lines, context.terminal.screen
    assert all(len(line) <= columns for line in lines), lines


@then("the screen shows no bar")
def no_bar(context: Context) -> None:
    assert not terminal_screen.bar_lines(context.terminal.screen), context.terminal.screen


@then("no bar is left on the terminal")
def no_bar_left(context: Context) -> None:
    assert not terminal_screen.bar_lines(context.terminal.screen), context.terminal.screen


@then("no bar was ever wider than the terminal or left a piece behind")
def well_placed(context: Context) -> None:
    wrong = terminal_screen.misplaced_bars(context.terminal, context.columns)
    assert not wrong, wrong[0]


@then("from then on no bar was wider than {columns:d} columns")
def narrow_from_then_on(context: Context, columns: int) -> None:
    drawn = terminal_screen.bars_drawn_since(context.terminal, context.resized_at)
    assert drawn, "no bar was drawn any more"
    assert all(len(line) <= columns for line in drawn), drawn


@then("no colour was sent to the terminal")
def no_colour(context: Context) -> None:
    assert not context.terminal.colours, context.terminal.colours


@then("no control sequence was sent to the terminal")
def no_control(context: Context) -> None:
    found = _CONTROL.findall(context.terminal.written)
    assert not found, context.terminal.written
