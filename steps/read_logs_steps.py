"""The logs that `rbee-keeper logs` shows, and their rotation."""

import json
import re
from pathlib import Path
from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.watching import log_lines, logs
from harness.world import cluster
from harness.world.waiting import wait_until

_HIVE = "rbee-hive"


@when("its first lines appear")
def first_lines(context: Context) -> None:
    wait_until("a line of a log", lambda: logs.shown(context.run.stdout.text), 20)
    context.shown_then = logs.shown(context.run.stdout.text)


@then("new lines of rbee-hive and of its new worker appear")
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
    home = context.world.nodes[row["node"]].home
    for source, file in (_HIVE, _HIVE), (row["worker_id"], logs.worker_log_name(row["worker_id"])):
        _wait_for_all(context, source, logs.written(home, file))


def _wait_for_all(context: Context, source: str, written: list[str]) -> None:
    """Others may follow."""
    wait_until(
        f"{len(written)} lines of {source}",
        lambda: logs.shown_by(context.run.stdout.text, source),
        10,
        lambda seen: len(seen) >= len(written),
    )


@then("every line of standard output names its source")
def each_has_a_source(context: Context) -> None:
    assert logs.shown(context.run.stdout.text)


@then("it shows the log of {source} on {name:S} whole, and each line once")
def whole(context: Context, source: str, name: str) -> None:
    home = context.world.home if name == "localhost" else context.world.nodes[name].home
    if source == "the worker":
        source, file = context.worker["id"], logs.worker_log_name(context.worker["id"])
    else:
        file = source
    written = logs.written(home, file)
    shown = logs.shown_by(context.run.stdout.text, source)
    assert len(written) > 1, written
    # The command ended a moment before the file was read.
    assert shown == written[: len(shown)], (shown, written)
    assert len(written) - len(shown) <= 1, (shown, written)


@then("the log of the new hive is shown")
def hive_that_came(context: Context) -> None:
    hive = cluster.process_at(context.world, context.world.hive_url)
    assert hive != context.before["hive"]
    words = f"pid {hive.pid}"
    wait_until(
        f"the line of {words}",
        lambda: logs.shown_by(context.run.stdout.text, _HIVE),
        15,
        lambda lines: any(words in line for line in lines),
    )
    written = logs.written(context.world.home, _HIVE)
    logs.wait_for_shown(context.run, _HIVE, written, 10)


@then("what both hives said on standard error is shown, and each line once")
def both_hives(context: Context) -> None:
    """The second hive's lines come last; the first one wrote all of its lines before."""
    hives = [run for run in context.world.runs if "hive" in run.name]
    assert len(hives) == 2, hives
    new = wait_until("its words", lambda: hives[1].stderr.text.splitlines(), 5)
    old = hives[0].stderr.text.splitlines()
    shown = wait_until(
        "the new hive's lines",
        lambda: logs.shown_by(context.run.stdout.text, _HIVE),
        15,
        lambda seen: seen[-len(new) :] == new,
    )
    # Nobody is left to relay the end of a hive: its lines from there on may be missing.
    before = shown[: -len(new)]
    ending = next(at for at, line in enumerate(old) if "told to end" in line)
    assert len(before) >= ending, (before, old)
    assert before == old[: len(before)], (before, old)


@then("it shows {count:d} lines of {one:w}, then {more:d} of {other:w}")
def lines_of_nodes(context: Context, count: int, one: str, more: int, other: str) -> None:
    lines = context.run.stdout.text.splitlines()
    assert [line.split("/")[0] for line in lines] == [one] * count + [other] * more, lines


@then("it shows the last {count:d} lines of what hive and worker have logged")
def last_lines(context: Context, count: int) -> None:
    world = context.world
    worker = context.worker["id"]
    written = [
        (source, line)
        for source, name in ((_HIVE, _HIVE), (worker, logs.worker_log_name(worker)))
        for line in logs.written(world.home, name)
    ]
    # Every line begins with its time in milliseconds.
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
    assert 0 <= log_lines.now() - data[-1]["at"] < 60, data


@then("each line is told at the time that it says itself")
def told_at_own_time(context: Context) -> None:
    """A line of another thread may say an earlier one than the line before it."""
    data = [json.loads(line)["data"] for line in context.run.stdout.text.splitlines()]
    late = [each["at"] - json.loads(each["line"])["time"] for each in data]
    assert len(data) > 3 and all(0 <= each < 1 for each in late), (late, data)


@then("the log of {name:S} does not begin with its start any more, and is at most one file")
def begins_later(context: Context, name: str) -> None:
    home = context.world.home
    wait_until(
        "the first lines to be gone",
        lambda: logs.written(home, name),
        5,
        lambda lines: not any("listening on" in line for line in lines),
    )
    assert len(logs.files(home, name)) in (0, 1), logs.files(home, name)


