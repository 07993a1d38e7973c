"""A chat on a terminal: the questions that are typed, and the conversation that the queen gets."""

import json
import re
from itertools import pairwise
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.watching import asked_fields
from harness.watching.replies import Metrics
from harness.world import cluster
from harness.world.waiting import wait_until

_LINES = ["First line", "second, longer than forty columns are in all", "third"]
_TASKS = "/v2/tasks"
_FIGURES = re.compile(r"^\d+ tokens? · \d+ ms to first token", re.MULTILINE)


def _asked(context: Context) -> list[list[dict[str, Any]]]:
    """The messages of each task, in order."""
    return [asked_fields.messages(sent.body) for sent in context.proxy.requests_for("POST", _TASKS)]


def _answered(context: Context) -> int:
    """The number of whole answers that the keeper got: after an error the prompt is back, too."""
    return int(context.proxy.relayed["done"])


def _wait_for_answer(context: Context, number: int) -> None:
    """It has passed before the prompt is back, and is counted a moment later."""
    wait_until("a whole answer", lambda: _answered(context), 2, lambda seen: seen == number)


@when("the prompt appears")
def prompt_is_there(context: Context) -> None:
    context.terminal.wait_for_prompt()


@when('I ask "{question}" there')
def ask(context: Context, question: str) -> None:
    context.terminal.wait_for_prompt()
    context.since, context.question = len(context.terminal.screens), question
    context.terminal.press(question)
    context.terminal.press("Enter")


@when('I ask "{question}" there, until the prompt is back')
def ask_and_wait_for_prompt(context: Context, question: str) -> None:
    ask(context, question)
    context.terminal.wait_for_prompt(context.since, after=f"> {question[:30]}")


@when('I ask "{question}" there and get an answer')
def ask_and_wait(context: Context, question: str) -> None:
    before = _answered(context)
    ask_and_wait_for_prompt(context, question)
    _wait_for_answer(context, before + 1)


@when("an answer is arriving there")
def answer_arrives(context: Context) -> None:
    """Below the question, which stands behind the prompt."""
    question = f"> {context.question}"
    wait_until(
        "an answer below the question",
        lambda: context.terminal.screen,
        30,
        lambda screen: len(screen.rpartition(question)[2].split()) > 3 and question in screen,
    )


@when("I type half a line there and press Ctrl+C")
def half_a_line(context: Context) -> None:
    context.terminal.press("half a l")
    context.terminal.wait_for(["> half a l"], 5)
    context.terminal.press("Ctrl+C")


@when("I type a text of three lines in triple quotes there, and get an answer")
def three_lines(context: Context) -> None:
    since, before = len(context.terminal.screens), _answered(context)
    context.terminal.press("\r".join(['"""', *_LINES, '"""']))
    context.terminal.press("Enter")
    context.terminal.wait_for_prompt(since, after=_LINES[-1])
    _wait_for_answer(context, before + 1)


@when('I type "{one}" there, Alt+Enter and "{other}", and get an answer')
def two_lines(context: Context, one: str, other: str) -> None:
    _press_all(context, [one, "Alt+Enter", other, "Enter"])


@when("I press Up there, then Enter, and get an answer")
def the_last_again(context: Context) -> None:
    _press_all(context, ["Up", "Enter"])


def _press_all(context: Context, keys: list[str]) -> None:
    """After the prompt, which is there again once the queen has answered."""
    context.terminal.wait_for_prompt()
    asked, before = len(_asked(context)), _answered(context)
    for key in keys:
        context.terminal.press(key)
    wait_until("the question to be asked", lambda: len(_asked(context)) > asked, 20)
    context.terminal.wait_for_prompt()
    _wait_for_answer(context, before + 1)


@then('the last question of the queen is "{text}"')
def last_question(context: Context, text: str) -> None:
    assert _asked(context)[-1][-1:] == asked_fields.question(text), _asked(context)


@when("I ask five questions there and get an answer to each")
def five_questions(context: Context) -> None:
    for number in range(5):
        ask_and_wait(context, f"Question {number}: what do bees do in the month of May?")


