"""A prompt is answered, in a pipe, in a file or in a chat."""

import json
from pathlib import Path
from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.watching import asked_fields, keeper_output, standalone_worker
from harness.world import cluster
from harness.world.processes import alive
from harness.world.waiting import let_pass, wait_until

_ODD = "Repeat: $HOME `id` \"a\" 'b' \\n !! * ünï 🐝 ; & | > <x>"
_LONGEST_S = 60
_A_MOMENT_S = 0.5  # what a queen heard in the last 0.25 s it believes without asking
_TASKS = "/v2/tasks"


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
    """One after the other, with a seed: otherwise a near tie may be broken in another way."""
    line = "rbee-keeper infer --json --max-tokens 10 --temperature 0 --seed 1 --prompt"
    runs = []
    for asked, stdin, more in ((line, None, [_ODD]), (f"{line} -", _ODD, [])):
        runs.append(context.world.start(asked, stdin, more))
        assert runs[-1].wait(within=60) == 0, runs[-1].stderr.text
    said = [{"role": "user", "content": _ODD}]
    body = {"messages": said, "max_tokens": 10, "temperature": 0, "seed": 1}
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


def _asked(context: Context) -> list[list[dict[str, Any]]]:
    """The messages of each task, in order."""
    return [asked_fields.messages(sent.body) for sent in context.proxy.requests_for("POST", _TASKS)]


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


@then("the hive reported nothing but the states of that worker, and the facts of its node")
def no_other_worker(context: Context) -> None:
    [snapshot] = context.watched.named("snapshot")
    rows = [*snapshot.data["workers"], *(each.data for each in context.watched.named("worker"))]
    reported = {row["id"] for row in rows}
    assert reported == {context.worker["id"]}, reported
    others = [
        each for each in context.watched.events if each.name not in ("snapshot", "worker", "facts")
    ]
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
    assert _asked(context) == [asked_fields.question(row["asked"]) for row in context.rows], _asked(
        context
    )


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
    assert json.loads(asked.body)["messages"] == asked_fields.question(text), asked.body


@then('the queen was asked "{one}" and "{other}" at last')
def asked_two(context: Context, one: str, other: str) -> None:
    assert _asked(context)[-2:] == [asked_fields.question(one), asked_fields.question(other)], (
        _asked(context)
    )


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
    """Without the queen, which hears of it from the hive and asks the worker all the same, unless
    that was a moment ago."""
    url = f"{context.worker['url']}/v1/inference"
    body = {"prompt": "Once upon a time", "max_tokens": 4000, "ignore_eos": True}
    context.stream = context.world.stream("POST", url, body)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for("token", within=20)
    wait_until(
        "the hive to know of it",
        lambda: cluster.only_worker(context.world)["slots_available"] == 0,
        within=5,
    )
    let_pass(_A_MOMENT_S)
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


@then("neither output has anything but ASCII, or an escape in its place")
def readable_ascii(context: Context) -> None:
    for text in (context.run.stdout.text, context.run.stderr.text):
        assert text.isascii(), text
        assert "\\x" not in text and "\\u" not in text.lower(), text


@then("the terminal is as it was before")
def as_before(context: Context) -> None:
    assert context.terminal.is_as_before
