"""Other nodes: their SSH servers and networks, how they are added, and what runs on them."""

import shlex
import signal
from pathlib import Path
from urllib.parse import urlsplit

from behave import given, then, when
from behave.runner import Context

from harness.breaking.partition import PortForwarder
from harness.hub.hub import open_hub
from harness.ssh import connection_log
from harness.ssh.node import add_node
from harness.watching import keeper_output, node_installation, node_registry
from harness.watching.standalone_hive import StandaloneHive, add_with_hives
from harness.world import cluster, commands, processes, settings
from harness.world.network import free_port
from harness.world.waiting import wait_until

_SLOW_MACHINE_S = 0.5
_SEEN_LATE_S = 0.12  # the server notices late that a connection has come or gone
# Less than the shortest pause: one that is twice as long is noticed.
_SLOW_PAUSE_S = 0.18
_FAULTS = {
    "is mute": "mute",
    "swallows connections": "swallow",
    "refuses connections": "refuse",
    "rejects every key": "reject_keys",
    "has another host key now": "change_host_key",
    "drops all connections": "drop_connections",
    "serves again": "open",
}


# How a machine becomes a node


@given("the node {name:S}")
def a_node(context: Context, name: str) -> None:
    """A machine with an SSH server. The queen does not know it."""
    context.node = add_node(context.world, name)


@given("the node {name:S}, whose SSH server is at port {port:d}")
def a_node_at_another_port(context: Context, name: str, port: int) -> None:
    context.node = add_node(context.world, name, port=port)


@given("the node {name:S} with OpenSSH")
def an_openssh_node(context: Context, name: str) -> None:
    context.node = add_node(context.world, name, kind="sshd")


@given("the added node {name:S}")
def an_added_node(context: Context, name: str) -> None:
    a_node(context, name)
    context.added_nodes.add(context.world, context.node, lambda: add(context, name))


@given("the added node {name:S}, whose SSH server is at port {port:d}")
def an_added_node_at_another_port(context: Context, name: str, port: int) -> None:
    a_node_at_another_port(context, name, port)
    context.added_nodes.add(context.world, context.node, lambda: add(context, name))


@given("somebody has added {name:S}")
def add(context: Context, name: str) -> None:
    add_with(context, name, "")


@given("somebody has added {name:S} with {flags}")
def add_with(context: Context, name: str, flags: str) -> None:
    _add(context, name, *shlex.split(context.world.expand(flags)))


@given("somebody has added {name:S}, installed in {folder}")
def add_with_install_path(context: Context, name: str, folder: str) -> None:
    _add(context, name, "--install-path", str(context.world.nodes[name].path_of(folder)))


def _add(context: Context, name: str, *flags: str) -> None:
    line = f"rbee-keeper setup add-node --name {name} --ssh-host {name}.home.arpa"
    accept = ["--accept-host-key", context.world.nodes[name].server.fingerprint]
    run = context.world.start(line, more=[*accept, *flags])
    assert run.wait(within=30) == 0, run.stderr.text


@then("the registry has no row")
def no_row(context: Context) -> None:
    assert node_registry.rows(context.world) == []


@given("{name:S} has been added by its hive's address, with a copy of its key")
def added_with_a_copy(context: Context, name: str) -> None:
    world, hive = context.world, context.node_hive
    assert hive.node.name == name
    context.key_before = hive.key
    copy = world.home / "copied-key"
    copy.write_text(hive.key)
    run = world.start(
        f"rbee-keeper setup add-node --name {name} --hive-url {hive.node.hive_url}"
        f" --api-key-file {copy}"
    )
    assert run.wait(within=30) == 0, run.stderr.text


@given("the hive of {name:S} gets another key, and is started again")
def hive_with_another_key(context: Context, name: str) -> None:
    hive = context.node_hive
    hive.run.send(signal.SIGTERM)
    assert hive.run.wait(within=15) == 0, hive.run.stderr.text
    Path(hive.key_file).write_text("z" * 43)
    context.node_hive = StandaloneHive(context.world, context.world.nodes[name])


@given("the file {path} with another key")
def another_key(context: Context, path: str) -> None:
    Path(context.world.expand(path)).write_text("k" * 43 + "\n")


@given("the node {name:S} behind a router that lets {what} through")
def a_node_behind_a_router(context: Context, name: str, what: str) -> None:
    ports = [] if what == "only SSH" else [int(what.removeprefix("SSH and port "))]
    _behind_a_router(context, name, through=ports, swallowed=[])


@given(
    "the node {name:S} behind a router that lets SSH and port {port:d} through"
    " and swallows what comes to {other:d}"
)
def a_node_behind_a_swallower(context: Context, name: str, port: int, other: int) -> None:
    _behind_a_router(context, name, through=[port], swallowed=[other])


