"""Who is served first, and what is known of the nodes before anybody asks."""

import json
from functools import partial

from behave import given, then, when
from behave.runner import Context

from harness.watching import logs, node_facts
from harness.watching.named_keys import Holder
from harness.world import cluster
from harness.world.http_client import parse
from harness.world.waiting import wait_until

_LONGEST_S = 60
# So long that the next one begins visibly later, and so short that it costs its key the
# least that a task costs: 16 tokens with those of its prompt.
_SHORT = 10


@when("a task of {name:w} for {tokens:d} tokens streams")
def one_streams(context: Context, name: str, tokens: int) -> None:
    _holder(context, name).asks(tokens).wait_for("token", within=_LONGEST_S)


@when(
    "a task of {name:w} is answered, while another for {tokens:d} tokens waits, which then streams"
)
def one_after_the_other(context: Context, name: str, tokens: int) -> None:
    """The key has used something when the others come, and is never away."""
    first, then_long = _holder(context, name).asks(200), _holder(context, name).asks(tokens)
    then_long.wait_for("token", within=_LONGEST_S)
    first.wait_for("done", within=5)
    assert then_long.named("queued"), then_long.events[:3]


@when("these wait in the queue, one after the other: {names}")
def these_wait(context: Context, names: str) -> None:
    context.waiting = []
    for name in names.split(", "):
        stream = _holder(context, name).asks(_SHORT)
        stream.wait_for("queued", within=10)
        context.waiting.append((name, stream))


@when(
    "these wait: a task of {reader:w} with a prompt of {words:d} words, one of {writer:w} for "
    "{tokens:d} tokens, and one more of each"
)
def readers_wait(context: Context, reader: str, words: int, writer: str, tokens: int) -> None:
    reads, writes = _holder(context, reader), _holder(context, writer)
    long = {"prompt": "bee " * words, "max_tokens": 1}
    context.waiting = []
    asks = (
        (reader, partial(reads.follows, "POST", "/v2/tasks", long)),
        (writer, partial(writes.asks, tokens)),
        (reader, partial(reads.asks, _SHORT)),
        (writer, partial(writes.asks, _SHORT)),
    )
    for name, ask in asks:
        stream = ask()
        stream.wait_for("queued", within=10)
        context.waiting.append((name, stream))


@then("they are told at last the places {places}")
def told_at_last(context: Context, places: str) -> None:
    """Of each task that waits, in the order in which they came."""
    wanted = [int(place) for place in places.split(", ")]

    def told() -> list[int]:
        return [stream.named("queued")[-1].data["position"] for _, stream in context.waiting]

    wait_until(f"the places {places}", told, 5, lambda found: found == wanted)


@then("they are answered in the order {names}")
def answered_in_order(context: Context, names: str) -> None:
    times = [(at, name) for name, each in _started(context).items() for at in each]
    found = [name for _, name in sorted(times)]
    assert found == names.split(", "), found


@then('the last decision is that a task of {name:w} was refused, since "{one}" and "{other}"')
def last_is_refused(context: Context, name: str, one: str, other: str) -> None:
    context.last = _decisions(context)[-1]
    task = _holder(context, name).streams[-1].named("accepted")[0].data["request_id"]
    told = {key: context.last[key] for key in ("request_id", "key", "outcome", "node", "reasons")}
    assert told == {
        "request_id": task,
        "key": name,
        "outcome": "refused",
        "node": None,
        "reasons": [one, other],
    }, context.last


@when("{name:w} sends {count:d} tasks more, each of which is refused")
def sends_more(context: Context, name: str, count: int) -> None:
    context.refused = [context.last["request_id"]]
    for _ in range(count):
        stream = _holder(context, name).asks(1)
        stream.wait_for("error", within=10)
        context.refused.append(stream.named("accepted")[0].data["request_id"])


