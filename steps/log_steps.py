"""What daemons log: as `rbee-keeper logs` shows it, and as the disk has it."""

import json
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.watching import logs, pipeline
from harness.world import cluster
from harness.world.waiting import wait_until

_HIVE = "rbee-hive"


@given("somebody has run `{line}`")
def somebody_has_run(context: Context, line: str) -> None:
    run = context.world.start(line)
    assert run.wait(within=30) == 0, run.stderr.text


@when("its first lines are there")
def first_lines(context: Context) -> None:
    wait_until("a line of a log", lambda: logs.shown(context.run.stdout.text), 20)
    context.shown_then = logs.shown(context.run.stdout.text)


@then("lines of rbee-hive and of its new worker appear, that were not there when it began")
def new_lines(context: Context) -> None:
    row = cluster.queens_workers(context.world)[0]
    wait_until(
        "lines of both",
        lambda: _sources_since(context),
        10,
        lambda seen: {_HIVE, row["worker_id"]} <= seen,
    )
    assert row["worker_id"] not in {source for source, _ in context.shown_then}
    context.worker = {"id": row["worker_id"]}


@then("every line of standard output says who wrote it")
def each_has_a_source(context: Context) -> None:
    assert logs.shown(context.run.stdout.text)


@then("it shows the log of rbee-hive on {name:S} whole, and each line once")
def hive_there_whole(context: Context, name: str) -> None:
    _whole(context, context.world.nodes[name].home, _HIVE, _HIVE)


@then("it shows the log of rbee-hive whole, and each line once")
def hive_whole(context: Context) -> None:
    _whole(context, context.world.home, _HIVE, _HIVE)


@then("it shows the log of the worker on {name:S} whole, and each line once")
def worker_there_whole(context: Context, name: str) -> None:
    worker = context.worker["id"]
    _whole(context, context.world.nodes[name].home, worker, logs.file_of_worker(worker))


@then("the log of the hive that came is shown")
def hive_that_came(context: Context) -> None:
    hive = cluster.process_at(context.world, context.world.hive_url)
    assert hive != context.before["hive"]
    words = f"pid {hive.pid}"
    wait_until(
        f"the line of {words}",
        lambda: logs.shown_of(context.run.stdout.text, _HIVE),
        15,
        lambda lines: any(words in line for line in lines),
    )
    written = logs.written(context.world.home, _HIVE)
    logs.wait_for_shown(context.run, _HIVE, written, 10)


@then('standard error says in time "{words}"')
def says_in_time(context: Context, words: str) -> None:
    wait_until(f"{words!r}", lambda: context.run.stderr.text, 15, lambda text: words in text)


@then('standard output says in time "{words}"')
def shows_in_time(context: Context, words: str) -> None:
    wait_until(f"{words!r}", lambda: context.run.stdout.text, 15, lambda text: words in text)


@then("what both hives said on standard error is shown, and each line once")
def both_hives(context: Context) -> None:
    """The second one's words are the last run's; the first one said all of its own before."""
    hives = [run for run in context.world.runs if "hive" in run.name]
    assert len(hives) == 2, hives
    new = wait_until("its words", lambda: hives[1].stderr.text.splitlines(), 5)
    old = hives[0].stderr.text.splitlines()
    shown = wait_until(
        "the new hive's lines",
        lambda: logs.shown_of(context.run.stdout.text, _HIVE),
        15,
        lambda seen: seen[-len(new) :] == new,
    )
    # Of an end there is nobody left to tell: what is said from there on may be missing.
    before = shown[: -len(new)]
    ending = next(at for at, line in enumerate(old) if "told to end" in line)
    assert len(before) >= ending, (before, old)
    assert before == old[: len(before)], (before, old)


@then("it shows the last {count:d} lines of what hive and worker have logged")
def last_lines(context: Context, count: int) -> None:
    world = context.world
    worker = context.worker["id"]
    written = [
        (source, line)
        for source, name in ((_HIVE, _HIVE), (worker, logs.file_of_worker(worker)))
        for line in logs.written(world.home, name)
    ]
    # Every line begins with its time, to the millisecond.
    latest = sorted(line[:23] for _, line in written)[-count:]
    shown = logs.shown(context.run.stdout.text)
    assert [line[:23] for _, line in shown] == latest, (shown, latest)
    assert set(shown) <= set(written), (shown, written)
    context.shown_then = shown


