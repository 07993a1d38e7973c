"""Work on other machines over SSH: how it is told there, who runs there, who ends when."""

import signal
from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.watching import catalog, keeper_output, registry
from harness.world import arguments, cluster, roles
from harness.world.process_exits import Ending, Endings
from harness.world.waiting import wait_until


@given("the Hub of the node {name:S} has {repository} with {filename}, the {content} model")
def hub_of_node(context: Context, name: str, repository: str, filename: str, content: str) -> None:
    context.hub = context.world.open_hub()
    context.world.nodes[name].more["HF_ENDPOINT"] = context.hub.url
    context.hub.add_repository(repository, {filename: context.shelf.named(content)})


@given("some time has passed since somebody connected to {name:S}")
def time_passed(context: Context, name: str) -> None:
    """The registry has whole seconds."""
    context.row = registry.only_row(context.world)
    wait_until(
        "a second to go by",
        lambda: registry.seconds_ago(context.row["last_connected_unix"]),
        5,
        lambda ago: ago >= 2,
    )


@then("the last connection to {name:S} is newer than before")
def newer(context: Context, name: str) -> None:
    row = registry.only_row(context.world)
    assert row["node_name"] == name, row
    assert row["last_connected_unix"] > context.row["last_connected_unix"], (row, context.row)
    assert row["status"] == "reachable", row


@then("a hive was started on {name:S} over SSH, after the question was asked")
def hive_started(context: Context, name: str) -> None:
    log = context.world.nodes[name].server.log
    starts = [each for each in log.commands if "daemon" in each.text and "--lifeline" in each.text]
    assert len(starts) == 1, log.commands
    assert starts[0].at > context.run.began, (starts, context.run.began)


@then("this is told, in this order")
def told_in_order(context: Context) -> None:
    asked = context.world.start("rbee-hive --version")
    assert asked.wait(within=5) == 0, asked.stderr.text
    version = asked.stdout.text.split()[-1]
    told = iter(keeper_output.narration(context.run.stderr.text))
    for row in context.table:
        words = context.world.expand(row["words"]).replace("<version>", version)
        found = any(words in line for line in told)
        assert found, f"{words!r} is not told, or not there:\n{context.run.stderr.text}"


@then("the worker that was started called back, with its address on {name:S}")
def called_back(context: Context, name: str) -> None:
    row = _row_on(context, name)
    assert urlsplit(str(row["url"])).hostname == context.world.nodes[name].address, row
    line = keeper_output.phase_line(context.run.stderr.text, "registration")
    assert f"{row['worker_id']} at {row['url']}" in line, (line, row)


@then("the loading progress was told, layer by layer")
def layers_told(context: Context) -> None:
    told = [
        data for name, data in keeper_output.events(context.run.stdout.text) if name == "loading"
    ]
    layers = [data["layers_loaded"] for data in told if data["stage"] == "loading_to_vram"]
    assert layers == sorted(layers), layers
    assert len(set(layers)) >= 3, layers
    assert told[-1] == {"stage": "ready"}, told[-1]


@then("the catalog of {name:S} has one row of {reference}, and this machine has none")
def catalog_there(context: Context, name: str, reference: str) -> None:
    node = context.world.nodes[name]
    (row,) = catalog.find(node, "hf", reference)
    assert set(row) == catalog.COLUMNS, row
    assert row["local_path"] == str(node.models / reference.removeprefix("hf:")), row
    assert row["sha256"] == context.hub.blob(reference.rpartition("/")[2]).sha256, row
    assert not catalog.file_of(context.world).exists() or not catalog.rows(context.world)
    assert not catalog.models_on_disk(context.world)


@then(
    'the worker runs on {name:S} with the backend "{backend}" and the device "{device}", '
    "under its hive"
)
def worker_there(context: Context, name: str, backend: str, device: str) -> None:
    context.before = _processes_on(context, name)
    given = arguments.options(context.before["worker"].cmdline())
    assert (given["backend"], given["device"]) == (backend, device), given
    assert context.before["worker"].ppid() == context.before["hive"].pid


@then("the queen lists it as {state:w} on {name:S}")
def listed_on(context: Context, state: str, name: str) -> None:
    rows = wait_until(
        f"the queen to list a worker as {state}",
        lambda: cluster.queens_workers(context.world),
        5,
        lambda rows: [row["state"] for row in rows] == [state],
    )
    started = keeper_output.data_of(context.run.stdout.text, "started")
    assert (rows[0]["node"], rows[0]["worker_id"]) == (name, started["worker_id"]), rows


@when("somebody notes the pids of the queen, and of hive and worker on {name:S}")
def note_pids_on(context: Context, name: str) -> None:
    context.before = _processes_on(context, name)


@then("the queen, and hive and worker on {name:S}, are still the same processes")
def same_on(context: Context, name: str) -> None:
    now = _processes_on(context, name)
    assert now == context.before, (now, context.before)


@when("the endings of all three are watched")
def watch_three(context: Context) -> None:
    context.endings = Endings({role: each.pid for role, each in context.before.items()})


@then("worker and hive ended before the queen, each with 0")
def ended_in_order(context: Context) -> None:
    """Where the kernel is too old to tell how, the order has to do."""
    ended = _below_first(context)
    assert {ending.exit_code for ending in ended} <= {0, None}, ended


@then("worker and hive ended before the queen, none of them by SIGKILL")
def ended_unkilled(context: Context) -> None:
    """SIGTERM may come where a slow machine has not ended the stream at the end of the grace."""
    ended = _below_first(context)
    assert {ending.exit_code for ending in ended} <= {0, -signal.SIGTERM, None}, ended


def _below_first(context: Context) -> list[Ending]:
    ended: list[Ending] = context.endings.all(within=5)
    assert [ending.name for ending in ended] == ["worker", "hive", "queen"], ended
    return ended


def _row_on(context: Context, name: str) -> dict[str, object]:
    rows = [row for row in cluster.queens_workers(context.world) if row["node"] == name]
    assert len(rows) == 1, f"one worker on {name} was expected: {rows}"
    return rows[0]


def _processes_on(context: Context, name: str) -> dict[str, object]:
    """Each found by what /proc says of the node; the worker is the one that the queen lists."""
    world, node = context.world, context.world.nodes[name]
    there = node.processes()
    worker = cluster.process_at(world, str(_row_on(context, name)["url"]))
    hives = [each for each in there if roles.role_of(world, each) == "hive"]
    assert worker in there, (worker, there)
    assert len(hives) == 1, there
    queen = cluster.process_at(world, world.queen_url)
    return {"queen": queen, "hive": hives[0], "worker": worker}