@then("the last {count:d} decisions are kept, and they are these")
def last_kept(context: Context, count: int) -> None:
    found = [row["request_id"] for row in _decisions(context)]
    assert found == context.refused, (found[:3], context.refused[:3])
    assert len(found) == count, len(found)


@then("the decisions on both name {node:w}, and the correlation ids of their requests")
def decided_on_both(context: Context, node: str) -> None:
    """The queen's log says with which ids it was asked to start a worker and to fetch a model."""
    asked = [
        logs.correlation_of(line)
        for line in logs.written(context.world.home, "queen-rbee")
        if line.endswith(("POST /v2/workers/start", "POST /v2/models/download"))
    ]
    found = [(row["request_id"], row["outcome"], row["node"]) for row in _decisions(context)]
    assert len(asked) == 2, asked
    assert found == [(each, "placed", node) for each in asked], (asked, found)


def _decisions(context: Context) -> list[dict[str, object]]:
    reply = context.world.call("GET", f"{context.world.queen_url}/v2/decisions")
    decisions: list[dict[str, object]] = reply.json["decisions"]
    return decisions


@when("the first task of {name:w} is deleted")
def delete_first(context: Context, name: str) -> None:
    """Of those that have not ended."""
    holder = _holder(context, name)
    assert holder.cancels(next(each for each in holder.streams if each.reading)) == 204


@then("each of them is answered, {one:w} and the first of {other:w} before the second of {flood:w}")
def answered_before(context: Context, one: str, other: str, flood: str) -> None:
    started = _started(context)
    second = started[flood][1]
    assert started[one][0] < second, started
    assert started[other][0] < second, started


@then("the tasks of each key are answered in the order in which they came")
def in_order_of_keys(context: Context) -> None:
    started = _started(context)
    assert all(times == sorted(times) for times in started.values()), started


def _started(context: Context) -> dict[str, list[float]]:
    """When each of those that waited began to be answered, by keys."""
    started: dict[str, list[float]] = {}
    for name, stream in context.waiting:
        stream.wait_for_end(within=_LONGEST_S)
        assert stream.named("done"), stream.events[-3:]
        started.setdefault(name, []).append(stream.named("started")[0].at)
    return started


def _holder(context: Context, name: str) -> Holder:
    holder: Holder = context.holders[name]
    return holder


# What a hive tells of its node


@then("they are told the facts of the node, as the hive answers who asks it")
def told_facts(context: Context) -> None:
    snapshot = context.watched.wait_for("snapshot", within=10)
    facts = snapshot.data["facts"] or context.watched.wait_for("facts", within=10).data
    found = list(node_facts.complaints(context.world, facts))
    assert not found, "\n".join(found)


@then(
    "they are told within {seconds:d} s that {reference:S} is there, "
    "with its size and the memory that it needs"
)
def told_model(context: Context, seconds: int, reference: str) -> None:
    def has(facts: dict[str, list[dict[str, str]]]) -> bool:
        return reference in [each["reference"] for each in facts["models"]]

    facts = context.watched.wait_for("facts", within=seconds, good=has).data
    found = list(node_facts.model_complaints(context.world, facts))
    assert not found, "\n".join(found)


@when("somebody asks the hive to delete {reference:S}")
def delete_model(context: Context, reference: str) -> None:
    url = f"{context.world.hive_url}/v1/models/delete"
    assert context.world.call("POST", url, {"model": reference}).status == 200


@then("they are told within {seconds:d} s that no model is there")
def told_no_model(context: Context, seconds: int) -> None:
    wait_until(
        "facts without a model",
        lambda: context.watched.named("facts")[-1].data["models"],
        seconds,
        lambda models: models == [],
    )


@then("they are told within {seconds:d} s that the memory of that worker is counted")
def told_counted(context: Context, seconds: int) -> None:
    [worker] = context.workers
    _are_counted(context, seconds, [worker["id"]])