@then("the third task held the whole conversation, with the roles {roles}")
def roles_sent(context: Context, roles: str) -> None:
    asked = _asked(context)
    assert len(asked) == 3, asked
    assert [message["role"] for message in asked[2]] == roles.split(", "), asked[2]
    assert asked[2][: len(asked[1])] == asked[1], asked


@then("the assistant's answers were sent as they stood on the screen")
def as_on_the_screen(context: Context) -> None:
    screen = re.sub(r"\s", "", context.terminal.screen)
    words = [each["content"] for each in _asked(context)[2] if each["role"] == "assistant"]
    assert all(re.sub(r"\s", "", text) in screen for text in words), (words, screen)
    assert all(words), words


@then('each task began with "{text}", and had temperature {heat:d} and {tokens:d} tokens at most')
def had_the_flags(context: Context, text: str, heat: int, tokens: int) -> None:
    sent = [json.loads(each.body) for each in context.proxy.requests_for("POST", "/v2/tasks")]
    found = [
        (each["messages"][0]["content"], each["temperature"], each["max_tokens"]) for each in sent
    ]
    assert found == [(text, heat, tokens)] * 3, sent


@then(
    'the last task of the queen holds the first question, what came of its answer, and "{question}"'
)
def asked_with_the_rest(context: Context, question: str) -> None:
    asked = _asked(context)
    first, answer, last = asked[-1]
    assert [first] == asked[0], asked
    assert (answer["role"], last) == ("assistant", asked_fields.question(question)[0]), asked[-1]
    written = re.sub(r"\s", "", context.terminal.written.decode(errors="replace"))
    assert re.sub(r"\s", "", answer["content"])[:200] in written, (answer, written)
    assert answer["content"].strip(), answer


@then("the first task named no node, and those after it the one that had answered")
def sticks_to_node(context: Context) -> None:
    sent = [json.loads(each.body) for each in context.proxy.requests_for("POST", _TASKS)]
    nodes = [each.get("node") for each in sent]
    assert nodes == [None] + ["localhost"] * (len(sent) - 1), nodes


@then("the worker had most of it in its KV cache")
def cached(context: Context) -> None:
    url = cluster.only_worker(context.world)["url"]
    seen = Metrics(context.world.call("GET", f"{url}/metrics").body.decode())
    found, computed = seen.value("rbee_tokens_cached_total"), seen.value("rbee_tokens_read_total")
    assert found > computed, (found, computed)


@then("~/.rbee/history has the lines {lines}, readable only by its owner")
def history(context: Context, lines: str) -> None:
    path = context.world.home / ".rbee" / "history"
    assert path.stat().st_mode & 0o777 == 0o600, oct(path.stat().st_mode)
    kept = [line[1:] for line in path.read_text().splitlines() if line.startswith("+")]
    assert kept == re.findall('"([^"]+)"', lines), kept


@then("the question of the command line is answered there")
def first_answered(context: Context) -> None:
    context.terminal.wait_for(["> Hello"], 20)
    context.terminal.wait_for_prompt()
    assert "\n> Hello\n" in f"\n{context.terminal.screen}\n", context.terminal.screen


@then('the terminal shows "{words}", then the prompt again')
def shown_and_prompted(context: Context, words: str) -> None:
    context.terminal.wait_for([words], 20)
    context.terminal.wait_for_prompt()


@then('both tasks of the queen are "{question}" after "{system}", and nothing else')
def asked_twice(context: Context, question: str, system: str) -> None:
    assert _asked(context) == [_after(system, question)] * 2, _asked(context)


@then('the last task of the queen is "{question}" after "{system}", and nothing else')
def asked_at_last(context: Context, question: str, system: str) -> None:
    assert _asked(context)[-1] == _after(system, question), _asked(context)


