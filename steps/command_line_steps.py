"""A command typed in a shell: what it prints, its exit code and how long it took."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise

from behave import given, then, when
from behave.runner import Context

from harness.breaking.proxy import ProxiedRequest
from harness.watching import (
    answer_figures,
    keeper_output,
    node_installation,
    terminal_screen,
)
from harness.world import cluster, settings
from harness.world.waiting import wait_until

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST_S = 60
# What a busy machine takes to deliver what was made at once.
_DELIVERED_S = 0.1


# What is run


@when("I run `{line}`")
def run_to_its_end(context: Context, line: str) -> None:
    start(context, line)
    context.run.wait(_LONGEST_S)


@when("I start `{line}`")
def start(context: Context, line: str) -> None:
    context.run_before = context.run if "run" in context else None
    context.run = context.world.start(line)


@given("somebody else runs `{line}`")
@when("somebody else runs `{line}`")
def somebody_else(context: Context, line: str) -> None:
    run = context.world.start(line)
    assert run.wait(within=30) == 0, run.stderr.text


# How it ends


@then("it exits with {code:d}")
def exits_with(context: Context, code: int) -> None:
    found = context.run.wait(_LONGEST_S)
    assert found == code, f"exit code {found}; standard error:\n{context.run.stderr.text}"


@then("it exits with 1 or 2")
def exits_with_an_error(context: Context) -> None:
    """Whether an impossible value is a usage error is a matter of taste."""
    found = context.run.wait(_LONGEST_S)
    assert found in {1, 2}, f"exit code {found}; standard error:\n{context.run.stderr.text}"


@then("it took less than {seconds:d} s")
def took_less(context: Context, seconds: int) -> None:
    assert context.run.took < seconds, f"it took {context.run.took:.2f} s"


@then("it ended less than {seconds:d} s after that")
def ended_soon(context: Context, seconds: int) -> None:
    took = context.run.began + context.run.took - context.moment
    assert took < seconds, f"it took {took:.2f} s"


@then("it took at least {least:g} s and less than {most:g} s")
def took_between(context: Context, least: float, most: float) -> None:
    assert least <= context.run.took < most, f"it took {context.run.took:.2f} s"


# What it prints


@then('standard {output:w} says "{words}"')
def output_says(context: Context, output: str, words: str) -> None:
    text = _text_of(context, output)
    assert context.world.expand(words).lower() in text.lower(), text


@then('standard {output:w} soon says "{words}"')
def output_says_in_time(context: Context, output: str, words: str) -> None:
    wait_until(f"{words!r}", lambda: _text_of(context, output), 15, lambda text: words in text)


@then('standard {output:w} says nothing of "{words}"')
def output_says_nothing_of(context: Context, output: str, words: str) -> None:
    text = _text_of(context, output)
    assert words not in text, text


@then("standard output has the row {cells}")
def output_has_row(context: Context, cells: str) -> None:
    """Of a table; <version> is that of the hive."""
    version = node_installation.version_of(context.world.commands.argv("hive"))
    first, *others = context.world.expand(cells).replace("<version>", version).split(", ")
    assert keeper_output.rows(context.run.stdout.text)[first] == others, context.run.stdout.text


@then("standard {output:w} is empty")
def output_is_empty(context: Context, output: str) -> None:
    assert _text_of(context, output) == "", _text_of(context, output)


@then('standard error is "{line}", and nothing else')
def only_that(context: Context, line: str) -> None:
    assert context.run.stderr.text == f"{line}\n", context.run.stderr.text


@then("standard output is what `{line}` prints")
def same_output(context: Context, line: str) -> None:
    other = context.world.start(line)
    assert other.wait(within=10) == 0, other.stderr.text
    assert context.run.stdout.text == other.stdout.text, context.run.stdout.text


def _text_of(context: Context, output: str) -> str:
    streams = {"output": context.run.stdout, "error": context.run.stderr}
    return str(streams[output].text)


@then("the error is {code:w}")
def the_error_is(context: Context, code: str) -> None:
    assert keeper_output.error_codes(context.run.stderr.text) == [code], context.run.stderr.text


@then("it is a clear message with a next step")
def a_clear_message(context: Context) -> None:
    text = context.run.stderr.text
    assert "Traceback" not in text + context.run.stdout.text, text
    assert keeper_output.next_steps(text), f"no next step: {text!r}"


@then('the next step says "{words}"')
def next_step_says(context: Context, words: str) -> None:
    steps = keeper_output.next_steps(context.run.stderr.text)
    assert any(context.world.expand(words) in step for step in steps), context.run.stderr.text


@then("no line of standard error comes twice")
def each_once(context: Context) -> None:
    lines = context.run.stderr.text.splitlines()
    assert len(lines) > 3, lines
    assert len(set(lines)) == len(lines), lines


@then("standard error has these lines about waiting, and no others")
def waiting_lines(context: Context) -> None:
    wanted = [row["line"] for row in context.table]
    found = terminal_screen.waiting_lines(context.run.stderr.text)
    assert found == wanted, context.run.stderr.text


@then("neither output has a control character")
def no_control_in_outputs(context: Context) -> None:
    for text in (context.run.stdout.text, context.run.stderr.text):
        assert not _CONTROL.findall(text.encode()), text
        assert "\r" not in text, text


@then("it shows {section:w}.{key:w} as {value}")
def shows_setting(context: Context, section: str, key: str, value: str) -> None:
    found = settings.read(context.run.stdout.text)[section][key]
    assert found == settings.value_of(value), found


# The answer


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


@then("standard output holds the story and nothing else")
def only_the_story(context: Context) -> None:
    text = context.run.stdout.text
    assert len(text.split()) >= 5, f"this is no story: {text!r}"
    assert not keeper_output.lines_beside_the_text(text), keeper_output.lines_beside_the_text(text)


@then("the answer has exactly {count:d} tokens")
def exact_tokens(context: Context, count: int) -> None:
    text = context.run.stdout.text
    done = keeper_output.data_of(text, "done")
    assert len(keeper_output.tokens(text)) == count, keeper_output.tokens(text)
    assert done["total_tokens"] == count, done
    assert done["stop_reason"] == "MAX_TOKENS", done


@then("the tokens are numbered from 0 without a gap")
def numbered(context: Context) -> None:
    indexes = [token["index"] for token in keeper_output.tokens(context.run.stdout.text)]
    assert indexes == list(range(len(indexes))), indexes


@then("they arrived in at least {count:d} pieces")
def in_pieces(context: Context, count: int) -> None:
    moments = answer_figures.of_output(context.run).tokens_at
    assert len(set(moments)) >= count, moments
    assert answer_figures.are_one_by_one(moments), moments


@then('the stream ended with the error {code} and without "done"')
def ended_with_error(context: Context, code: str) -> None:
    text = context.run.stdout.text
    assert keeper_output.data_of(text, "error")["error"]["code"] == code
    assert "done" not in [name for name, _ in keeper_output.events(text)]


@then("the same worker answered")
def same_worker(context: Context) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    assert started["worker_id"] == context.worker["id"], (started, context.worker)
    assert cluster.processes(context.world)["worker"] == context.before["worker"]


@then("the worker of the previous run answered")
def worker_of_before(context: Context) -> None:
    before, now = (
        keeper_output.data_of(run.stdout.text, "started")
        for run in (context.run_before, context.run)
    )
    assert now["worker_id"] == before["worker_id"], (before, now)


@then("standard error ends with a summary of {count:d} tokens")
def a_summary(context: Context, count: int) -> None:
    reported = keeper_output.summary(context.run.stderr.text)
    assert reported["tokens"] == count, reported
    assert 0 < reported["first_ms"] < context.run.took * 1000, reported
    arrivals = [at for at, _ in context.run.stdout.pieces]
    assert count / context.run.took <= reported["rate"], (reported, context.run.took)
    took = arrivals[-1] - arrivals[0] - _DELIVERED_S
    assert reported["rate"] * took < 2 * count, (reported, arrivals)


@then("standard error is a summary of {count:d} tokens, and nothing else")
def only_a_summary(context: Context, count: int) -> None:
    a_summary(context, count)
    assert context.run.stderr.text.count("\n") == 1, context.run.stderr.text


@then("it says how many of {count:d} tokens came, as many as were shown")
def tokens_of_shown(context: Context, count: int) -> None:
    """Tokenizing the text again may give slightly different tokens."""
    made = keeper_output.tokens_so_far(context.run.stderr.text, count)
    assert 0 < made < count, context.run.stderr.text
    shown = len(context.model_files.reference_decoder.tokens(context.run.stdout.text.rstrip("\n")))
    assert abs(made - shown) <= 1 + made // 20, (made, shown)


@then("the text so far is saved, readable only by its owner")
def the_text_is_saved(context: Context) -> None:
    saved = keeper_output.saved_text(context.run.stderr.text, context.world.tmp)
    assert saved.stat().st_mode & 0o777 == 0o600, oct(saved.stat().st_mode)
    assert saved.read_text().strip() == context.run.stdout.text.strip(), saved.read_text()
    assert saved.read_text().strip(), "the saved text is empty"


# The narration


@then('"{phase}" is shown as skipped')
def phase_skipped(context: Context, phase: str) -> None:
    """In its only line: nothing of it is done all the same."""
    narration = keeper_output.narration(context.run.stderr.text)
    found = [line for line in narration if phase in line.lower()]
    assert ["skipped" in line for line in found] == [True], (found, narration)


@then('the phases are shown in order, "{second}" right after "{first}"')
def phases_in_order(context: Context, first: str, second: str) -> None:
    reported = keeper_output.phases(context.run.stderr.text)
    assert reported == keeper_output.PHASES, reported
    assert reported.index(second) == reported.index(first) + 1
    line = keeper_output.phase_line(context.run.stderr.text, second)
    assert "skipped" not in line, line


@then("these words are shown, in this order")
def words_in_order(context: Context) -> None:
    asked = context.world.start("rbee-hive --version")
    assert asked.wait(within=5) == 0, asked.stderr.text
    version = asked.stdout.text.split()[-1]
    reported = iter(keeper_output.narration(context.run.stderr.text))
    for row in context.table:
        words = context.world.expand(row["words"]).replace("<version>", version)
        found = any(words in line for line in reported)
        assert found, f"{words!r} is not shown, or not in its place:\n{context.run.stderr.text}"


@then("standard error showed the progress in percent of {megabytes:d} MB and in MB/s")
def progress_in_percent(context: Context, megabytes: int) -> None:
    reported = keeper_output.download_progress(context.run.stderr.text)
    percents = [percent for percent, _, _ in reported]
    assert len(set(percents)) >= 3, context.run.stderr.text
    assert percents == sorted(set(percents)), percents
    assert percents[0] < 50, percents
    assert 70 <= percents[-1] <= 100, percents
    assert {total for _, total, _ in reported} == {megabytes}, reported
    fastest = 1.5 * (context.hub.faults.bytes_per_second or math.inf) / 1_000_000
    assert all(0 < speed < fastest for _, _, speed in reported), (reported, fastest)


# Its requests


@then("it asked {times:d} times, with 1, 2 and 4 s in between")
def asked_again(context: Context, times: int) -> None:
    """As the proxy saw it. A pause begins when the answer has arrived, so it can only be longer."""
    _paused(context.proxy.requests_for("POST", "/v2/tasks"), times)


@then(
    "that worker was asked {times:d} times, with 1, 2 and 4 s in between, "
    "and answered {status:d} each time"
)
def worker_asked_again(context: Context, times: int, status: int) -> None:
    """Requests from before it was full don't count."""
    asked = context.proxy.requests_for("POST", "/v1/inference")[context.asked_by_then :]
    _paused(asked, times)
    assert [each.status for each in asked] == [status] * times, asked


def _paused(all_asked: Sequence[ProxiedRequest], times: int) -> None:
    moments = [asked.at for asked in all_asked]
    assert len(moments) == times, moments
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    for gap, pause in zip(gaps, (1, 2, 4), strict=True):
        assert pause <= gap < pause + 2, gaps