@then("they are told within {seconds:d} s that the memory of no worker is counted")
def told_none_counted(context: Context, seconds: int) -> None:
    _are_counted(context, seconds, [])


def _are_counted(context: Context, seconds: int, wanted: list[str]) -> None:
    wait_until(
        f"facts that count {wanted}",
        lambda: [event.data["counted"] for event in context.watched.named("facts")][-1:],
        seconds,
        lambda counted: counted == [wanted],
    )


@when("the queen has seen that worker idle, and I run `{line}`")
def run_again(context: Context, line: str) -> None:
    wait_until(
        "an idle worker",
        lambda: [row["state"] for row in cluster.queens_workers(context.world)],
        10,
        lambda states: states == ["idle"],
    )
    context.asked_before = len(_asked(context))
    context.run = context.world.start(line)
    context.run.wait(_LONGEST_S)


@given("somebody watches the queen's events")
@when("somebody watches the queen's events")
def watch_queen(context: Context) -> None:
    context.queens = context.world.stream("GET", f"{context.world.queen_url}/v2/events")
    assert context.queens.refused is None, context.queens.refused


@then("the queen told its watchers that it lost the hive on {node:w}")
def told_lost(context: Context, node: str) -> None:
    told = context.queens.wait_for("hive_gone", within=10).data
    assert (told["node"], told["how"]) == (node, "lost"), told


@then("it told its watchers that it left a hive with {count:d} worker on {node:w}")
def told_left(context: Context, count: int, node: str) -> None:
    told = context.queens.wait_for("hive_gone", within=10).data
    assert told == {"node": node, "how": "left", "workers": count}, told


@when("the proxy breaks the stream of the hive's events, and lets no other through")
def cut_events(context: Context) -> None:
    context.told_before = len(_told(context))
    context.hive_proxy.cut_events()


@when("the proxy lets streams through again")
def restore_events(context: Context) -> None:
    context.hive_proxy.restore_events()


@then("the queen told within {seconds:d} s that the worker was killed")
def told_killed(context: Context, seconds: int) -> None:
    gone = context.queens.wait_for("worker_gone", within=seconds).data
    assert (gone["worker_id"], gone["exit_code"]) == (context.worker["id"], -9), gone


@then("it asked for what came after the last event, and missed {count:d} event or more")
def resumed(context: Context, count: int) -> None:
    first, again = context.hive_proxy.requests_for("GET", "/v1/events")
    assert (first.last_event, bool(again.last_event)) == ("", True), (first, again)
    told = _told(context)
    assert told[0][0] == "snapshot", told
    (name, data), *later = told[context.told_before :]
    missed = json.loads(data)["missed"]
    assert (name, count <= missed <= len(later)) == ("resumed", True), (name, data, later)
    assert "worker_gone" in [each for each, _ in later[:missed]], later
    assert "snapshot" not in [each for each, _ in later], later


def _told(context: Context) -> list[tuple[str, str]]:
    """Names and data of the hive's events that the queen got."""
    return list(parse(iter(list(context.hive_proxy.events_of_hive))))


@when("the queen has noticed that the hive on {node:S} is gone")
def noticed(context: Context, node: str) -> None:
    words = f"the hive on {node} is gone: "
    log = logs.folder(context.world.home) / "queen-rbee.log"
    wait_until(words, lambda: words in log.read_text(encoding="utf-8"), 20)


@then("meanwhile the node was asked for that answer only")
def asked_only(context: Context) -> None:
    asked = _asked(context)[context.asked_before :]
    assert asked == [("POST", "/v1/inference")], asked


def _asked(context: Context) -> list[tuple[str, str]]:
    """What hive and worker were asked through the proxies, but for the proofs of connections."""
    requests = [*context.hive_proxy.requests, *context.proxy.requests]
    asked = [(each.method, each.path) for each in sorted(requests, key=lambda each: each.at)]
    return [each for each in asked if not each[1].startswith("/v1/auth/proof")]
