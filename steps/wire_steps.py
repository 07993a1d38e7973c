"""What the programs say to each other, as it passes on the network.

Where packets can't be read, `context.wire` is None. Scenarios that need it are tagged @wire and
switched off there; a step of a numbered scenario says in its docstring what it believes instead.
"""

from os import getpid
from typing import Any
from urllib.parse import parse_qs

from behave import given, then, when
from behave.runner import Context

from harness.watching import keeper_output, silences, wire
from harness.watching.http_exchange import Exchange
from harness.watching.wire import Wire
from harness.world import cluster, commands
from harness.world.waiting import let_pass, wait_until

_SHUTDOWN = "/v1/admin/shutdown"
_SHUTDOWN_LINE = "told to end: POST /v1/admin/shutdown"
_SLOW_MACHINE_S = 0.9

_PROOF = "/v1/auth/proof"
_OPEN = ("/health", _PROOF)


@given("somebody watches the wire")
def watch_the_wire(context: Context) -> None:
    context.wire = Wire.of(context.world) if wire.available() else None


# Who asked whom, and when


@then("these requests passed, in this order, each answered with its status")
def in_order(context: Context) -> None:
    passed = iter(context.wire.exchanges())
    for row in context.table:
        seen = any(_fits(context, each, row) for each in passed)
        assert seen, (row, context.wire.exchanges())


def _fits(context: Context, each: Exchange, row: Any) -> bool:
    """A caller whose connection was gone at once is unknown."""
    return (
        f"{each.method} {each.path}" == row["request"]
        and each.to == wire.address(_url(context, row["to"]))
        and each.caller in (_pid(context, row["from"]), None)
        and each.status == int(row["status"])
    )


def _url(context: Context, program: str) -> str:
    urls = {"queen": context.world.queen_url, "hive": context.world.hive_url}
    return urls.get(program) or str(context.worker["url"])


def _pid(context: Context, program: str) -> int:
    return int(context.run.pid if program == "keeper" else context.before[program].pid)


@then("the queen asked one of the workers, once, and the others for nothing")
def only_the_needed(context: Context) -> None:
    """Their hive follows their events and checks their health. A proof comes before a question."""
    by_the_hive = {"/v1/events", "/v1/health"}
    asked = {
        row["url"]: [
            f"{each.method} {each.path}"
            for each in context.wire.exchanges(row["url"])
            if each.path != _PROOF
            if each.path not in by_the_hive or each.caller == context.before["queen"].pid
        ]
        for row in context.workers
    }
    assert len(asked) == len(context.workers) > 1, asked
    assert sorted(asked.values())[-1] == ["POST /v1/inference"], asked
    assert sum(map(len, asked.values())) == 1, asked


@when("the hive has asked the worker for its health {count:d} times")
def health_asked(context: Context, count: int) -> None:
    interval = float(context.world.settings["hive"]["health_interval_s"])
    context.checks = wait_until(
        f"{count} health checks",
        lambda: context.wire.requests("GET", "/v1/health", to=context.worker["url"]),
        (count + 1) * (interval + _SLOW_MACHINE_S),
        lambda seen: len(seen) >= count and seen[count - 1].ended_at,
    )[:count]


@then("each check came about {seconds:g} s after the one before, and was answered as healthy")
def regular_checks(context: Context, seconds: float) -> None:
    """Each is due an interval after the one before was, even if that one was late: of the time
    from the first to the last, only the first one's own delay is missing, at most an interval."""
    moments = [each.at for each in context.checks]
    count, took = len(moments) - 1, moments[-1] - moments[0]
    assert (count - 1) * seconds < took < count * seconds + 2 * _SLOW_MACHINE_S, moments
    assert {each.caller for each in context.checks} <= {context.before["hive"].pid, None}
    assert {each.reply_json["status"] for each in context.checks} == {"healthy"}, context.checks


# A worker is told to stop


@then("the hive sent that worker POST /v1/admin/shutdown, once, and it answered {status:d}")
def one_told(context: Context, status: int) -> None:
    """Where packets can't be read, the worker's own log has to do."""
    _told_to_end(context, context.before["hive"].pid, context.worker, status)


@then("the hive sent each worker POST /v1/admin/shutdown, once, and each answered {status:d}")
def each_told(context: Context, status: int) -> None:
    """Where packets can't be read, the worker's own log has to do."""
    for worker in context.workers:
        _told_to_end(context, context.hive_run.pid, worker, status)


def _told_to_end(context: Context, hive: int, worker: dict[str, Any], status: int) -> None:
    if context.wire is None:
        assert _SHUTDOWN_LINE in context.world.log_of(worker["id"])
        return
    (asked,) = context.wire.requests("POST", _SHUTDOWN, to=worker["url"])
    assert asked.status == status, asked
    assert asked.caller in (hive, None), (asked, hive)


# A worker calls back


@then("the worker called the hive back, once, with the five values that /proc and the hive have")
def called_back(context: Context) -> None:
    process = cluster.process_at(context.world, context.worker["url"])
    given = commands.options(process.cmdline())
    wanted = {
        "worker_id": context.worker["id"],
        "url": context.worker["url"],
        "model_ref": context.asked["model"],
        "backend": context.asked["backend"],
        "device": context.asked["device"],
    }
    assert given["worker-id"] == wanted["worker_id"], given
    assert (given["backend"], given["device"]) == (wanted["backend"], str(wanted["device"])), given
    context.callback_exchange = _callback(context)
    assert context.callback_exchange.caller in (process.pid, None), context.callback_exchange
    context.callback = context.callback_exchange.json
    assert context.callback == wanted, (context.callback, wanted)


