"""A prompt is answered, in a pipe, in a file or in a chat."""

import json
import re
from pathlib import Path
from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.watching import keeper_output, standalone_worker
from harness.watching.replies import Metrics
from harness.world import cluster
from harness.world.processes import alive
from harness.world.waiting import wait_until

_ODD = "Repeat: $HOME `id` \"a\" 'b' \\n !! * ünï 🐝 ; & | > <x>"
_LINES = ["First line", "second, longer than forty columns are in all", "third"]
_LONGEST_S = 60


@then("a token is on the screen while the hive lists the worker as busy")
def live(context: Context) -> None:
    run = context.run
    wait_until("the first token", lambda: keeper_output.tokens(run.stdout.text), 30)
    assert cluster.only_worker(context.world)["state"] == "busy"
    assert '"done"' not in run.stdout.text, "it was over already"
    assert run.running


@then("the text on standard output is made of the tokens of the previous run")
def the_same_text(context: Context) -> None:
    tokens = keeper_output.tokens(context.run_before.stdout.text)
    words = "".join(token["token"] for token in tokens)
    assert context.run.stdout.text.rstrip("\n") == words.rstrip("\n"), context.run.stdout.text


@when("I ask with odd characters in the prompt, as an argument, on standard input, and over HTTP")
def ask_three_times(context: Context) -> None:
    line = "rbee-keeper infer --json --max-tokens 10 --temperature 0 --prompt"
    runs = [
        context.world.start(line, more=[_ODD]),
        context.world.start(f"{line} -", stdin=_ODD),
    ]
    assert [run.wait(within=60) for run in runs] == [0, 0], [run.stderr.text for run in runs]
    body = {"messages": [{"role": "user", "content": _ODD}], "max_tokens": 10, "temperature": 0}
    stream = context.world.stream("POST", f"{context.world.queen_url}/v2/tasks", body)
    stream.wait_for_end(within=30)
    over_http = [(event.name, event.data) for event in stream.events]
    context.three_answers = [*(keeper_output.events(run.stdout.text) for run in runs), over_http]


@then("all three times the prompt has the same number of tokens and the answer is the same")
def three_the_same(context: Context) -> None:
    first, *others = [
        (
            [data["prompt_tokens"] for name, data in events if name == "done"],
            "".join(data["token"] for name, data in events if name == "token"),
        )
        for events in context.three_answers
    ]
    assert first[0], first
    assert first[1], first
    assert others == [first, first], (first, others)


@when("the prompt appears")
def prompt_is_there(context: Context) -> None:
    context.terminal.wait_for_prompt()


@when('I ask "{question}" there')
def ask(context: Context, question: str) -> None:
    context.terminal.wait_for_prompt()
    context.since = len(context.terminal.screens)
    context.terminal.press(question)
    context.terminal.press("Enter")


@when('I ask "{question}" there and get an answer')
def ask_and_wait(context: Context, question: str) -> None:
    ask(context, question)
    context.terminal.wait_for_prompt(context.since, after=f"> {question[:30]}")


@when("an answer is arriving there")
def answer_arrives(context: Context) -> None:
    """Below the question, which stands behind the prompt."""
    wait_until(
        "an answer below the question",
        lambda: context.terminal.screen,
        30,
        lambda screen: len(screen.rpartition("> ")[2].partition("\n")[2].split()) > 3,
    )


@when("I type half a line there and press Ctrl+C")
def half_a_line(context: Context) -> None:
    context.terminal.press("half a l")
    context.terminal.wait_for(["> half a l"], 5)
    context.terminal.press("Ctrl+C")


@when("I type a text of three lines in triple quotes there, and get an answer")
def three_lines(context: Context) -> None:
    since = len(context.terminal.screens)
    context.terminal.press("\r".join(['"""', *_LINES, '"""']))
    context.terminal.press("Enter")
    context.terminal.wait_for_prompt(since, after=_LINES[-1])


@when("I ask five questions there and get an answer to each")
def five_questions(context: Context) -> None:
    for number in range(5):
        ask_and_wait(context, f"Question {number}: what do bees do in the month of May?")


def _asked(context: Context) -> list[list[dict[str, Any]]]:
    """The messages of each task, in order."""
    sent = context.proxy.requests_for("POST", "/v2/tasks")
    return [json.loads(asked.body)["messages"] for asked in sent]


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
    assert (answer["role"], last) == ("assistant", _question(question)[0]), asked[-1]
    written = re.sub(r"\s", "", context.terminal.written.decode(errors="replace"))
    assert re.sub(r"\s", "", answer["content"])[:200] in written, (answer, written)
    assert answer["content"].strip(), answer


@then("the worker had most of it in its KV cache")
def cached(context: Context) -> None:
    url = cluster.only_worker(context.world)["url"]
    seen = Metrics(context.world.call("GET", f"{url}/metrics").body.decode())
    found, computed = seen.value("rbee_tokens_cached_total"), seen.value("rbee_tokens_read_total")
    assert found > computed, (found, computed)


@then("~/.rbee/history has the three questions, readable only by its owner")
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


@then("the last task of the queen holds only part of the conversation")
def asked_with_less(context: Context) -> None:
    last = _asked(context)[-1]
    assert "Question 4" in last[-1]["content"], last
    assert len(last) < 9, last
    assert last[0]["role"] == "user", last
    assert "Question 0" not in last[0]["content"], last


