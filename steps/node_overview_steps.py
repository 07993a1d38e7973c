"""All nodes at once: what is shown of them, and how it is watched."""

import json
import re
import signal

from behave import then, when
from behave.runner import Context

from harness.watching import node_overview
from harness.watching.replies import Metrics
from harness.world import cluster
from harness.world.waiting import wait_until

_SMALL = "hf:lab/small/small.gguf"
_CHANGES = ["idle", "busy", "busy, waits"]
_AGE = re.compile(r"told (\d+) s ago")


@when("the queen has told that some of it has come")
def some_has_come(context: Context) -> None:
    wait_until("some bytes", lambda: node_overview.downloaded(context.world), 10)
    context.asked_before = len(_asked(context))


@then(
    "the JSON shows this machine with its memory, disk and worker, and that download, "
    "as its hive tells them"
)
def shows_this_machine(context: Context) -> None:
    context.shown = json.loads(context.run.stdout.text)
    context.asked_after = len(_asked(context))
    found = list(node_overview.complaints(context.world, context.shown, _SMALL))
    assert not found, "\n".join(found)


@then("meanwhile the node was asked for nothing")
def asked_nothing(context: Context) -> None:
    asked = _asked(context)[context.asked_before : context.asked_after]
    assert not asked, asked


@then("the queen's metrics tell how old that is")
def metrics(context: Context) -> None:
    """The same as the queen's list."""
    world = context.world
    age_s = _told(context)
    [node] = world.call("GET", f"{world.queen_url}/v2/nodes").json["nodes"]
    is_new = node["facts_age_s"] < age_s  # new facts have come in between
    assert is_new or age_s <= node["facts_age_s"] < age_s + 5, (age_s, node)
    assert age_s < 60, age_s


@then("the metrics of queen and hive tell the memory of their own process")
def memory(context: Context) -> None:
    world = context.world
    for url in (world.queen_url, world.hive_url):
        seen = Metrics(world.call("GET", f"{url}/metrics").body.decode())
        told = seen.value("rbee_memory_bytes") / 1_000_000
        is_so = cluster.process_at(world, url).memory_info().rss / 1_000_000
        assert abs(told - is_so) < is_so * 0.1, (url, told, is_so)


@then("the queen shows the worker of the new hive, and no other")
def shows_new_worker(context: Context) -> None:
    row = cluster.only_worker(context.world)
    [node] = context.world.call("GET", f"{context.world.queen_url}/v2/nodes").json["nodes"]
    shown = [each["worker_id"] for each in node["workers"]]
    assert shown == [row["id"]] != [context.worker["id"]], (shown, row, context.worker["id"])


def _asked(context: Context) -> list[str]:
    """What the hive and its worker were asked by the queen, but for the proofs of connections."""
    requests = [*context.hive_proxy.requests, *context.proxy.requests]
    return [each.path for each in requests if not each.path.startswith("/v1/auth/proof")]


@then("standard output shows the same in lines, for a person")
def shows_lines(context: Context) -> None:
    [node] = context.shown["nodes"]
    lines = context.run.stdout.text.splitlines()
    found = list(node_overview.line_complaints(context.world, lines, node))
    assert not found, "\n".join(found)


@when("the hive hangs, and what it has told is a second old")
def hangs(context: Context) -> None:
    cluster.process_at(context.world, context.world.hive_url).suspend()
    context.told_s = wait_until("a second", lambda: _told(context), 5, lambda age_s: age_s >= 1)


@then("standard output says how long ago that was told")
def says_age(context: Context) -> None:
    """The seconds are rounded."""
    age_s = _age(context.run.stdout.text)
    assert context.told_s - 0.5 <= age_s <= _told(context) + 0.5, (context.told_s, age_s)


def _told(context: Context) -> float:
    """How long ago the queen's own metrics say that it was."""
    world = context.world
    seen = Metrics(world.call("GET", f"{world.queen_url}/metrics").body.decode())
    return seen.value("rbee_node_facts_age_seconds", node="localhost")


@when("I start the same with --json")
def start_with_json(context: Context) -> None:
    context.lines = context.world.start("rbee-keeper nodes --watch --json")
    wait_until("the first block", lambda: context.run.stdout.text, 20)
    wait_until("the first line", lambda: context.lines.stdout.text, 20)


@then("so do both pipes")
def pipes_show_busy(context: Context) -> None:
    """The queen looks every half second for each of those that watch."""
    wait_until(
        "busy in both",
        lambda: (
            node_overview.states_in_blocks(context.run.stdout.text)[-1:],
            node_overview.states_in_lines(context.lines.stdout.text)[-1:],
        ),
        20,
        lambda seen: seen == (_CHANGES[1:2], _CHANGES[1:2]),
    )


@when("another keeper watches the nodes")
def another_watches(context: Context) -> None:
    context.watcher = context.world.start("rbee-keeper nodes --watch")
    run = context.watcher
    wait_until(
        "the first block",
        lambda: (run.stdout.text, run.running, run.stderr.text[-500:]),
        20,
        lambda seen: seen[0] or not seen[1],
    )
    assert run.running, run.stderr.text


@when("that keeper is killed")
def kill_watcher(context: Context) -> None:
    context.watcher.send(signal.SIGKILL)


@then("no line there is wider than {columns:d} columns, and the seconds go on")
def narrow(context: Context, columns: int) -> None:
    """A line that is too wide would be broken, and its rest be on the next one. The seconds are
    those since the hive told something: they begin anew when it does."""
    first = _age(context.terminal.screen)
    wait_until(
        "the seconds to go on, in short lines",
        lambda: context.terminal.screen,
        10,
        lambda screen: _age(screen) not in (-1, first) and _fits(screen, columns),
    )


def _fits(screen: str, columns: int) -> bool:
    """Whether a node, its models and its workers stand there, each in a line."""
    lines = [line.rstrip() for line in screen.splitlines() if line.strip()]
    return (
        len(lines) == 4
        and lines[0].startswith("localhost: ")
        and any(line.startswith("  bundled:") for line in lines)
        and all(len(line) < columns for line in lines)
    )


def _age(screen: str) -> int:
    found = _AGE.search(screen)
    return int(found[1]) if found else -1


@then("nothing is left on the terminal")
def clean(context: Context) -> None:
    assert not context.terminal.screen.strip(), context.terminal.screen
    assert b"\x1b[?1049l" in context.terminal.written, context.terminal.written[-200:]
    assert context.terminal.written.count(b"\x1b[?25h") == 1, context.terminal.written[-200:]


@then("the pipe got everything each time that the worker or the queue had changed, and only then")
def blocks(context: Context) -> None:
    states = wait_until(
        "the changes",
        lambda: node_overview.states_in_blocks(context.run.stdout.text),
        10,
        lambda states: node_overview.without_repeats(states) == _CHANGES,
    )
    repeated = node_overview.repeated_blocks(context.run.stdout.text)
    assert states and not repeated, repeated


@then("the JSON in the pipe says the same")
def json_lines(context: Context) -> None:
    wait_until(
        "the changes",
        lambda: node_overview.states_in_lines(context.lines.stdout.text),
        10,
        lambda states: node_overview.without_repeats(states) == _CHANGES,
    )
