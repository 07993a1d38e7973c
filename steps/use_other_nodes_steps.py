"""A prompt is answered on another node."""

import json
import re
import signal
from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.breaking.machine_faults import occupy_port
from harness.ssh.sleeping import SleepingCard
from harness.watching import catalog, keeper_output, node_registry
from harness.world import cluster
from harness.world.waiting import wait_until

_LONGEST_S = 60
_SLOW_BOOT_S = 15


@given("{name:S} has been added by its hive's address")
def added_by_address(context: Context, name: str) -> None:
    assert context.node_hive.node.name == name
    context.node_hive.add(context.world)


@given("the operator has stopped the hive on {name:S}")
@when("the operator stops the hive on {name:S}")
def stopped(context: Context, name: str) -> None:
    run = context.node_hive.run
    run.send(signal.SIGTERM)
    assert run.wait(within=15) == 0, run.stderr.text


@given("a web site listens at port {port:d} of {name:S}")
def squatter_there(context: Context, port: int, name: str) -> None:
    squatter = occupy_port("a web site", context.world.nodes[name].address, port)
    context.world.add_cleanup(squatter.close)


@then("localhost answered")
def this_machine_answered(context: Context) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    assert started["node"] == "localhost", started


@then("{name:w} answered, with a worker of its own")
def only_it_answered(context: Context, name: str) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    row = context.hives[name].only_worker()
    assert (started["node"], started["worker_id"]) == (name, row["id"]), (started, row)
    assert [hive for hive in context.hives if context.hives[hive].workers()] == [name]


@then("of left and right only {name:w} has a worker")
def only_it_has_a_worker(context: Context, name: str) -> None:
    assert [hive for hive in context.hives if context.hives[hive].workers()] == [name]


@then("the nodes were placed in the order {names}")
def placed(context: Context, names: str) -> None:
    found = keeper_output.placement(context.run.stderr.text)
    assert found == names.split(", "), context.run.stderr.text


@then("the operator's hive on {name:S} answered")
def node_answered(context: Context, name: str) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    row = context.node_hive.only_worker()
    assert (started["node"], started["worker_id"]) == (name, row["id"]), (started, row)


@then("nothing but that hive and its worker is running")
def only_these(context: Context) -> None:
    hive = context.node_hive.process()
    worker = cluster.process_at(context.world, context.node_hive.only_worker()["url"])
    assert cluster.at_work(context.world) == {hive, worker}, context.world.processes()
    assert worker.ppid() == hive.pid, worker


@then("the operator's hive on {name:S} is still the same process")
def same_operators_hive(context: Context, name: str) -> None:
    there = context.world.nodes[name]
    found = cluster.process_at(context.world, there.hive_url)
    assert found.pid == context.node_hive.run.pid, (found, context.node_hive.run.pid)


@then("the operator's hive on {name:S} has exited with {code:d}")
def has_exited(context: Context, name: str, code: int) -> None:
    assert context.node_hive.node.name == name
    run = context.node_hive.run
    assert run.wait(within=5) == code, run.stderr.text


@then("{name:w} answered, with the same worker as before")
def idle_answered(context: Context, name: str) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    wanted = name, context.workers[name]["id"]
    assert (started["node"], started["worker_id"]) == wanted, (started, wanted)


@then("nothing was spawned, and the long answer still streams")
def nobody_spawned(context: Context) -> None:
    assert cluster.at_work(context.world) == context.spawned, json.dumps(
        [str(each) for each in context.world.processes()]
    )
    ports = {urlsplit(row["url"]).port for row in context.workers.values()}
    assert ports == {8001}, ports
    assert context.stream.reading, context.stream.events[-3:]


@given("{name:w} sleeps, and boots within {seconds:d} s of a magic packet")
def sleeps(context: Context, name: str, seconds: int) -> None:
    _card(context, name).sleep(boots_within=seconds)


@given("{name:w} sleeps again, and boots within {seconds:d} s of a magic packet")
def sleeps_again(context: Context, name: str, seconds: int) -> None:
    """Once its hive is gone, which was cut off from its queen."""
    sleeps(context, name, seconds)
    node = context.world.nodes[name]
    wait_until("its hive to end", node.processes, _LONGEST_S, lambda alive: not alive)


@given("{name:w} sleeps, and boots within {seconds:d} s of a magic packet to port {port:d}")
def sleeps_at_port(context: Context, name: str, seconds: int, port: int) -> None:
    _card(context, name, port).sleep(boots_within=seconds)


@given("{name:w} sleeps, and never boots")
def sleeps_for_good(context: Context, name: str) -> None:
    _card(context, name).sleep(boots_within=None)


def _card(context: Context, name: str, port: int = 9) -> SleepingCard:
    if "card" not in context:
        context.card = SleepingCard(context.world.nodes[name], port)
        context.world.add_cleanup(context.card.close)
    card: SleepingCard = context.card
    assert card.port == port, card.port
    return card


