"""A chat in the terminal: what is asked there, and what was sent for it."""

import json
import re
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.watching.metrics import Metrics
from harness.world import cluster

_LINES = ["First line", "second, longer than forty columns are in all", "third"]


@when("the prompt is there")
def prompt_is_there(context: Context) -> None:
    context.terminal.wait_for_prompt()


@when('I ask "{question}" there')
def ask(context: Context, question: str) -> None:
    context.terminal.wait_for_prompt()
    context.since = len(context.terminal.screens)
    context.terminal.press(question)
    context.terminal.press("Enter")


@when('I ask "{question}" there and am answered')
def ask_and_wait(context: Context, question: str) -> None:
    ask(context, question)
    context.terminal.wait_for_prompt(context.since, after=f"> {question[:30]}")


@when("I type half a line there and press Ctrl+C")
def half_a_line(context: Context) -> None:
    context.terminal.press("half a l")
    context.terminal.wait_for(["> half a l"], 5)
    context.terminal.press("Ctrl+C")


@when("I type a text of three lines between three quotes there, and am answered")
def three_lines(context: Context) -> None:
    since = len(context.terminal.screens)
    context.terminal.press("\r".join(['"""', *_LINES, '"""']))
    context.terminal.press("Enter")
    context.terminal.wait_for_prompt(since, after=_LINES[-1])


@when("I ask five questions there and am answered each time")
def five_questions(context: Context) -> None:
    for number in range(5):
        ask_and_wait(context, f"Question {number}: what do bees do in the month of May?")


def _asked(context: Context) -> list[list[dict[str, Any]]]:
    """The messages of each task, in order."""
    sent = context.wire.asked_for("POST", "/v2/tasks")
    return [json.loads(asked.body)["messages"] for asked in sent]


@then("the third time all of it was sent, by its roles: {roles}")
def roles_sent(context: Context, roles: str) -> None:
    asked = _asked(context)
    assert len(asked) == 3, asked
    assert [message["role"] for message in asked[2]] == roles.split(", "), asked[2]
    assert asked[2][: len(asked[1])] == asked[1], asked


@then("what the assistant had said was sent as it stood on the screen")
def as_on_the_screen(context: Context) -> None:
    screen = re.sub(r"\s", "", context.terminal.screen)
    said = [each["content"] for each in _asked(context)[2] if each["role"] == "assistant"]
    assert all(re.sub(r"\s", "", text) in screen for text in said), (said, screen)
    assert all(said), said


@then("the worker had most of it in its KV cache")
def cached(context: Context) -> None:
    url = cluster.only_worker(context.world)["url"]
    seen = Metrics(context.world.call("GET", f"{url}/metrics").body.decode())
    found, computed = seen.value("rbee_tokens_cached_total"), seen.value("rbee_tokens_read_total")
    assert found > computed, (found, computed)


@then("~/.rbee/history has the three questions, for nobody else to read")
def history(context: Context) -> None:
    path = context.world.home / ".rbee" / "history"
    assert path.stat().st_mode & 0o777 == 0o600, oct(path.stat().st_mode)
    lines = [line[1:] for line in path.read_text().splitlines() if line.startswith("+")]
    assert lines == ["Hello, who are you?", "And what can you do?", "Thank you."], lines


@then("the question of the command line is answered there")
def first_answered(context: Context) -> None:
    context.terminal.wait_for(["> Hello"], 20)
    context.terminal.wait_for_prompt()
    assert "\n> Hello\n" in f"\n{context.terminal.screen}\n", context.terminal.screen


@then('"{words}" is said there, and the prompt is there again')
def said_and_prompted(context: Context, words: str) -> None:
    context.terminal.wait_for([words], 20)
    context.terminal.wait_for_prompt()


@then('"{words}" is said there')
def said(context: Context, words: str) -> None:
    context.terminal.wait_for([words], 20)


@then('the queen was asked "{question}" twice, and nothing else')
def asked_twice(context: Context, question: str) -> None:
    assert _asked(context) == [[{"role": "user", "content": question}]] * 2, _asked(context)


@then('the queen was asked "{question}" at last, with nothing before it')
def asked_at_last(context: Context, question: str) -> None:
    assert _asked(context)[-1] == [{"role": "user", "content": question}], _asked(context)


@then("the queen was asked the text of three lines")
def asked_three_lines(context: Context) -> None:
    assert _asked(context) == [[{"role": "user", "content": "\n".join(_LINES)}]], _asked(context)


@then("the queen was asked the last question with less than all that was said")
def asked_with_less(context: Context) -> None:
    last = _asked(context)[-1]
    assert "Question 4" in last[-1]["content"], last
    assert len(last) < 9, last
    assert last[0]["role"] == "user", last
    assert "Question 0" not in last[0]["content"], last
