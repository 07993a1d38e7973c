"""What a person sees on a terminal when something goes wrong."""

from behave import then, when
from behave.runner import Context

from harness.watching import second_installation, terminal_screen
from harness.world.waiting import wait_until

_WORDS_OF_A_STORY = 8


@when("the story is arriving there")
def story_arrives(context: Context) -> None:
    """Of a --quiet command: all that is on the screen is the story."""
    terminal = context.terminal
    wait_until(
        "a story on the screen",
        lambda: terminal.screen,
        60,
        lambda screen: len(screen.split()) >= _WORDS_OF_A_STORY,
    )
    assert "Error [" not in terminal.screen, terminal.screen


@then('the screen says "{words}"')
def screen_says(context: Context, words: str) -> None:
    screen = context.terminal.screen
    assert terminal_screen.says(screen, context.world.expand(words)), screen


@then("the screen tells {code:w}, and right below it what to do")
def screen_tells(context: Context, code: str) -> None:
    screen = context.terminal.screen
    assert terminal_screen.error_codes(screen) == [code], screen
    assert terminal_screen.next_step(screen), screen
    assert terminal_screen.is_right_below(screen), screen
    assert terminal_screen.mark(screen), screen
    assert "Traceback" not in "\n".join(context.terminal.screens), screen


@then('the screen\'s next step says "{words}"')
def next_step_says(context: Context, words: str) -> None:
    step = terminal_screen.next_step(context.terminal.screen)
    assert terminal_screen.says(step, context.world.expand(words)), context.terminal.screen


@then("the screen names queen-rbee with its version, and rbee-hive with {version:S}")
def names_versions(context: Context, version: str) -> None:
    own = second_installation.version()
    told = (f"queen-rbee is {own}, but rbee-hive is {version}",
            f"rbee-hive is {version}, but queen-rbee is {own}")  # fmt: skip
    screen = context.terminal.screen
    assert any(terminal_screen.says(screen, words) for words in told), screen


@then("the screen says how many of {count:d} tokens came")
def how_many(context: Context, count: int) -> None:
    """As many as the text is made of, cut into tokens again: which may cut in other places."""
    screen = context.terminal.screen
    story = terminal_screen.saved_text(screen, context.world.tmp).read_text()
    made = len(context.shelf.teacher.tokens(story.rstrip("\n")))
    near = range(made - 1 - made // 20, made + 2 + made // 20)
    found = [n for n in near if terminal_screen.says(screen, f"after {n} of {count} tokens")]
    assert found, (made, screen)


@then(
    "the file that the screen names holds the text that the screen shows, for nobody else to read"
)
def text_is_saved(context: Context) -> None:
    screen = context.terminal.screen
    saved = terminal_screen.saved_text(screen, context.world.tmp)
    assert saved.stat().st_mode & 0o777 == 0o600, oct(saved.stat().st_mode)
    shown = terminal_screen.squeezed(terminal_screen.story_before_the_error(screen))
    assert shown, screen
    assert shown == terminal_screen.squeezed(saved.read_text()), (saved.read_text(), screen)


@then('the last line of the screen is "{words}"')
def last_line(context: Context, words: str) -> None:
    screen = context.terminal.screen
    assert screen.rstrip().splitlines()[-1] == words, screen


@then("the terminal counted the waits down in place: 1, then 2 1, then 4 3 2 1")
def counted_down(context: Context) -> None:
    seen = terminal_screen.countdowns(list(context.terminal.screens))
    lefts = {turn: left for turn, (_, left) in seen.items()}
    assert lefts == {1: [1], 2: [2, 1], 3: [4, 3, 2, 1]}, seen
    assert all(len(rows) == 1 for rows, _ in seen.values()), f"not in place: {seen}"


@then("the screen has three lines of waiting")
def three_waits(context: Context) -> None:
    screen = context.terminal.screen
    assert terminal_screen.waits(screen) == [(1, 1), (2, 2), (3, 4)], screen


@then("standard error has these lines and no other of waiting")
def waiting_lines(context: Context) -> None:
    wanted = [row["line"] for row in context.table]
    found = terminal_screen.waiting_lines(context.run.stderr.text)
    assert found == wanted, context.run.stderr.text


@then("no line of standard error comes twice")
def each_once(context: Context) -> None:
    lines = context.run.stderr.text.splitlines()
    assert len(lines) > 3, lines
    assert len(set(lines)) == len(lines), lines


@then("the screen says at how many of how many layers, as the worker told them last")
def layers_on_screen(context: Context) -> None:
    last = context.progress.named("loading")[-1].data
    told = f"{last['layers_loaded']} of {last['layers_total']} layers"
    assert terminal_screen.says(context.terminal.screen, told), (told, context.terminal.screen)


@then("the screen shows no bar")
def no_bar(context: Context) -> None:
    assert not terminal_screen.has_bar(context.terminal.screen), context.terminal.screen
