"""Two queens that use the same node, and know nothing of each other."""

import json
import socket
from itertools import accumulate
from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.breaking.graphics_card import Card, Cards
from harness.breaking.usable_cards import UsableCards
from harness.ssh.node import Node
from harness.watching.other_queen import OtherQueen
from harness.watching.replies import Metrics
from harness.watching.standalone_hive import add_with_hives, start_owned_hive
from harness.watching.task_list import id_of
from harness.world import cluster
from harness.world.http_client import EventStream
from harness.world.waiting import wait_until

_LONG, _SHORT = 1900, 12
_LONGEST_S = 90
_TAKES_MIB = 150  # as in making_room_steps.py


@given("another queen, of somebody else who has added {name:S} too")
def another_queen(context: Context, name: str) -> None:
    assert context.node_hive.node.name == name
    context.other_queen = OtherQueen(context.world, context.node_hive)


@given("a graphics card on {name:S} that has room for {count:d} worker")
def card_there(context: Context, name: str, count: int) -> None:
    _put_card(context.world.nodes[name], count)


@given(
    "the nodes {one:w} and {other:w}, each with a hive that an operator started, are added, "
    "and a card with room for {few:d} and {more:d} workers"
)
def two_with_cards(context: Context, one: str, other: str, few: int, more: int) -> None:
    counts = {one: few, other: more}

    def prepare(node: Node) -> None:
        node.set("worker", "context", 2048)
        _put_card(node, counts[node.name])

    context.hives = add_with_hives(context.world, one, other, prepare=prepare)


def _put_card(node: Node, count: int) -> None:
    total = count * _TAKES_MIB + 50
    card = Card("NVIDIA GeForce RTX 4060", total, total)
    Cards(node, [card], each_takes=_TAKES_MIB)
    UsableCards(node, [card])


@given("a hive that another queen has started here, with the same key")
def owned_hive(context: Context) -> None:
    """The harness holds its lifeline."""
    context.hive_run = start_owned_hive(context.world)


@given("a hive that this queen has started here, and from which it was cut off")
def cut_off_hive(context: Context) -> None:
    """The harness holds its lifeline in the queen's name."""
    pid_file = context.world.home / ".rbee" / "queen-rbee.pid"
    queen = json.loads(pid_file.read_text())
    owner = {"program": "queen-rbee", "pid": queen["pid"], "started": queen["started"]}
    owner["host"] = socket.gethostname()
    context.hive_run = start_owned_hive(context.world, owner)


@then("that hive has exited with {code:d}, and the queen has started another one")
def gave_way(context: Context, code: int) -> None:
    assert context.hive_run.wait(within=5) == code, context.hive_run.stderr.text
    world = context.world
    hive = cluster.process_at(world, world.hive_url)
    assert hive.ppid() == cluster.queen_health(world)["pid"], hive


@then('standard error names the owner of that hive, and says "{words}"')
def names_owner(context: Context, words: str) -> None:
    world = context.world
    owner = world.call("GET", f"{world.hive_url}/v1/node").json["owner"]
    who = f"belongs to {owner['program']} (pid {owner['pid']} on {owner['host']})"
    said = context.run.stderr.text
    assert f"the hive at {world.hive_url} {who}: {words}" in said, said


@then("that hive told of no worker, and still runs")
def left_alone(context: Context) -> None:
    told = {event.name for event in context.watched.events}
    assert told <= {"snapshot", "facts"}, told
    assert cluster.process_at(context.world, context.world.hive_url).pid == context.hive_run.pid


# What is asked


@when("each queen has a long answer of {name:S} that streams, the other after the first")
def both_stream(context: Context, name: str) -> None:
    context.long = []
    for which in ("first", "other"):
        context.long.append(_ask(context, which, _LONG, node=name))
        context.long[-1].wait_for("token", within=_LONGEST_S)
    context.attics_worker = context.node_hive.only_worker()


@when("each queen is asked for {count:d} short answers of {name:S}")
def both_are_asked(context: Context, count: int, name: str) -> None:
    context.short = {
        which: [_ask(context, which, _SHORT, node=name) for _ in range(count)]
        for which in ("first", "other")
    }
    for stream in [each for streams in context.short.values() for each in streams]:
        stream.wait_for("queued", within=10)


@when("the first queen has a long answer of {model:w} on {name:S} that streams")
def first_streams(context: Context, model: str, name: str) -> None:
    context.long = [_ask(context, "first", _LONG, node=name, model=_reference(model))]
    context.long[0].wait_for("token", within=_LONGEST_S)
    context.attics_worker = context.node_hive.only_worker()


@when("the {which:w} queen is asked for a short answer of {model:w} on {name:S}")
def one_is_asked(context: Context, which: str, model: str, name: str) -> None:
    context.asked = _ask(context, which, _SHORT, node=name, model=_reference(model))


@when("the long answers are deleted")
@when("the long answer is deleted")
def long_deleted(context: Context) -> None:
    for which, stream in zip(("first", "other"), context.long, strict=False):
        assert not stream.named("done"), stream.events[-1:]
        _call(context, which, "DELETE", f"/v2/tasks/{id_of(stream)}")


@when("the other queen is ended by its person")
def other_ends(context: Context) -> None:
    context.attics_worker = context.node_hive.only_worker()
    context.other_queen.end()


# What each of them tells


