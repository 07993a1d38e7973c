"""Hives that operators started on other nodes, which the queen knows by address and key."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.watching import keeper_output
from harness.watching.standalone_hive import NodeHive
from harness.world import cluster


@given("a hive that an operator started on {name:S}")
def hive_by_hand(context: Context, name: str) -> None:
    context.node_hive = NodeHive(context.world, context.world.nodes[name])


@given("{name:S} has been added by its hive's address")
def added_by_address(context: Context, name: str) -> None:
    assert context.node_hive.node.name == name
    context.node_hive.add(context.world)


@given("the file {path} with another key")
def another_key(context: Context, path: str) -> None:
    Path(context.world.expand(path)).write_text("k" * 43 + "\n")


@then("{name:S} answered")
def node_answered(context: Context, name: str) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    row = context.node_hive.only_worker()
    assert (started["node"], started["worker_id"]) == (name, row["id"]), (started, row)


@then("nothing but that hive and its worker is running")
def only_these(context: Context) -> None:
    hive = context.node_hive.process()
    worker = cluster.process_at(context.world, context.node_hive.only_worker()["url"])
    assert set(context.world.processes()) == {hive, worker}, context.world.processes()
    assert worker.ppid() == hive.pid, worker


@then("the operator's hive on {name:S} is still the same process")
def same_operators_hive(context: Context, name: str) -> None:
    there = context.world.nodes[name]
    found = cluster.process_at(context.world, there.hive_url)
    assert found.pid == context.node_hive.run.pid, (found, context.node_hive.run.pid)


@then("the worker of the run before answered")
def worker_of_before(context: Context) -> None:
    before, now = (
        keeper_output.data_of(run.stdout.text, "started")
        for run in (context.run_before, context.run)
    )
    assert now["worker_id"] == before["worker_id"], (before, now)


# Two of them


@given("the nodes {one:w} and {other:w}, each with a hive that an operator started, are added")
def two_nodes(context: Context, one: str, other: str) -> None:
    nodes = [context.world.add_node(name) for name in (one, other)]
    context.hives = {node.name: NodeHive(context.world, node) for node in nodes}
    for hive in context.hives.values():
        hive.add(context.world)


@given("each of them has a worker that has answered once")
def two_workers(context: Context) -> None:
    for name in context.hives:
        line = f"rbee-keeper infer --node {name} --prompt hi --max-tokens 2 --temperature 0"
        run = context.world.start(line)
        assert run.wait(within=60) == 0, run.stderr.text
    context.workers = {name: hive.only_worker() for name, hive in context.hives.items()}
    context.spawned = set(context.world.processes())


@when("the worker on {name:w} is busy with a long answer")
def busy_there(context: Context, name: str) -> None:
    body = {"node": name, "prompt": "hi", "max_tokens": 8000, "ignore_eos": True}
    context.stream = context.world.stream("POST", f"{context.world.queen_url}/v2/tasks", body)
    assert context.stream.refused is None, context.stream.refused
    started = context.stream.wait_for("started", within=20).data
    assert started["worker_id"] == context.workers[name]["id"], started
    context.stream.wait_for("token", within=20)


@then("{name:w} answered, with the worker of before")
def idle_answered(context: Context, name: str) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    wanted = name, context.workers[name]["id"]
    assert (started["node"], started["worker_id"]) == wanted, (started, wanted)


@then("nobody was spawned, and the long answer still streams")
def nobody_spawned(context: Context) -> None:
    assert set(context.world.processes()) == context.spawned, json.dumps(
        [str(each) for each in context.world.processes()]
    )
    ports = {urlsplit(row["url"]).port for row in context.workers.values()}
    assert ports == {8001}, ports
    assert context.stream.reading, context.stream.events[-3:]
