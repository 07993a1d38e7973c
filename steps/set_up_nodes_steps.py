"""Nodes are added, installed, listed and removed."""

import json
import stat
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.ssh.embedded_server import new_host_key
from harness.watching import footprint, node_installation, node_registry
from harness.watching.node_installation import Repository
from harness.world import processes
from harness.world.user import SshAgent
from harness.world.waiting import wait_until

_LONGEST_S = 400


# Installing


@given("a repository with this version of rbee on its branch {branch:S}")
def a_repository(context: Context, branch: str) -> None:
    context.repository = Repository(context.world, branch)


@given("the repository can't be built")
def a_spoiled_repository(context: Context) -> None:
    context.repository.break_dependencies()


@when("the repository has version {version:S}")
def another_version(context: Context, version: str) -> None:
    context.repository.release(version)


@given("{name:S} has no git and reaches no package index")
def cut_off(context: Context, name: str) -> None:
    node_installation.make_offline(context.world.nodes[name])


@given("the only Python of {name:S} is {version:S}")
def only_python(context: Context, name: str, version: str) -> None:
    node_installation.fake_python(context.world.nodes[name], version)


@given("somebody has a file in the folder ~/{folder} of {name:S}")
def a_file_there(context: Context, folder: str, name: str) -> None:
    context.kept = node_installation.put_notes(context.world.nodes[name], folder)


@when("I install with `{line}`")
def install(context: Context, line: str) -> None:
    context.run = context.world.start(line)
    context.run.wait(_LONGEST_S)


@when("the pid of the hive on {name:S} is noted")
def note_hive(context: Context, name: str) -> None:
    context.noted_hive = context.world.nodes[name].hive()