@then("the JSON lines have the same {count:d} lines, each with source, node and time")
def json_lines(context: Context, count: int) -> None:
    events = [json.loads(line) for line in context.run.stdout.text.splitlines()]
    assert {event["event"] for event in events} == {"log"}, events
    data = [event["data"] for event in events]
    assert [(each["source"], each["line"]) for each in data] == context.shown_then, data
    assert [each["node"] for each in data] == ["localhost"] * count, data
    assert [each["at"] for each in data] == sorted(each["at"] for each in data), data


@when("I run `{line}` with `{behind}` behind it")
def run_piped(context: Context, line: str, behind: str) -> None:
    context.run = pipeline.start(context.world, line, behind)


@then("it ended within {seconds:d} s with {code:d}, and said nothing on standard error")
def ended_quietly(context: Context, seconds: int, code: int) -> None:
    assert context.run.wait(within=seconds) == code, context.run.stderr.text
    assert context.run.stderr.text == "", context.run.stderr.text


@then("one line came out")
def one_line(context: Context) -> None:
    assert len(logs.shown(context.run.stdout.text)) == 1, context.run.stdout.text


# Rotation


@when("{count:d} workers are started and ended, one after the other")
def cycles(context: Context, count: int) -> None:
    logs.cycle_workers(context.world, count)
    last = logs.written(context.world.home, _HIVE)[-1:]
    wait_until(
        "the last line to be shown",
        lambda: logs.shown_of(context.run.stdout.text, _HIVE)[-1:],
        5,
        lambda seen: seen == last,
    )


@then("rbee-hive.log has been put aside more than twice, and there are {count:d} files of it")
def put_aside(context: Context, count: int) -> None:
    """Lines that are shown and not there any more have been in a file that went."""
    home = context.world.home
    _wait_for_files(home, _HIVE, count)
    shown = logs.shown_of(context.run.stdout.text, _HIVE)
    assert shown[0] not in logs.written(home, _HIVE), shown[0]


@then("there are {count:d} files of {name:S}.log")
def count_files(context: Context, count: int, name: str) -> None:
    _wait_for_files(context.world.home, name, count)


@then("no log file is larger than {size:d} kB")
def small(context: Context, size: int) -> None:
    """What is written within a second comes on top of the limit."""
    found = {path.name: path.stat().st_size for path in logs.folder(context.world.home).iterdir()}
    assert not {name: size_ for name, size_ in found.items() if size_ > size * 1000}, found


@then("the kernel says that queen and hive write to the newest files")
def newest(context: Context) -> None:
    folder = logs.folder(context.world.home)
    for role, name in (("queen", "queen-rbee"), ("hive", _HIVE)):
        process = context.before[role]
        assert logs.outputs(process) == {str(folder / f"{name}.log")}, logs.outputs(process)


@then("what is left of rbee-hive's log is what was shown last of it")
def shown_last(context: Context) -> None:
    left = logs.written(context.world.home, _HIVE)
    shown = logs.shown_of(context.run.stdout.text, _HIVE)
    assert left == shown[-len(left) :], (left, shown)
    assert len(shown) > len(left) > 3, (len(shown), len(left))


@when("the log files of hive and worker are moved away")
def move_away(context: Context) -> None:
    logs.move_away(context.world.home, [_HIVE, logs.file_of_worker(context.worker["id"])])


@then("hive and worker write to new ones within {seconds:d} s")
def write_to_new_ones(context: Context, seconds: int) -> None:
    folder = logs.folder(context.world.home)
    names = {"hive": _HIVE, "worker": logs.file_of_worker(context.worker["id"])}
    wait_until(
        "their descriptors to be the new files",
        lambda: {role: logs.outputs(context.before[role]) for role in names},
        seconds,
        lambda seen: seen == {role: {str(folder / f"{n}.log")} for role, n in names.items()},
    )


def _sources_since(context: Context) -> set[str]:
    now = logs.shown(context.run.stdout.text)
    return {source for source, _ in now[len(context.shown_then) :]}


def _whole(context: Context, home: Path, source: str, name: str) -> None:
    written = logs.written(home, name)
    shown = logs.shown_of(context.run.stdout.text, source)
    assert len(written) > 1, written
    # It ended a moment before the file was read.
    assert shown == written[: len(shown)], (shown, written)
    assert len(written) - len(shown) <= 1, (shown, written)


def _wait_for_files(home: Path, name: str, count: int) -> None:
    wait_until(
        f"{count} files of {name}",
        lambda: [path.name for path in logs.files(home, name)],
        5,
        lambda found: len(found) == count,
    )