def _after(system: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


@then("the queen was asked the same question once more")
def asked_again(context: Context) -> None:
    first, last = _asked(context)
    assert first == last, (first, last)


@then("the terminal told each time how many of the oldest turns were left out")
def told_what_is_left_out(context: Context) -> None:
    """A question is asked again with less: a turn is two messages."""
    asked = _asked(context)
    fewer = [(len(one) - len(other)) // 2 for one, other in pairwise(asked) if one[-1] == other[-1]]
    assert fewer and all(count > 0 for count in fewer), asked
    pairs = [(one, other) for one, other in pairwise(asked) if one[-1] == other[-1]]
    assert all(len(other) > 1 and other == one[-len(other) :] for one, other in pairs), asked
    turns = ["turn was" if count == 1 else f"{count} turns were" for count in fewer]
    written = context.terminal.written.decode()
    told = re.findall(r"→ The context is full: the oldest (.+?) left out\.", written)
    assert told == turns, (told, turns, written)


@then("the last task of the queen holds only part of the conversation")
def asked_with_less(context: Context) -> None:
    last = _asked(context)[-1]
    assert "Question 4" in last[-1]["content"], last
    assert len(last) < 9, last
    assert last[0]["role"] == "user", last
    assert "Question 0" in _asked(context)[0][0]["content"], _asked(context)[0]
    assert "Question 0" not in last[0]["content"], last


@then('the last task of the queen had temperature {heat:d}, context {size:d} and model "{model}"')
def last_task_had(context: Context, heat: int, size: int, model: str) -> None:
    body = json.loads(context.proxy.requests_for("POST", _TASKS)[-1].body)
    found = body["temperature"], body["context"], body["model"]
    assert found == (heat, size, model), body


@then("the roles of the last task are {roles}")
def last_roles(context: Context, roles: str) -> None:
    assert [each["role"] for each in _asked(context)[-1]] == roles.split(", "), _asked(context)


@then("it asked for a JSON object, without reasoning")
def asked_for_json(context: Context) -> None:
    body = json.loads(context.proxy.requests_for("POST", _TASKS)[-1].body)
    found = body["response_format"]["type"], body["think"]
    assert found == ("json_object", False), body


@then("it asked for any text, with reasoning, and to stop before nothing")
def asked_for_text(context: Context) -> None:
    body = json.loads(context.proxy.requests_for("POST", _TASKS)[-1].body)
    found = body.get("response_format"), body["think"], body.get("stop", [])
    assert found == (None, True, []), body


@then("it went to the node {name:S}")
def went_to(context: Context, name: str) -> None:
    body = json.loads(context.proxy.requests_for("POST", _TASKS)[-1].body)
    assert body.get("node") == name, body


@then('it asked to stop before "{one}" and "{other}"')
def asked_to_stop(context: Context, one: str, other: str) -> None:
    body = json.loads(context.proxy.requests_for("POST", _TASKS)[-1].body)
    assert body["stop"] == [one, other], body


@then("the last task of the queen says {texts}, and nothing else")
def said_at_last(context: Context, texts: str) -> None:
    said = [each["content"] for each in _asked(context)[-1]]
    assert said == re.findall('"([^"]+)"', texts), _asked(context)[-1]


@then("figures stand below the answer")
def figures(context: Context) -> None:
    assert _FIGURES.search(context.terminal.screen), context.terminal.screen


@then("no figures stand below the answer")
def no_figures(context: Context) -> None:
    assert not _FIGURES.search(context.terminal.screen), context.terminal.screen


@then("~/.rbee/chats/{name:S} is readable only by its owner")
def saved_chat(context: Context, name: str) -> None:
    folder = context.world.home / ".rbee" / "chats"
    modes = [each.stat().st_mode & 0o777 for each in (folder, folder / name)]
    assert modes == [0o700, 0o600], modes


@then('the queen was asked "{question}" next')
def asked_next(context: Context, question: str) -> None:
    wait_until("the next question", lambda: _asked(context), 30, lambda asked: len(asked) == 2)
    assert _asked(context)[1][-1]["content"] == question, _asked(context)
    context.question = question


@then("what was typed was never in the answer")
def not_echoed(context: Context) -> None:
    """Each line stands behind a prompt, wherever the screen shows it."""
    screens = list(context.terminal.screens)
    typed = ("/set top_k", "Zebras?")
    found = [line for screen in screens for line in screen.splitlines() for each in typed
             if each in line and not line.startswith(f"> {each}")]  # fmt: skip
    assert not found, found


@then("both answers are whole")
def both_whole(context: Context) -> None:
    assert _answered(context) == 2, context.proxy.relayed


@then("the screen has no line of narration")
def no_narration(context: Context) -> None:
    found = [line for line in context.terminal.screen.splitlines() if line.startswith("[")]
    assert not found, found