@then("{name:w} was sent {count:d} magic packet")
@then("{name:w} was sent {count:d} magic packets")
def was_sent(context: Context, name: str, count: int) -> None:
    assert context.card.packets == count, context.card.packets


@then('both exit with {code:d}, and were told "{first}" and "{last}"')
def both_exit(context: Context, code: int, first: str, last: str) -> None:
    for run in context.two_runs:
        assert run.wait(_LONGEST_S) == code, run.stderr.text
        said = run.stderr.text
        assert context.world.expand(first) in said, said
        assert last in said, said


@then("the one that waited longest was told that it took {seconds:d} s or somewhat more")
def told_how_long(context: Context, seconds: int) -> None:
    said = [run.stderr.text for run in context.two_runs]
    told = [int(word) for text in said for word in re.findall(r"is awake, after (\d+) s", text)]
    assert len(told) == len(said), said
    assert seconds <= max(told) < seconds + _SLOW_BOOT_S, told


@then("each of the hives has one worker, and the long answer still streams")
def one_worker_each(context: Context) -> None:
    now = {name: hive.only_worker()["id"] for name, hive in context.hives.items()}
    assert now == {name: row["id"] for name, row in context.workers.items()}, now
    assert context.stream.reading, context.stream.events[-3:]


@given("some time has passed since somebody connected to {name:S}")
def time_passed(context: Context, name: str) -> None:
    """The registry stores whole seconds."""
    context.row = node_registry.only_row(context.world)
    wait_until(
        "a second to go by",
        lambda: node_registry.seconds_ago(context.row["last_connected_unix"]),
        5,
        lambda ago: ago >= 2,
    )


@then("the last connection to {name:S} is newer than before")
def newer(context: Context, name: str) -> None:
    row = node_registry.only_row(context.world)
    assert row["node_name"] == name, row
    assert row["last_connected_unix"] > context.row["last_connected_unix"], (row, context.row)
    assert row["status"] == "reachable", row


@then("the last connection to {name:S} is the one before")
def same_connection(context: Context, name: str) -> None:
    row = node_registry.only_row(context.world)
    assert row["node_name"] == name, row
    assert row["last_connected_unix"] == context.row["last_connected_unix"], (row, context.row)


@then("a hive was started on {name:S} over SSH, after the question was asked")
def hive_started(context: Context, name: str) -> None:
    log = context.world.nodes[name].server.log
    starts = [each for each in log.commands if "daemon" in each.text and "--lifeline" in each.text]
    assert len(starts) == 1, log.commands
    assert starts[0].at > context.run.began, (starts, context.run.began)


@then("the loading progress was shown, layer by layer")
def layers_reported(context: Context) -> None:
    reported = [
        data for name, data in keeper_output.events(context.run.stdout.text) if name == "loading"
    ]
    layers = [data["layers_loaded"] for data in reported if data["stage"] == "loading_to_vram"]
    assert layers == sorted(layers), layers
    assert len(set(layers)) >= 3, layers
    assert reported[-1] == {"stage": "ready"}, reported[-1]


@then("the catalog of {name:S} has one row for {reference}, and this machine has none")
def catalog_there(context: Context, name: str, reference: str) -> None:
    node = context.world.nodes[name]
    (row,) = catalog.find(node, "hf", reference)
    assert set(row) == catalog.COLUMNS, row
    assert row["local_path"] == str(node.models / reference.removeprefix("hf:")), row
    assert row["sha256"] == context.hub.blob(reference.rpartition("/")[2]).sha256, row
    assert not catalog.database_file(context.world).exists() or not catalog.rows(context.world)
    assert not catalog.models_on_disk(context.world)


def _narrated(context: Context) -> list[dict[str, str]]:
    events = keeper_output.events(context.run.stdout.text)
    said = [data for name, data in events if name == "narration"]
    assert len(said) > 5, events
    return said


@then("each event of the narration names {node:w}")
def narration_names(context: Context, node: str) -> None:
    said = _narrated(context)
    assert {each.get("node") for each in said} == {node}, said


@then("each line of the narration is its actor, its emoji and its text, as the events have them")
def narration_shown(context: Context) -> None:
    told = [f"[{each['actor']}] {each['emoji']} {each['text']}" for each in _narrated(context)]
    shown = keeper_output.narration(context.run.stderr.text)
    progress = [line for line in shown if keeper_output.download_progress(line)]
    assert [line for line in shown if line not in progress] == told, (shown, told)


@then("the error has the worker's last lines, and so has the queen's log")
def last_lines_are_kept(context: Context) -> None:
    error = keeper_output.data_of(context.run.stdout.text, "error")["error"]
    worker, told = error["details"]["worker_id"], error["details"]["log_tail"]
    (node,) = context.world.nodes.values()
    (file,) = (node.home / ".rbee" / "logs").glob(f"*{worker}.log")
    own = file.read_text(encoding="utf-8").splitlines()
    assert told, error
    assert not [line for line in told if line not in own], (told, own)
    kept = f"the last lines of the worker {worker} on {node.name}: "
    assert kept in context.world.log_of("queen")