@then('the reply is 200 with status "{status}", api_version "{api}" and the version of `{line}`')
def health_is(context: Context, status: str, api: str, line: str) -> None:
    asked = context.world.start(line)
    assert asked.wait(within=5) == 0, asked.stderr.text
    version = asked.stdout.text.split()[-1]
    assert context.reply.status == 200, context.reply
    wanted = {"status": status, "version": version, "api_version": api}
    assert context.reply.json == wanted, context.reply.json
    assert context.hive_run.ready()["version"] == version


@then("the hive reported the worker as busy, then as idle")
def busy_then_idle(context: Context) -> None:
    wait_until(
        "the worker's states as the hive reported them",
        lambda: [event.data["state"] for event in context.watched.named("worker")],
        5,
        lambda states: states[-1:] == ["idle"] and "busy" in states,
    )


@then("the hive reported nothing but the states of that worker")
def no_other_worker(context: Context) -> None:
    reported = {event.data["id"] for event in context.watched.named("worker")}
    assert reported == {context.worker["id"]}, reported
    others = [event for event in context.watched.events if event.name != "worker"]
    assert not others, others


@when("I run in a shell `{line}`")
def run_in_shell(context: Context, line: str) -> None:
    context.run = context.world.start_in_shell(line)
    context.run.wait(_LONGEST_S)


@when("each of these is run in a shell")
def run_each_in_shell(context: Context) -> None:
    context.rows, context.runs = list(context.table), []
    for row in context.rows:
        run_in_shell(context, row["command"])
        context.runs.append(context.run)


@then("each exits with 0, and the queen was asked once each time, as it says there")
def each_was_asked(context: Context) -> None:
    codes = {row["how"]: run.exit_code for row, run in zip(context.rows, context.runs, strict=True)}
    assert set(codes.values()) == {0}, codes
    assert _asked(context) == [_question(row["asked"]) for row in context.rows], _asked(context)


def _question(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text.replace("\\n", "\n")}]


@given('the file {name} has the text "{text}"')
def a_text(context: Context, name: str, text: str) -> None:
    _file(context, name).write_text(f"{text}\n")


@given("the file {name} has {size:d} KB of text")
def a_large_text(context: Context, name: str, size: int) -> None:
    context.prompt = (standalone_worker.prompt_of_words(1000) + " ") * (size * 1000 // 5000)
    _file(context, name).write_text(context.prompt)


def _file(context: Context, name: str) -> Path:
    """In the folder in which commands are run."""
    return Path(context.world.tmp / name)


@then('the queen was asked "{text}"')
def queen_was_asked(context: Context, text: str) -> None:
    (asked,) = context.proxy.requests_for("POST", "/v2/tasks")
    assert json.loads(asked.body)["messages"] == _question(text), asked.body


@then("the queen was asked the whole text")
def queen_was_asked_all(context: Context) -> None:
    (asked,) = context.proxy.requests_for("POST", "/v2/tasks")
    assert json.loads(asked.body)["messages"][0]["content"] == context.prompt


@then("standard error has nothing but the narration")
def only_narration(context: Context) -> None:
    lines = context.run.stderr.text.splitlines()
    assert lines == keeper_output.narration(context.run.stderr.text), lines


@then("standard output is one {what}")
def one_piece(context: Context, what: str) -> None:
    text = context.run.stdout.text
    if what == "few bytes":
        assert len(text.encode()) == 20, text
        return
    assert text.count("\n") == 1, text
    if what == "event":
        assert json.loads(text)["event"] == "accepted", text


@then('each line on standard output is an event, the first "{first}", the last "{last}"')
def events_only(context: Context, first: str, last: str) -> None:
    text = context.run.stdout.text
    assert text.endswith("\n"), text
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(set(line) == {"event", "data"} for line in lines), lines
    names = [line["event"] for line in lines]
    assert (names[0], names[-1]) == (first, last), names
    assert len([name for name in names if name in ("done", "error")]) == 1, names


@then("the last line on standard error names `{command}`, and no other does")
def last_line_names(context: Context, command: str) -> None:
    lines = context.run.stderr.text.splitlines()
    assert [number for number, line in enumerate(lines) if command in line] == [len(lines) - 1]
    assert lines[-1].startswith("→ "), lines


@then("neither output names `{command}`")
def nothing_names(context: Context, command: str) -> None:
    assert command not in context.run.stderr.text + context.run.stdout.text


@when("somebody else keeps the worker's slot busy")
def keep_busy(context: Context) -> None:
    """Without the queen, which can't know of it."""
    url = f"{context.worker['url']}/v1/inference"
    body = {"prompt": "Once upon a time", "max_tokens": 4000, "ignore_eos": True}
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for("token", within=20)
    context.asked_by_then = len(context.proxy.requests_for("POST", "/v1/inference"))


@given("nothing is running")
def nothing_runs_yet(context: Context) -> None:
    assert not context.world.processes()


@then("nobody waits in the queue")
def nobody_waits(context: Context) -> None:
    text = context.world.call("GET", f"{context.world.queen_url}/metrics").body.decode()
    assert "\nrbee_queue_waiting 0.0\n" in text, text


@then("the queen goes on, and nothing is running after {seconds:d} s")
def queen_goes_on(context: Context, seconds: int) -> None:
    queen = context.before["queen"]
    if alive(queen):
        queen.resume()
    context.world.wait_for_no_processes(within=seconds)


@then("~/.rbee/logs has no traceback")
def no_traceback(context: Context) -> None:
    for log in sorted((context.world.home / ".rbee" / "logs").glob("*.log")):
        assert "Traceback" not in log.read_text(), log.read_text()