@when("{count:d} workers are started and ended, one after the other")
def cycles(context: Context, count: int) -> None:
    logs.cycle_workers(context.world, count)
    last = logs.written(context.world.home, _HIVE)[-1:]
    wait_until(
        "the last line to be shown",
        lambda: logs.shown_by(context.run.stdout.text, _HIVE)[-1:],
        5,
        lambda seen: seen == last,
    )


@then("rbee-hive.log has been put aside more than twice, and there are {count:d} files of it")
def put_aside(context: Context, count: int) -> None:
    """Lines that were shown and are not in any file now were in a file that was deleted."""
    home = context.world.home
    _wait_for_files(home, _HIVE, count)
    shown = logs.shown_by(context.run.stdout.text, _HIVE)
    assert shown[0] not in logs.written(home, _HIVE), shown[0]


@then("there are {count:d} files of {name:S}.log")
def count_files(context: Context, count: int, name: str) -> None:
    _wait_for_files(context.world.home, name, count)


@then("no log file is larger than {size:d} kB")
def small(context: Context, size: int) -> None:
    """The lines of up to a second may come on top of the limit."""
    found = {path.name: path.stat().st_size for path in logs.folder(context.world.home).iterdir()}
    assert not {name: size_ for name, size_ in found.items() if size_ > size * 1000}, found


@then("the kernel says that queen and hive write to the newest files")
def newest(context: Context) -> None:
    folder = logs.folder(context.world.home)
    for role, name in (("queen", "queen-rbee"), ("hive", _HIVE)):
        process = context.before[role]
        assert logs.output_files(process) == {str(folder / f"{name}.log")}, logs.output_files(
            process
        )


@then("what is left of rbee-hive's log is what was shown last of it")
def shown_last(context: Context) -> None:
    left = logs.written(context.world.home, _HIVE)
    shown = logs.shown_by(context.run.stdout.text, _HIVE)
    assert left == shown[-len(left) :], (left, shown)
    assert len(shown) > len(left) > 3, (len(shown), len(left))


@when("the log files of hive and worker are moved away")
def move_away(context: Context) -> None:
    logs.move_away(context.world.home, [_HIVE, logs.worker_log_name(context.worker["id"])])


@then("hive and worker write to new ones within {seconds:d} s")
def write_to_new_ones(context: Context, seconds: int) -> None:
    folder = logs.folder(context.world.home)
    names = {"hive": _HIVE, "worker": logs.worker_log_name(context.worker["id"])}
    wait_until(
        "their descriptors to be the new files",
        lambda: {role: logs.output_files(context.before[role]) for role in names},
        seconds,
        lambda seen: seen == {role: {str(folder / f"{n}.log")} for role, n in names.items()},
    )


def _sources_since(context: Context) -> set[str]:
    now = logs.shown(context.run.stdout.text)
    return {source for source, _ in now[len(context.shown_then) :]}


def _wait_for_files(home: Path, name: str, count: int) -> None:
    wait_until(
        f"{count} files of {name}",
        lambda: [path.name for path in logs.files(home, name)],
        5,
        lambda found: len(found) == count,
    )


# What a line says


@then(
    "every line that queen and hive have logged is JSON with time, level, logger, message "
    "and correlation_id"
)
def all_json(context: Context) -> None:
    for program in ("queen-rbee", _HIVE):
        found = log_lines.json_lines(context.world, program)
        assert len(found) > 2, found
        # A line about an exception has one more.
        wrong = [line for line in found if line.keys() - {"exception"} != log_lines.FIELDS]
        assert not wrong, wrong


@then(
    'the line about "{words}" in the log of {program:S} names the key {name:w}, '
    "and no other line a key"
)
def json_key(context: Context, words: str, program: str, name: str) -> None:
    lines = log_lines.json_lines(context.world, program)
    found = [(line["message"], line["key"]) for line in lines if "key" in line]
    assert found == [(words, name)], (found, lines)


@then(
    'the line about "{words}" in the log of {program:S} is from now, at level "{level}", '
    'by "{logger}", with the id "{correlation_id}"'
)
def json_line(
    context: Context, words: str, program: str, level: str, logger: str, correlation_id: str
) -> None:
    lines = log_lines.json_lines(context.world, program)
    found = [line for line in lines if line["message"] == words]
    said = [(line["level"], line["logger"], line["correlation_id"]) for line in found]
    assert said == [(level, logger, correlation_id)], (said, lines)
    assert 0 <= log_lines.now() - found[0]["time"] < 60, found