def _behind_a_router(context: Context, name: str, through: list[int], swallowed: list[int]) -> None:
    world = context.world
    outside = world.network.address(90)
    world.placeholders["router address"] = outside
    world.placeholders["outside address"] = outside
    world.user.configure(f"{name}.home.arpa", [f"HostName {outside}"])
    node = context.node = add_node(world, name)
    world.add_cleanup(PortForwarder(outside, node.address, [node.port, *through], swallowed).close)


@given("on {name:S} the setting {section:w}.{key:w} is {value}")
def a_setting_there(context: Context, name: str, section: str, key: str, value: str) -> None:
    context.world.nodes[name].set(section, key, settings.value_of(value))


@given("a free port of this machine, <free port>")
def a_free_port(context: Context) -> None:
    context.world.placeholders["free port"] = str(free_port())


# Its installation


@given("{name:S} has no rbee")
def no_rbee(context: Context, name: str) -> None:
    context.world.nodes[name].path = ["/usr/local/bin", "/usr/bin", "/bin"]


@given("version {version} is installed on {name:S}")
def another_version(context: Context, version: str, name: str) -> None:
    node_installation.install_version(context.world.nodes[name], version)


@given("a version with another patch number is installed on {name:S}")
def another_last_part(context: Context, name: str) -> None:
    own = node_installation.version_of(context.world.commands.argv("hive"))
    another_version(context, own.rpartition(".")[0] + ".99", name)


@given("on {name:S} the programs are below the folder {folder} and nowhere else")
def programs_only_in(context: Context, name: str, folder: str) -> None:
    no_rbee(context, name)
    node = context.world.nodes[name]
    node_installation.put_programs(node, node.path_of(folder) / ".venv" / "bin")


@given("on {name:S} the programs are in {folder} and nowhere else")
def programs_just_in(context: Context, name: str, folder: str) -> None:
    no_rbee(context, name)
    node = context.world.nodes[name]
    node_installation.put_programs(node, node.path_of(folder))


@given("the pip of {name:S} has the packages that are installed here, and no index")
def shared_pip(context: Context, name: str) -> None:
    node_installation.share_packages(context.world.nodes[name], context.model_files.wheels)


@given("the Hub of the node {name:S} has {repository} with {filename}, the {content} model")
def hub_of_node(context: Context, name: str, repository: str, filename: str, content: str) -> None:
    context.hub = open_hub(context.world)
    context.world.nodes[name].extra_environment["HF_ENDPOINT"] = context.hub.url
    context.hub.add_repository(repository, {filename: context.model_files.named(content)})


# Its SSH server