@when("pip is running on {name:S}")
def pip_at_work(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    wait_until("pip to be at work", lambda: node_installation.pip_processes(node), 120)


@then("the steps {steps} were reported, each naming {name:S}")
def steps_reported(context: Context, steps: str, name: str) -> None:
    reported = node_installation.narrated_steps(context.run.stderr.text, name)
    assert reported == steps.split(", "), context.run.stderr.text


@then("~/{folder} on {name:S} is a clone of the repository, at its branch {branch:S}")
def a_clone(context: Context, folder: str, name: str, branch: str) -> None:
    clone = context.world.nodes[name].home / folder
    assert node_installation.git(clone, "rev-parse", "HEAD") == context.repository.commit
    assert node_installation.git(clone, "branch", "--show-current") == branch
    assert node_installation.git(clone, "status", "--porcelain") == ""


@when("somebody changes {file:S} in ~/{folder:S} on {name:S}")
def change_clone(context: Context, file: str, folder: str, name: str) -> None:
    context.clone = context.world.nodes[name].home / folder
    with (context.clone / file).open("a") as text:
        text.write("mine\n")


@when("somebody commits that there")
def commit_in_clone(context: Context) -> None:
    context.own_commit = node_installation.commit(context.clone, "mine")


@then("~/{folder:S} on {name:S} has that commit")
def has_own_commit(context: Context, folder: str, name: str) -> None:
    found = node_installation.git(context.world.nodes[name].home / folder, "rev-parse", "HEAD")
    assert found == context.own_commit, found


@then("the rbee-hive in ~/{folder} on {name:S} has the version of the repository")
def the_repositorys_version(context: Context, folder: str, name: str) -> None:
    found = node_installation.hive_version(context.world.nodes[name], folder)
    assert found == context.repository.version, found


@then("the rbee-hive in ~/{folder} on {name:S} has the version that runs here")
def the_version_here(context: Context, folder: str, name: str) -> None:
    here = context.world.start("rbee-hive --version")
    assert here.wait(within=10) == 0, here.stderr.text
    found = node_installation.hive_version(context.world.nodes[name], folder)
    assert here.stdout.text.split()[-1] == found, (here.stdout.text, found)


@then("`rbee-keeper update` in ~/{folder:w} on {name:w} finds newer commits")
def finds_newer(context: Context, folder: str, name: str) -> None:
    found = node_installation.update(context.world.nodes[name], folder)
    assert found["newest"] == context.repository.commit[:7], (found, context.repository.commit)
    assert f"/{folder} pull" in found["command"], found


@then("`rbee-keeper update` in ~/{folder:w} on {name:w} finds nothing newer")
def finds_nothing_newer(context: Context, folder: str, name: str) -> None:
    found = node_installation.update(context.world.nodes[name], folder)
    assert found["newest"] == context.repository.commit[:7], (found, context.repository.commit)
    assert found["command"] is None, found


@then("the worker in ~/{folder} on {name:S} can load llama.cpp")
def worker_detects(context: Context, folder: str, name: str) -> None:
    assert node_installation.worker_detects(context.world.nodes[name], folder)


@then("~/{folder} on {name:S} has no finished environment")
def no_environment(context: Context, folder: str, name: str) -> None:
    assert ".venv" not in node_installation.folder_contents(context.world.nodes[name], folder)


@when("the contents of the home folder of {name:S} are noted")
def note_home(context: Context, name: str) -> None:
    context.noted_home = node_installation.home_listing(context.world.nodes[name])


@then("the home folder of {name:S} is unchanged")
def home_as_it_was(context: Context, name: str) -> None:
    found = node_installation.home_listing(context.world.nodes[name])
    assert found == context.noted_home, (found, context.noted_home)


@then("there is nothing but that file in ~/{folder} of {name:S}")
def only_that_file(context: Context, folder: str, name: str) -> None:
    assert node_installation.folder_contents(context.world.nodes[name], folder) == [
        context.kept.name
    ]
    assert context.kept.read_text() == "mine"


@then("the hive on {name:S} is still the same process, and its files are there")
def same_hive(context: Context, name: str) -> None:
    """Its Python is the one of its environment, which must not be removed under it."""
    hive = context.world.nodes[name].hive()
    assert hive == context.noted_hive
    assert Path(hive.cmdline()[0]).exists(), hive.cmdline()


@then("the registry knows the backends of {name:S}")
def backends_known(context: Context, name: str) -> None:
    row = node_registry.only_row(context.world)
    assert row["node_name"] == name, row
    assert (row["backends"], row["devices"]) == (["cpu"], {"cpu": 1}), row
    ended_ago = processes.now() - context.run.began - context.run.took
    assert node_registry.seconds_ago(row["last_connected_unix"]) < ended_ago + 3, (row, ended_ago)


# Adding and listing


@given("on {name:S} the rbee-hive below the folder {folder} finds {count:d} cards for {backend:w}")
def cards_there(context: Context, name: str, folder: str, count: int, backend: str) -> None:
    node = context.world.nodes[name]
    node_installation.add_cards(node, node.path_of(folder) / ".venv" / "bin", backend, count)


@when("a client asks the queen for {method:w} {path} with {{{body}}}")
def ask_queen(context: Context, method: str, path: str, body: str) -> None:
    url, fields = context.world.queen_url + path, json.loads(f"{{{body}}}")
    context.reply = context.world.call(method, url, fields, timeout=20)


@then("the reply has {{{body}}}")
def reply_has(context: Context, body: str) -> None:
    assert context.reply.status == 200, context.reply
    wanted = json.loads(f"{{{body}}}")
    assert {name: context.reply.json.get(name) for name in wanted} == wanted, context.reply.json


@then("the config file has what was noted, and for the node {name:S}")
def config_has_node(context: Context, name: str) -> None:
    ((file, noted),) = context.noted.items()
    text = file.read_text()
    assert text.startswith(noted), text
    expand = context.world.expand
    wanted = {row["key"]: node_registry.parse_value(expand(row["value"])) for row in context.table}
    assert node_registry.in_config_file(text, name) == wanted, text


@when("somebody adds {name:S} with an install path of two lines, the second of which is `{line}`")
def add_with_two_lines(context: Context, name: str, line: str) -> None:
    command = f"rbee-keeper setup add-node --name {name} --ssh-host {name}.home.arpa"
    accept = ["--accept-host-key", context.world.nodes[name].server.fingerprint]
    more = [*accept, "--install-path", f"/opt/rbee\n{line}\n"]
    context.run = context.world.start(command, more=more)


@given("the config file has these settings of [remote]: {words}")
def remote_settings(context: Context, words: str) -> None:
    for word in [] if words == "none" else context.world.expand(words).split(", "):
        key, value = word.split("=")
        context.world.set("remote", key, value)


@given("these lines are added to the config file: [{section:S}] {line}")
def config_section(context: Context, section: str, line: str) -> None:
    context.world.write_config(f"{context.world.config.read_text()}\n[{section}]\n{line}")


@given("these lines are added to the config file")
def config_lines(context: Context) -> None:
    world = context.world
    world.write_config(f"{world.config.read_text()}\n{world.expand(context.text)}")


@given("the config file is a link to one that its group may read")
def linked_config(context: Context) -> None:
    config = context.world.config
    target = config.rename(context.world.home / "dotfiles.toml")
    target.chmod(0o640)
    config.symlink_to(target)
    context.linked_to = target


@then("the config file is still that link, to one that its group may read")
def still_linked(context: Context) -> None:
    config = context.world.config
    assert config.is_symlink() and config.readlink() == context.linked_to, config
    assert stat.S_IMODE(config.stat().st_mode) == 0o640, oct(config.stat().st_mode)


@given("every login on {name:S} is greeted with a line of text and one of JSON")
def a_greeting(context: Context, name: str) -> None:
    context.world.nodes[name].print_at_login(["Welcome to the lab!", '{"event":"greeting"}'])


@then("the registry has one row, of {name:S}, with")
def one_row(context: Context, name: str) -> None:
    row = node_registry.only_row(context.world)
    assert row["node_name"] == name, row
    expand = context.world.expand
    wanted = {
        line["column"]: node_registry.parse_value(expand(line["value"])) for line in context.table
    }
    assert {column: row[column] for column in wanted} == wanted, row
    context.compared = set(wanted)


@then("it has no other column but last_connected_unix")
def no_other_column(context: Context) -> None:
    columns = set(node_registry.only_row(context.world))
    assert columns == context.compared | {"last_connected_unix"}, columns ^ context.compared


@then("the registry has the nodes {one:S} and {other:S}, at hosts of these names")
def two_rows(context: Context, one: str, other: str) -> None:
    rows = {row["node_name"]: row["ssh_host"] for row in node_registry.rows(context.world)}
    assert rows == {name: f"{name}.home.arpa" for name in (one, other)}, rows


@then("its last_connected_unix is now")
def connected_now(context: Context) -> None:
    found = node_registry.only_row(context.world)["last_connected_unix"]
    assert -1 <= node_registry.seconds_ago(found) < 30, found


@then(
    "standard output has a row for {name:S}, with {cells} and this minute,"
    " {hours:d} hours ahead of UTC"
)
def a_listed_row(context: Context, name: str, cells: str, hours: int) -> None:
    lines = context.run.stdout.text.splitlines()
    (row,) = [line for line in lines if line.split()[:1] == [name]]
    missing = [cell for cell in context.world.expand(cells).split(", ") if cell not in row.split()]
    assert not missing, (missing, row)
    assert any(minute in row for minute in node_registry.current_minutes(hours)), row


@then("standard output has the rows of {first:S} and {second:S}, in this order")
def rows_in_order(context: Context, first: str, second: str) -> None:
    _, *rows = context.run.stdout.text.splitlines()
    assert [row.split()[0] for row in rows] == [first, second], rows


@then("the JSON on standard output lists what the registry has")
def json_lists(context: Context) -> None:
    rows = node_registry.rows(context.world)
    assert len(rows) == 2, rows
    assert node_registry.from_json(context.run.stdout.text) == rows


@then("no injected command was run")
def nothing_touched(context: Context) -> None:
    assert not footprint.injected_files(context.world)


# What runs there


@then("everything that listens on {name:S} listens on 127.0.0.1")
def only_local(context: Context, name: str) -> None:
    listeners = processes.listeners(context.world.nodes[name].processes())
    assert len(listeners) == 2, f"a hive and a worker were expected: {listeners}"
    assert {address for address, _ in listeners} == {"127.0.0.1"}, listeners


@given("on {name:S} the programs are also in {first}, {second} and {third}")
def programs_in(context: Context, name: str, first: str, second: str, third: str) -> None:
    node = context.world.nodes[name]
    for folder in (first, second, third):
        node_installation.put_programs(node, node.path_of(folder))


@then("the hive on {name:S} is the program {path}")
def hive_is(context: Context, name: str, path: str) -> None:
    found = node_installation.started_by(context.world.nodes[name].hive())
    assert found == context.world.expand(path), found


@then("the hive on {name:S} was given the key in {path}, and the token {token:S}")
def given_key(context: Context, name: str, path: str, token: str) -> None:
    """On its lifeline, as the SSH server received it."""
    (hello,) = context.world.nodes[name].server.log.hellos
    key = Path(context.world.expand(path)).read_text().strip()
    assert hello["api_key"] == key, "it was given another key"
    assert hello["hf_token"] == token, "it was given another token"


@then("{name:S} was asked what it has")
def asked_what_it_has(context: Context, name: str) -> None:
    commands = [command.text for command in context.world.nodes[name].server.log.commands]
    assert [text for text in commands if "detect" in text], commands


@then("every connection to {inner:S} came through {gate:S}")
def through(context: Context, inner: str, gate: str) -> None:
    node = context.world.nodes[inner]
    asked = context.world.nodes[gate].server.log.forwardings
    asked = [each for each in asked if (each.host, each.port) == (node.address, node.port)]
    assert len(asked) == len(node.server.log.connections) > 0, (asked, node.server.log.connections)


@then("{name:S} was asked to connect to its own hive and worker")
def own_ports(context: Context, name: str) -> None:
    asked = context.world.nodes[name].server.log.forwardings
    assert {each.host for each in asked} == {"127.0.0.1"}, asked
    assert len({each.port for each in asked}) == 2, asked


# The person's SSH


@given("the person's only key is ~/.ssh/{name}")
def another_key_file(context: Context, name: str) -> None:
    context.world.user.move_key(name)


@given("the person's key has a passphrase")
def a_passphrase(context: Context) -> None:
    context.world.user.add_passphrase()


@given("an agent holds {what} key")
def an_agent(context: Context, what: str) -> None:
    other = {"the person's": None, "another": new_host_key()}[what]
    agent = SshAgent(context.world.user, context.world.root, other)
    context.world.add_cleanup(agent.close)
    context.world.extra_environment["SSH_AUTH_SOCK"] = str(agent.socket)


@then("{name:w} was offered the person's key, and no other")
def offered(context: Context, name: str) -> None:
    tried = {each.fingerprint for each in context.world.nodes[name].server.log.authentications}
    assert tried == {context.world.user.fingerprint}, tried


@then("the agent was forwarded to {name:w}")
def forwarded(context: Context, name: str) -> None:
    log = context.world.nodes[name].server.log
    assert log.commands, "nothing ran there"
    assert log.agents, log.commands


@then("the agent was not forwarded to {name:w}")
def not_forwarded(context: Context, name: str) -> None:
    log = context.world.nodes[name].server.log
    assert log.commands, "nothing ran there"
    assert not log.agents, log.agents


@given("~/.ssh/config has for {host}")
def ssh_config(context: Context, host: str) -> None:
    lines = [context.table.headings[0], *(row[0] for row in context.table)]
    context.world.user.configure(host, [context.world.expand(line) for line in lines])


@then("~/.rbee/known_hosts has the key of {name:S}, writable only by its owner")
def kept(context: Context, name: str) -> None:
    file = context.world.home / ".rbee" / "known_hosts"
    node = context.world.nodes[name]
    key = node.server.host_key.export_public_key().split()[1].decode()
    place = node.address if node.port == 22 else f"[{node.address}]:{node.port}"
    assert f"{place} ssh-ed25519 {key}" in file.read_text().splitlines(), file.read_text()
    assert not file.stat().st_mode & 0o022, oct(file.stat().st_mode)


@given("an editor has left the last line of ~/.rbee/known_hosts without its end")
def without_end(context: Context) -> None:
    file = context.world.home / ".rbee" / "known_hosts"
    file.write_text(file.read_text().rstrip("\n"))


@then("the terminal shows the fingerprint of {name:S}")
def fingerprint_on_screen(context: Context, name: str) -> None:
    server = context.world.nodes[name].server
    shown = context.terminal.screen.replace("\n", "")
    assert server.fingerprint in shown, context.terminal.screen
    assert "ssh-ed25519" in shown, context.terminal.screen


@then("~/.ssh/known_hosts is unchanged")
def theirs_untouched(context: Context) -> None:
    assert not (context.world.user.folder / "known_hosts").exists()


@then("the SSH server of {name:S} let nobody in")
def let_nobody_in(context: Context, name: str) -> None:
    assert not context.world.nodes[name].server.log.accepted


@then("the SSH server of {name:S} let nobody in since then")
def let_nobody_in_since(context: Context, name: str) -> None:
    users = context.world.nodes[name].server.log.users
    assert len(users) == context.let_in_before, users