@then('each queen lists its own tasks only, and why {count:d} of them wait: "{reason}"')
def lists_own(context: Context, count: int, reason: str) -> None:
    """Now and then the next one tries whether a slot of the other queen is free."""
    for which, long in zip(("first", "other"), context.long, strict=True):
        short = context.short[which]
        assert len(short) == count
        wanted = [(id_of(long), "running"), *((id_of(each), "waiting") for each in short)]
        rows = _rows_once(context, which, wanted)
        assert [row["position"] for row in rows] == [None, *range(1, count + 1)], rows
        assert [row["node"] for row in rows] == ["attic"] * len(rows), rows
        assert [row["reasons"] for row in rows[1:]] == [[reason]] * count, rows


def _rows_once(context: Context, which: str, wanted: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The tasks of a queen, once they have these states."""
    return wait_until(
        "each of them to wait",
        lambda: list(_call(context, which, "GET", "/v2/tasks")["tasks"]),
        5,
        lambda rows: [(row["request_id"], row["state"]) for row in rows] == wanted,
    )


@then("each queen lists the only worker of {name:S} as its hive does, with {busy:d} busy slots")
def lists_worker(context: Context, name: str, busy: int) -> None:
    row = context.node_hive.only_worker()
    assert row["slots_total"] - row["slots_available"] == busy, row
    for which in ("first", "other"):
        told = _call(context, which, "GET", f"/v2/workers/list?node={name}")["workers"]
        [known] = _nodes(context, which)[name]["workers"]
        wanted = {key: row[key] for key in ("state", "model_ref", "slots_total", "slots_available")}
        wanted |= {"node": name, "worker_id": row["id"]}
        for each in (*told, known):
            assert {key: each[key] for key in wanted} == wanted, (each, row)
        assert len(told) == 1, told


@then("the metrics of the first queen have the age of what {name:S} told, and of nothing else")
def has_age(context: Context, name: str) -> None:
    text = context.world.call("GET", f"{context.world.queen_url}/metrics").body.decode()
    ages = Metrics(text).by_label("rbee_node_facts_age_seconds", "node")
    assert list(ages) == [name], ages
    assert ages[name] < _LONGEST_S, ages


@then('the other queen says why it waits: "{reason}"')
def says_why(context: Context, reason: str) -> None:
    context.asked.wait_for("queued", within=30)
    [row] = _call(context, "other", "GET", "/v2/tasks")["tasks"]
    assert row["request_id"] == id_of(context.asked), row
    assert (row["state"], row["reasons"]) == ("waiting", [reason]), row


# How they are answered


@then("all {count:d} are answered, and never more than {most:d} at the same moment")
def all_answered(context: Context, count: int, most: int) -> None:
    streams = [each for streams in context.short.values() for each in streams]
    assert len(streams) == count
    changes = []
    for stream in streams:
        stream.wait_for_end(_LONGEST_S)
        assert len(stream.named("done")) == 1, stream.events[-3:]
        tokens = stream.named("token")
        assert len(tokens) == _SHORT, stream.events
        changes += [(tokens[0].at, 1), (tokens[-1].at, -1)]
    at_once = max(accumulate(change for _, change in sorted(changes)))
    assert 1 <= at_once <= most, (at_once, sorted(changes))


@then("{name:S} has the same worker as before")
def same_worker(context: Context, name: str) -> None:
    assert context.node_hive.node.name == name
    assert context.node_hive.only_worker()["id"] == context.attics_worker["id"]


@then("{name:S} has the same worker as before, and the long answer still streams")
def same_and_streams(context: Context, name: str) -> None:
    same_worker(context, name)
    [stream] = context.long
    seen = len(stream.named("token"))
    wait_until("more tokens", lambda: len(stream.named("token")), 10, lambda now: now > seen)
    assert not stream.named("done"), stream.events[-1:]


@then("the other queen is answered by a worker of {one:w}, for which it ended that of {two:w}")
def answered_after(context: Context, one: str, two: str) -> None:
    worker = _answered(context)
    row = context.node_hive.only_worker()
    assert (row["id"], row["model_ref"]) == (worker, _reference(one)), row
    told = [event.data["text"] for event in context.asked.named("narration")]
    ending = [text for text in told if text.startswith("making room: ")]
    assert len(ending) == 1, told
    for words in (context.attics_worker["id"], _reference(two), " on attic"):
        assert words in ending[0], ending


@then("the worker that the other queen has started answers")
def others_worker_answers(context: Context) -> None:
    assert _answered(context) == context.attics_worker["id"]


def _answered(context: Context) -> str:
    """By which worker."""
    stream = context.asked
    stream.wait_for_end(_LONGEST_S)
    assert len(stream.named("done")) == 1, stream.events[-3:]
    return str(stream.named("started")[0].data["worker_id"])


# Which queen


def _ask(context: Context, which: str, tokens: int, **fields: object) -> EventStream:
    body = {"prompt": "Bees are", "max_tokens": tokens, "ignore_eos": True, **fields}
    if which == "other":
        other: OtherQueen = context.other_queen
        return other.ask(body)
    return cluster.send_task(context.world, body)


def _call(context: Context, which: str, method: str, path: str) -> Any:
    if which == "other":
        return context.other_queen.call(method, path)
    reply = context.world.call(method, f"{context.world.queen_url}{path}")
    assert reply.status < 300, reply
    return reply.json if reply.body else None


def _nodes(context: Context, which: str) -> dict[str, Any]:
    return {each["node"]: each for each in _call(context, which, "GET", "/v2/nodes")["nodes"]}


def _reference(model: str) -> str:
    return f"hf:lab/{model}/{model}.gguf"
