"""Workers that a person starts, lists, checks and ends."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
from behave import given, then, when
from behave.runner import Context

from harness.breaking.machine_faults import HeldLifeline
from harness.breaking.usable_cards import UsableCards
from harness.model_files.bundled import BUNDLED
from harness.watching import keeper_output, standalone_worker
from harness.world import cluster, commands, processes
from harness.world.processes import alive
from harness.world.waiting import let_pass, wait_until

# What a start may take longer on a busy machine.
_SLOW_MACHINE_S = 2.5


@then('standard error ends with "{words}"')
def stderr_ends(context: Context, words: str) -> None:
    assert context.run.stderr.text.rstrip().endswith(words), context.run.stderr.text


@then("standard output is exactly {text}")
def stdout_is(context: Context, text: str) -> None:
    assert context.run.stdout.text.strip() == text, context.run.stdout.text


@then("standard output names the only worker, {node:w} and {model} in one line")
def names_worker(context: Context, node: str, model: str) -> None:
    context.worker = _only(context)
    (line,) = context.run.stdout.text.splitlines()
    for word in (context.worker["worker_id"], node, model):
        assert word in line, (word, line)


@then("the queen lists that worker as {state:w} on {node:w}, with {slots:d} slots")
def listed_with_slots(context: Context, state: str, node: str, slots: int) -> None:
    row = _only(context)
    found = row["worker_id"], row["state"], row["node"], row["slots_total"]
    assert found == (context.worker["worker_id"], state, node, slots), row


@then("the worker's command line has a context of {length:d} and {slots:d} slots")
def on_the_command_line(context: Context, length: int, slots: int) -> None:
    process = cluster.process_at(context.world, context.worker["url"])
    given = commands.options(process.cmdline())
    assert (given["context"], given["slots"]) == (str(length), str(slots)), given


@then("the queen lists two workers of that model, one of them the one of before")
def two_of_a_model(context: Context) -> None:
    rows = cluster.queens_workers(context.world)
    assert len({row["worker_id"] for row in rows}) == 2, rows
    assert len({row["model_ref"] for row in rows}) == 1, rows
    assert context.worker["id"] in {row["worker_id"] for row in rows}, rows


@then("the events on standard output are narration, loading and at last one ready")
def events_are(context: Context) -> None:
    names = [name for name, _ in keeper_output.events(context.run.stdout.text)]
    assert set(names) == {"narration", "loading", "ready"}, names
    assert names.index("ready") == len(names) - 1, names


@then("the ready worker is the one that the queen lists")
def ready_is_listed(context: Context) -> None:
    ready = keeper_output.data_of(context.run.stdout.text, "ready")
    assert ready == _only(context), (ready, _only(context))


@then("it has {slots:d} slots, all of them free, and listens at {url}")
def has_slots(context: Context, slots: int, url: str) -> None:
    row = _only(context)
    found = row["slots_total"], row["slots_available"], row["url"]
    assert found == (slots, slots, context.world.expand(url)), row
    given = commands.options(cluster.process_at(context.world, row["url"]).cmdline())
    assert given["slots"] == str(slots), given


@given("a worker's program that can use these cards")
def usable_cards(context: Context) -> None:
    context.usable_cards = UsableCards(context.world, context.card_list)


@then('the worker\'s program was started with the backend "{backend}" and the device "{device}"')
def started_with(context: Context, backend: str, device: str) -> None:
    found = context.usable_cards.started_on()
    assert found == [(backend, device)], found


@then('queen and hive list the worker with the backend "{backend}" and the device {device:d}')
def listed_on_device(context: Context, backend: str, device: int) -> None:
    for row in (_only(context), cluster.only_worker(context.world)):
        assert (row["backend"], row["device"]) == (backend, device), row


@then("nothing but the queen and its hive is running")
def only_queen_and_hive(context: Context) -> None:
    hive = cluster.process_at(context.world, context.world.hive_url)
    wait_until(
        "only the two to live",
        lambda: cluster.at_work(context.world),
        15,
        lambda seen: seen == {context.queen, hive},
    )


@then("it lists the worker of {one:w} as {state:w}, and no other")
def lists_one(context: Context, one: str, state: str) -> None:
    _lists(context, {one: state})


@then(
    "it lists the worker of {one:w} as {first:w} and that of {other:w} as {second:w}, and no other"
)
def lists_two(context: Context, one: str, first: str, other: str, second: str) -> None:
    _lists(context, {one: first, other: second})


def _lists(context: Context, states: dict[str, str]) -> None:
    """Each row: worker, node, model, state, backend, slots."""
    rows = keeper_output.rows(context.run.stdout.text)
    head = rows.pop("WORKER")
    assert head[:3] == ["NODE", "MODEL", "STATE"], head
    wanted = {context.workers[node]["id"]: (node, state) for node, state in states.items()}
    assert {worker: (row[0], row[2]) for worker, row in rows.items()} == wanted, rows
    for worker, row in rows.items():
        (known,) = [each for each in context.workers.values() if each["id"] == worker]
        assert row[1] == known["model_ref"], row
        assert row[3] == f"{known['backend']}:{known['device']}", row
        assert row[4].endswith(f" of {known['slots_total']}"), row


@then("{free:d} of {total:d} slots are free on {one:w}, and {others:d} of {all:d} on {other:w}")
def free_slots(
    context: Context, free: int, total: int, one: str, others: int, all: int, other: str
) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    shown = [rows[context.workers[node]["id"]][4] for node in (one, other)]
    assert shown == [f"{free} of {total}", f"{others} of {all}"], rows


@then("the JSON on standard output is what the hives say of their workers")
def json_is_the_list(context: Context) -> None:
    """One of them is busy, with one of its slots."""
    found = json.loads(context.run.stdout.text)
    wanted = []
    for node, hive in context.hives.items():
        row = dict(hive.only_worker())
        for name in ("last_activity", "last_health", "frees_bytes", "pinned"):
            del row[name]
        wanted.append({"worker_id": row.pop("id"), "node": node, **row})
    assert sorted(row["slots_available"] for row in wanted) == [3, 4], wanted
    assert _by_id(found) == _by_id(wanted), (found, wanted)


@given("{name:w} has one more worker")
def one_more_there(context: Context, name: str) -> None:
    line = f"rbee-keeper worker start --node {name} --model smollm2"
    run = context.world.start(line)
    assert run.wait(within=40) == 0, run.stderr.text
    assert len(context.hives[name].workers()) == 2, context.hives[name].workers()


@then("it shows both workers of {name:w} as healthy, each with the memory that its process holds")
def both_healthy(context: Context, name: str) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    rows.pop("WORKER")
    known = {row["id"]: row for row in context.hives[name].workers()}
    assert set(rows) == set(known), (rows, known)
    for worker, row in rows.items():
        assert (row[0], row[3]) == (name, "healthy"), row
        process = cluster.process_at(context.world, known[worker]["url"])
        reported, resident = (
            float(row[4].removesuffix(" MB")),
            process.memory_info().rss / 1_000_000,
        )
        assert abs(reported - resident) < 0.2 * resident, (reported, resident)


@then("it shows no worker of {name:w}")
def shows_none_of(context: Context, name: str) -> None:
    assert context.workers[name]["id"] not in context.run.stdout.text, context.run.stdout.text


@then("the JSON on standard output has the same two, healthy")
def json_healthy(context: Context) -> None:
    found = {each["worker_id"]: each for each in json.loads(context.run.stdout.text)}
    known = {row["id"]: row for row in context.hives["left"].workers()}
    assert set(found) == set(known), (found, known)
    for worker, each in found.items():
        names = {"node": "left", "status": "healthy", "state": "idle"}
        wanted = {**names, "model_ref": known[worker]["model_ref"]}
        assert {name: each[name] for name in wanted} == wanted, (each, wanted)
        resident = cluster.process_at(context.world, known[worker]["url"]).memory_info().rss
        assert abs(each["memory_bytes"] - resident) < 0.2 * resident, (each, resident)


@when("the worker on {name:w} is suspended")
def stands_still(context: Context, name: str) -> None:
    cluster.process_at(context.world, context.workers[name]["url"]).suspend()


@then("it shows the worker of {one:w} as {first:w}, and that of {other:w} as {second:w}")
def shows_health(context: Context, one: str, first: str, other: str, second: str) -> None:
    rows = keeper_output.rows(context.run.stdout.text)
    reported = {node: rows[context.workers[node]["id"]][3] for node in (one, other)}
    assert reported == {one: first, other: second}, rows


@given("the worker's id is noted as <{place:w}>")
def note_id(context: Context, place: str) -> None:
    context.world.placeholders[place] = context.worker["id"]


@given("the first {count:d} letters of the worker's id are noted as <{place:w}>")
def note_letters(context: Context, count: int, place: str) -> None:
    context.world.placeholders[place] = context.worker["id"].removeprefix("worker-")[:count]


@given("the workers' ids are noted")
def note_ids(context: Context) -> None:
    for name, worker in context.workers.items():
        places = context.world.placeholders
        places[f"worker of {name}"] = worker["id"]
        places[f"beginning of {name}"] = worker["id"][:20]
        places[f"few letters of {name}"] = worker["id"].removeprefix("worker-")[:12]
    context.processes = {
        name: cluster.process_at(context.world, worker["url"])
        for name, worker in context.workers.items()
    }


@then("the worker of {one:w} is gone, and that of {other:w} is not")
def one_is_gone(context: Context, one: str, other: str) -> None:
    assert not alive(context.processes[one])
    assert alive(context.processes[other])
    assert context.hives[one].workers() == []


@then("standard error names both workers")
def names_both(context: Context) -> None:
    rows = cluster.workers(context.world)
    missing = [row["id"] for row in rows if row["id"] not in context.run.stderr.text]
    assert not missing, (missing, context.run.stderr.text)


@then("the hive still has two workers")
def still_two(context: Context) -> None:
    assert len(cluster.workers(context.world)) == 2


# Standby workers


@given("{count:d} standby worker waits")
@then("{count:d} standby worker waits")
@then("{count:d} standby workers wait")
def some_wait(context: Context, count: int) -> None:
    """They have become quiet: what they import is imported."""
    context.standby = wait_until(
        f"{count} standby workers",
        lambda: cluster.standby(context.world),
        60,
        lambda found: len(found) == count and all(_sleeps(each) for each in found),
    )


@then("it was started some {seconds:d} s after the worker had become idle")
def started_after_quiet(context: Context, seconds: int) -> None:
    """Whether one is busy is looked at each second, and so is whether to start. A process began up
    to a second after what psutil says: the kernel tells its own start in whole seconds."""
    (waits,) = context.standby
    quiet = waits.create_time() - cluster.only_worker(context.world)["last_activity"]
    assert seconds - 2.5 < quiet < seconds + 1 + _SLOW_MACHINE_S, quiet


def _sleeps(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() == psutil.STATUS_SLEEPING) and not process.net_connections()
    return False


@then("it lists the standby worker, on {node:w}, with the memory that its process holds")
def lists_standby(context: Context, node: str) -> None:
    (waiting,) = context.standby
    rows = keeper_output.rows(context.run.stdout.text)
    where, model, state, *_ = rows[f"pid {waiting.pid}"]
    assert (where, model) == (node, "-"), rows
    name, megabytes, unit = state.split()
    assert (name, unit) == ("standby,", "MB"), state
    _is_resident(waiting, float(megabytes) * 1_000_000)


@then("the standby worker holds at most {megabytes:d} MB")
def holds_at_most(context: Context, megabytes: int) -> None:
    (waiting,) = context.standby
    assert waiting.memory_info().rss <= megabytes * 1_000_000, waiting.memory_info()


@then("the JSON on standard output has the standby worker, and no other")
def json_has_standby(context: Context) -> None:
    (waiting,) = context.standby
    (row,) = json.loads(context.run.stdout.text)
    assert (row["node"], row["pid"], row["state"]) == ("localhost", waiting.pid, "standby"), row
    _is_resident(waiting, row["memory_bytes"])


def _is_resident(process: psutil.Process, reported: float) -> None:
    resident = process.memory_info().rss
    assert abs(reported - resident) < 0.1 * resident, (reported, resident)


@given("somebody else holds the standby worker's lifeline open")
def hold_standby(context: Context) -> None:
    (waiting,) = context.standby
    HeldLifeline(context.world, waiting)


@then("the worker is the process that waited")
def is_standby(context: Context) -> None:
    (waited,) = context.standby
    assert context.before["worker"] == waited, (context.before["worker"], waited)


@then("the worker is not the process that waited")
def is_not_standby(context: Context) -> None:
    (waited,) = context.standby
    assert context.before["worker"] != waited, waited


@then("the worker's command line is that of a worker that was started with a model")
def like_any_other(context: Context) -> None:
    worker = context.before["worker"]
    assert cluster.role_of(context.world, worker) == "worker", worker.cmdline()
    given = commands.options(worker.cmdline())
    assert "standby" not in given and "lifeline" in given, given
    assert given["worker-id"] == context.worker["id"], given
    assert context.worker["url"].endswith(f":{given['port']}"), given
    assert worker.environ().get(processes.MARK), "the environment is no longer readable"


@when("the hive is asked for {count:d} workers at the same time")
def several_at_once(context: Context, count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(cluster.spawn, context.world, BUNDLED) for _ in range(count)]
        context.urls = [each.result() for each in asked]


@then("each of the {count:d} answers with {tokens:d} tokens")
def each_of_them_answers(context: Context, count: int, tokens: int) -> None:
    assert len(set(context.urls)) == count, context.urls
    for url in context.urls:
        answer = cluster.infer(context.world, url, tokens=tokens)
        assert len(standalone_worker.pieces_of(answer)) == tokens, answer.events


@then("one of the workers is the process that waited, and the other is not")
def one_is_standby(context: Context) -> None:
    (waited,) = context.standby
    found = [cluster.process_at(context.world, url) for url in context.urls]
    assert found.count(waited) == 1, (waited, found)


@when("the standby worker is killed")
def kill_standby(context: Context) -> None:
    (waiting,) = context.standby
    waiting.kill()
    wait_until("it to be gone", lambda: not alive(waiting), 5)


@then("no standby worker was started, nor is within {seconds:d} s")
def none_started(context: Context, seconds: int) -> None:
    assert cluster.standby(context.world) == []
    let_pass(seconds)
    assert cluster.standby(context.world) == []


@then("no standby worker is left after {seconds:d} s")
def none_left(context: Context, seconds: int) -> None:
    wait_until(
        "no standby worker to live",
        lambda: [each.pid for each in context.standby if alive(each)],
        seconds,
        lambda left: not left,
    )
    assert cluster.standby(context.world) == []


@then("the process that waited has ended")
def waited_has_ended(context: Context) -> None:
    (waited,) = context.standby
    wait_until("it to end", lambda: not alive(waited), 5)


def _only(context: Context) -> dict[str, Any]:
    rows = cluster.queens_workers(context.world)
    assert len(rows) == 1, rows
    return rows[0]


def _by_id(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["worker_id"]: row for row in rows}
