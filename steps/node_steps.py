"""Other machines: that they are there, that the queen was told of them, what runs on them."""

import shlex

from behave import given, then, when
from behave.runner import Context

from harness.watching import injection, registry
from harness.world import processes, settings
from harness.world.network import free_port
from harness.world.waiting import wait_until


@given("the node {name:S}")
def a_node(context: Context, name: str) -> None:
    """A machine with an SSH server. Nobody told the queen of it."""
    context.node = context.world.add_node(name)


@given("the node {name:S} with OpenSSH")
def an_openssh_node(context: Context, name: str) -> None:
    context.node = context.world.add_node(name, kind="sshd")


@given("the added node {name:S}")
def an_added_node(context: Context, name: str) -> None:
    a_node(context, name)
    add(context, name)


@given("the node {name:S} has been added")
@given("somebody has added {name:S}")
def add(context: Context, name: str) -> None:
    add_with(context, name, "")


@given("somebody has added {name:S} with {flags}")
def add_with(context: Context, name: str, flags: str) -> None:
    _add(context, name, *shlex.split(context.world.expand(flags)))


@given("somebody has added {name:S}, installed in {folder}")
def add_with_install_path(context: Context, name: str, folder: str) -> None:
    _add(context, name, "--install-path", str(context.world.nodes[name].inside(folder)))


def _add(context: Context, name: str, *flags: str) -> None:
    line = f"rbee-keeper setup add-node --name {name} --ssh-host {name}.home.arpa"
    accept = ["--accept-host-key", context.world.nodes[name].server.fingerprint]
    run = context.world.start(line, more=[*accept, *flags])
    assert run.wait(within=30) == 0, run.stderr.text


@when("somebody adds {name:S} with an install path of two lines, the second of which is `{line}`")
def add_with_two_lines(context: Context, name: str, line: str) -> None:
    command = f"rbee-keeper setup add-node --name {name} --ssh-host {name}.home.arpa"
    accept = ["--accept-host-key", context.world.nodes[name].server.fingerprint]
    more = [*accept, "--install-path", f"/opt/rbee\n{line}\n"]
    context.run = context.world.start(command, more=more)


# What the config files say


@given("the config file has these settings of [remote]: {words}")
def remote_settings(context: Context, words: str) -> None:
    for word in [] if words == "none" else context.world.expand(words).split(", "):
        key, value = word.split("=")
        context.world.set("remote", key, value)


@given("these lines are added to the config file: [{section:w}] {line}")
def config_lines(context: Context, section: str, line: str) -> None:
    context.world.write_config(f"{context.world.config.read_text()}\n[{section}]\n{line}")


@given("on {name:S} the setting {section:w}.{key:w} is {value}")
def a_setting_there(context: Context, name: str, section: str, key: str, value: str) -> None:
    context.world.nodes[name].set(section, key, settings.value_of(value))


@given("a free port of this machine, <free port>")
def a_free_port(context: Context) -> None:
    context.world.places["free port"] = str(free_port())


@given("every login on {name:S} is greeted with a line of text and one of JSON")
def a_greeting(context: Context, name: str) -> None:
    context.world.nodes[name].noise(["Welcome to the lab!", '{"event":"greeting"}'])


# What the queen keeps


@then("the registry has no row")
def no_row(context: Context) -> None:
    assert registry.rows(context.world) == []


@then("the registry has one row, of {name:S}, with")
def one_row(context: Context, name: str) -> None:
    row = registry.only_row(context.world)
    assert row["node_name"] == name, row
    expand = context.world.expand
    wanted = {line["column"]: registry.value(expand(line["value"])) for line in context.table}
    assert {column: row[column] for column in wanted} == wanted, row


@then("its last_connected_unix is now")
def connected_now(context: Context) -> None:
    found = registry.only_row(context.world)["last_connected_unix"]
    assert -1 <= registry.seconds_ago(found) < 30, found


@then("a row of standard output is for {name:S}, with {cells} and this minute")
def a_listed_row(context: Context, name: str, cells: str) -> None:
    lines = context.run.stdout.text.splitlines()
    (row,) = [line for line in lines if line.split()[:1] == [name]]
    missing = [cell for cell in cells.split(", ") if cell not in row.split()]
    assert not missing, (missing, row)
    assert any(minute in row for minute in registry.this_minute()), row


@then("the JSON on standard output lists what the registry has")
def json_lists(context: Context) -> None:
    rows = registry.rows(context.world)
    assert len(rows) == 2, rows
    assert registry.listed(context.run.stdout.text) == rows


# What lives there


@then("the hive on {name:S} answers at its own address")
def hive_answers(context: Context, name: str) -> None:
    """It was told there what to bind: its own settings say 127.0.0.1."""
    node = context.world.nodes[name]
    assert (node.address, 9200) in processes.listeners(node.processes()), node.processes()


@then("whatever listens on {name:S} does so on 127.0.0.1")
def only_local(context: Context, name: str) -> None:
    listeners = processes.listeners(context.world.nodes[name].processes())
    assert len(listeners) == 2, f"a hive and a worker were expected: {listeners}"
    assert {address for address, _ in listeners} == {"127.0.0.1"}, listeners


@then("hive and worker run on {name:S}")
def hive_and_worker(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    assert len(processes.listeners(node.processes())) == 2, node.processes()


@then("nothing is running on {name:S} after {seconds:d} s")
def empty_after(context: Context, name: str, seconds: int) -> None:
    node = context.world.nodes[name]
    wait_until(
        f"nothing to run on {name}",
        lambda: [processes.describe(process) for process in node.processes()],
        seconds,
        lambda alive: not alive,
    )


@then("nothing was touched")
def nothing_touched(context: Context) -> None:
    assert not injection.touched(context.world)