@given("the person's ssh knows the key of {name:S}")
def known(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    context.world.user.add_known_host(node.address, node.port, node.server.host_key)


@given("{name:S}'s SSH server {fault}")
@when("{name:S}'s SSH server {fault}")
def breaks(context: Context, name: str, fault: str) -> None:
    server = context.world.nodes[name].server
    context.seen_before = len(server.log.connections)
    context.let_in_before = len(server.log.users)
    getattr(server, _FAULTS[fault])()


@then("the SSH server of {name:S} let {user:w} in with the person's key")
def let_in(context: Context, name: str, user: str) -> None:
    accepted = context.world.nodes[name].server.log.accepted
    assert accepted, "nobody was let in"
    assert {tried.fingerprint for tried in accepted} == {context.world.user.fingerprint}
    assert user == "somebody" or {tried.user for tried in accepted} == {user}, accepted


@then("the SSH server of {name:S} saw no connection")
def saw_none(context: Context, name: str) -> None:
    assert not context.world.nodes[name].server.log.connections


@then("the SSH server of {name:S} saw {count:d} connection, open for {seconds:g} s")
def saw_one(context: Context, name: str, count: int, seconds: float) -> None:
    seen = context.world.nodes[name].server.log.connections[context.seen_before :]
    assert len(seen) == count, seen
    spans = [connection.span for connection in seen]
    assert all(seconds - _SEEN_LATE_S < span < seconds + _SLOW_MACHINE_S for span in spans), spans


@then(
    "the SSH server of {name:S} saw {count:d} connections, open for {seconds:g} s,"
    " with {first:d} and {second:d} ms in between"
)
def saw_tries(
    context: Context, name: str, count: int, seconds: float, first: int, second: int
) -> None:
    """A pause begins when the attempt before it is given up, so it can only be longer."""
    saw_one(context, name, count, seconds)
    seen = context.world.nodes[name].server.log.connections[context.seen_before :]
    gaps = connection_log.gaps(seen)
    for gap, pause in zip(gaps, (first / 1000, second / 1000), strict=True):
        assert pause - _SEEN_LATE_S <= gap < pause + _SLOW_PAUSE_S, gaps


# Hives that an operator started there


@given("a hive that an operator started on {name:S}")
def operators_hive_there(context: Context, name: str) -> None:
    context.node_hive = StandaloneHive(context.world, context.world.nodes[name])


@given("a hive that an operator started on {name:S}, at port {port:d}")
def operators_hive_at(context: Context, name: str, port: int) -> None:
    context.world.nodes[name].hive_port = port
    operators_hive_there(context, name)


@given("the nodes {one:w} and {other:w}, each with a hive that an operator started, are added")
def two_nodes(context: Context, one: str, other: str) -> None:
    context.hives = add_with_hives(context.world, one, other)


@given("each of them has a worker that has answered once")
def two_workers(context: Context) -> None:
    for name in context.hives:
        body = {"node": name, "prompt": "hi", "max_tokens": 2, "temperature": 0}
        cluster.ask(context.world, body)
    context.workers = {name: hive.only_worker() for name, hive in context.hives.items()}
    context.spawned = cluster.at_work(context.world)


@when("the worker on {name:w} is busy with a long answer")
def busy_there(context: Context, name: str) -> None:
    body = {"node": name, "prompt": "hi", "max_tokens": 8000, "ignore_eos": True}
    context.stream = cluster.send_task(context.world, body)
    started = context.stream.wait_for("started", within=20).data
    assert started["worker_id"] == context.workers[name]["id"], started
    context.stream.wait_for("token", within=20)


# What runs there


@then("the hive on {name:S} listens at {where}")
def hive_listens_at(context: Context, name: str, where: str) -> None:
    world, there = context.world, context.world.nodes[name].processes()
    hives = [each for each in there if cluster.role_of(world, each) == "hive"]
    found = [f"{address}:{port}" for address, port in processes.listeners(hives)]
    assert found == [world.expand(where)], found


@then("on {name:S} the hive took another port than {port:d}, at its address")
def hive_listens_elsewhere(context: Context, name: str, port: int) -> None:
    world, node = context.world, context.world.nodes[name]
    hives = [each for each in node.processes() if cluster.role_of(world, each) == "hive"]
    ((address, found),) = processes.listeners(hives)
    assert address == node.address, (address, found)
    assert found != port, (address, found)


@then("the worker that was started called back, with its address on {name:S}")
def called_back(context: Context, name: str) -> None:
    row = _row_on(context, name)
    assert urlsplit(str(row["url"])).hostname == context.world.nodes[name].address, row
    line = keeper_output.phase_line(context.run.stderr.text, "registration")
    assert f"{row['worker_id']} at {row['url']}" in line, (line, row)


@then(
    'the worker runs on {name:S} with the backend "{backend}" and the device "{device}", '
    "under its hive"
)
def worker_there(context: Context, name: str, backend: str, device: str) -> None:
    context.before = _processes_on(context, name)
    given = commands.options(context.before["worker"].cmdline())
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


@when("the pids of the queen, and of hive and worker on {name:S}, are noted")
def note_pids_on(context: Context, name: str) -> None:
    context.before = _processes_on(context, name)


@then("the queen, and hive and worker on {name:S}, are still the same processes")
def same_on(context: Context, name: str) -> None:
    now = _processes_on(context, name)
    assert now == context.before, (now, context.before)


@then("nothing is running on {name:S} after {seconds:d} s")
def empty_after(context: Context, name: str, seconds: int) -> None:
    node = context.world.nodes[name]
    wait_until(
        f"nothing to run on {name}",
        lambda: [processes.describe(process) for process in node.processes()],
        seconds,
        lambda alive: not alive,
    )


def _row_on(context: Context, name: str) -> dict[str, object]:
    rows = [row for row in cluster.queens_workers(context.world) if row["node"] == name]
    assert len(rows) == 1, f"one worker on {name} was expected: {rows}"
    return rows[0]


def _processes_on(context: Context, name: str) -> dict[str, object]:
    """Each is found in the node's /proc; the worker is the one that the queen lists."""
    world, node = context.world, context.world.nodes[name]
    there = node.processes()
    worker = cluster.process_at(world, str(_row_on(context, name)["url"]))
    hives = [each for each in there if cluster.role_of(world, each) == "hive"]
    assert worker in there, (worker, there)
    assert len(hives) == 1, there
    queen = cluster.process_at(world, world.queen_url)
    return {"queen": queen, "hive": hives[0], "worker": worker}