def _callback(context: Context) -> Exchange:
    hive = context.world.hive_url
    context.wire.wait_for("POST", "/v1/workers/ready", to=hive)
    found: list[Exchange] = context.wire.requests("POST", "/v1/workers/ready", to=hive)
    assert len(found) == 1, found
    return found[0]


@then("the hive acknowledged it with a message")
def acknowledged(context: Context) -> None:
    answered = context.callback_exchange
    assert answered.status == 200, answered
    assert answered.reply_json["message"], answered


@then("the worker does not call back again within {seconds:d} s")
def no_second_callback(context: Context, seconds: int) -> None:
    let_pass(seconds)
    _callback(context)


# What is passed on


@then("one correlation id leads from the keeper's task to {requests}")
def one_correlation_id(context: Context, requests: str) -> None:
    (task,) = context.wire.requests("POST", "/v2/tasks", to=context.world.queen_url)
    own = task.headers["x-correlation-id"]
    assert len(own) >= 8, own
    for words in requests.replace(" and ", ", ").split(", "):
        (asked,) = context.wire.requests(*words.split())
        assert asked.headers["x-correlation-id"] == own, (own, asked)
        assert asked.reply_headers["x-correlation-id"] == own, (own, asked)


@then("every request to a route that is not open had the key in a header, and no URL had it")
def key_in_headers(context: Context) -> None:
    passed = [each for each in context.wire.exchanges() if each.path not in _OPEN]
    assert len(passed) > 5, passed
    own = f"Bearer {context.world.key}"
    assert {each.headers.get("authorization") for each in passed} == {own}, passed
    assert not [e for e in passed if context.world.key in f"{e.path}?{e.query}"], passed


@then("each proof of the key was asked for with a number of its own, of {bits:d} bits")
def proofs_are_new(context: Context, bits: int) -> None:
    asked = [parse_qs(each.query) for each in context.wire.exchanges() if each.path == _PROOF]
    numbers = [bytes.fromhex(query["nonce"][0]) for query in asked]
    assert len(set(numbers)) == len(numbers) > 3, numbers
    assert {8 * len(number) for number in numbers} == {bits}, numbers
    # Of 16 random bytes, as good as never more than half are alike.
    assert all(len(set(number)) > len(number) // 2 for number in numbers), numbers


@then("at least half of the {count:d} tokens passed the queen before the next but one was made")
def relayed_one_by_one(context: Context, count: int) -> None:
    worker = cluster.only_worker(context.world)
    (made,) = context.wire.requests("POST", "/v1/inference", to=worker["url"])
    (relayed,) = context.wire.requests("POST", "/v2/tasks", to=context.world.queen_url)
    at_worker = [event.at for event in made.named("token")]
    at_queen = [event.at for event in relayed.named("token")]
    assert len(at_worker) == len(at_queen) == count, (len(at_worker), len(at_queen))
    assert all(here >= there for here, there in zip(at_queen, at_worker, strict=True))
    at_once = sum(here < later for here, later in zip(at_queen, at_worker[2:], strict=False))
    assert at_once >= count / 2, f"{at_once} of {count}"


# A request is canceled


@then("within {seconds:d} s keeper and queen each sent a DELETE for that request")
def canceled_on_the_wire(context: Context, seconds: int) -> None:
    task = context.wire.wait_for("POST", "/v2/tasks", good=lambda each: each.named("accepted"))
    name = task.named("accepted")[0].data["request_id"]
    ways = (
        (f"/v2/tasks/{name}", context.world.queen_url, context.run.pid),
        (f"/v1/inference/{name}", context.worker["url"], context.before["queen"].pid),
    )
    for path, to, caller in ways:
        asked = context.wire.wait_for("DELETE", path, to=to)
        assert asked.status == 204, asked
        assert asked.caller in (caller, None), asked
        assert 0 <= asked.at - context.moment < seconds, (asked, context.moment)


# A silent stream


@when("queen, hive and worker are listened to, and nothing happens")
def listen_to_all(context: Context) -> None:
    urls = {
        "queen": f"{context.world.queen_url}/v2/events",
        "hive": f"{context.world.hive_url}/v1/events",
        "worker": f"{context.worker['url']}/v1/events",
    }
    context.listened = {role: context.world.stream("GET", url) for role, url in urls.items()}
    assert not [each.refused for each in context.listened.values() if each.refused]


@then(
    "queen and worker have sent {count:d} comments each, {seconds:d} s apart, and no hive is "
    "silent longer"
)
def comments_come(context: Context, count: int, seconds: int) -> None:
    hive = wire.address(context.world.hive_url)
    mine = wait_until(
        f"{count} comments of queen and worker",
        lambda: [
            each
            for each in context.wire.exchanges()
            if each.path.endswith("/events") and each.caller in (getpid(), None)
        ],
        count * (seconds + 2 * _SLOW_MACHINE_S),
        lambda seen: (
            len(seen) == 3 and all(len(each.comments) >= count for each in seen if each.to != hive)
        ),
    )
    for each in mine:
        moments = [event.at for event in each.events]
        silences.judge(each.answered_at or 0.0, moments, each.comments, seconds)


@then("the keeper's summary has as many tokens as passed the queen")
def summary_counts(context: Context) -> None:
    (task,) = context.wire.requests("POST", "/v2/tasks", to=context.world.queen_url)
    summary = keeper_output.summary(context.run.stderr.text)
    assert summary["tokens"] == len(task.named("token")) > 0, summary