@when("the queen is asked for its workers, and sent a task that it refuses")
def ask_and_refuse(context: Context) -> None:
    world = context.world
    assert world.call("GET", f"{world.queen_url}/v2/workers/list").status == 200
    assert world.call("POST", f"{world.queen_url}/v2/tasks", {"prompt": ""}).status == 400


@then("its log has these levels: {names}")
def levels(context: Context, names: str) -> None:
    """The refusal is the last thing that happens, where it is logged at all."""
    wanted = set() if names == "none" else set(names.split(" and "))
    if wanted:
        context.queen_run.stderr.wait_for("POST /v2/tasks failed")
    assert log_lines.levels(context.queen_run.stderr.text) == wanted, context.queen_run.stderr.text


@then("{count:w} of its lines are about a GET")
def about_get(context: Context, count: str) -> None:
    found = [line for line in context.queen_run.stderr.text.splitlines() if "] GET /v2/" in line]
    assert bool(found) == {"some": True, "none": False}[count], found


# Which lines there are


@given("{count:d} workers have left a log, the first of them most recently")
def left_logs(context: Context, count: int) -> None:
    context.left_logs = log_lines.leave_logs(context.world, count)


@given("a worker has left a log of {lines:d} lines")
def left_log(context: Context, lines: int) -> None:
    log_lines.leave_logs(context.world, 1, lines)


@then("the log of this worker is kept, and those of the {count:d} that ended last, and no others")
def newest_kept(context: Context, count: int) -> None:
    own = f"{logs.worker_log_name(context.worker['id'])}.log"
    wanted = {own, *(path.name for path in context.left_logs[:count])}
    found = {path.name for path in logs.folder(context.world.home).glob("llm-worker-rbee-*.log*")}
    assert found == wanted, (sorted(found - wanted), sorted(wanted - found))


@then("every log file can be read by its owner only")
def private_logs(context: Context) -> None:
    found = {
        path: path.stat().st_mode & 0o777 for path in logs.folder(context.world.home).iterdir()
    }
    assert len(found) > 2, found
    assert set(found.values()) == {0o600}, found


@then("standard output has {count:d} lines")
def count_lines(context: Context, count: int) -> None:
    found = context.run.stdout.text.splitlines()
    assert len(found) == count, len(found)


@then("each of them begins with its program, or the worker, alone")
def of_one_node(context: Context) -> None:
    """Of several nodes, each would begin with its node, and a slash."""
    found = context.run.stdout.text.splitlines()
    wrong = [line for line in found if not re.match(r"(rbee-hive|worker-\S+) \| ", line)]
    assert found and not wrong, wrong


@then("queen and hive tell the last {count:d} lines to a client that names no number")
def default_lines(context: Context, count: int) -> None:
    world = context.world
    for url in (f"{world.queen_url}/v2/logs?node=localhost", f"{world.hive_url}/v1/logs"):
        stream = world.stream("GET", url)
        assert stream.refused is None, stream.refused
        stream.wait_for_end(within=15)
        assert len(stream.named("log")) == count, (url, len(stream.named("log")))


@when(
    "somebody follows the log of {node} from its last {lines:d} lines on, "
    "and somebody else from now on"
)
def follow_twice(context: Context, node: str, lines: int) -> None:
    """Who wants no old line begins first, and so has begun when the other's old lines are there."""
    context.followed = []
    for count in (0, lines):
        query = f"node={node}&follow=true&lines={count}"
        stream = context.world.stream("GET", f"{context.world.queen_url}/v2/logs?{query}")
        assert stream.refused is None, stream.refused
        context.followed.insert(0, stream)
    context.followed[0].wait_for("log", within=10)


@then("the first sees {count:d} lines marked as past, and then the same new lines as the other")
def marked_as_past(context: Context, count: int) -> None:
    def seen() -> list[list[dict[str, Any]]]:
        return [[event.data for event in each.named("log")] for each in context.followed]

    first, other = wait_until(
        "the same new lines for both",
        seen,
        10,
        lambda both: both[1] and both[0][count:] == both[1],
    )
    past = [line.get("past", False) for line in first]
    assert past == [True] * count + [False] * len(other), first
    context.log_lines = first


@then("every line names {node}, its source, and its time in order")
def lines_complete(context: Context, node: str) -> None:
    lines = context.log_lines
    assert {line["node"] for line in lines} == {node}, lines
    assert {line["source"] for line in lines} <= {_HIVE, context.worker["id"]}, lines
    moments = [line["at"] for line in lines]
    assert moments == sorted(moments), moments
    assert 0 <= log_lines.now() - moments[-1] < 60, moments
