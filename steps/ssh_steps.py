"""SSH as its two ends see it: the person's ~/.ssh and agent, and each node's server."""

from behave import given, then, when
from behave.runner import Context

from harness.ssh import connection_log
from harness.world.user import Agent
from harness.world.waiting import wait_until

_SLOW_MACHINE_S = 0.5
_FAULTS = {
    "is mute": "mute",
    "swallows connections": "swallow",
    "refuses connections": "refuse",
    "rejects every key": "reject_keys",
    "has another host key now": "change_host_key",
    "drops all connections": "drop_connections",
}


# The person


@given("the person's only key is ~/.ssh/{name}")
def another_key_file(context: Context, name: str) -> None:
    context.world.person.move_key(name)


@given("the person's key has a passphrase")
def a_passphrase(context: Context) -> None:
    context.world.person.protect_key()


@given("an agent holds the person's key")
def an_agent(context: Context) -> None:
    agent = Agent(context.world.person, context.world.root)
    context.world.closes(agent.close)
    context.world.overrides["SSH_AUTH_SOCK"] = str(agent.socket)


@given("~/.ssh/config says of {host}")
def ssh_config(context: Context, host: str) -> None:
    lines = [context.table.headings[0], *(row[0] for row in context.table)]
    context.world.person.configure(host, [context.world.expand(line) for line in lines])


@given("the person's ssh knows the key of {name:S}")
def known(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    context.world.person.knows(node.address, node.port, node.server.host_key)


@then("~/.rbee/known_hosts has the key of {name:S}, for nobody else to write")
def kept(context: Context, name: str) -> None:
    file = context.world.home / ".rbee" / "known_hosts"
    key = context.world.nodes[name].server.host_key.export_public_key().split()[1]
    assert key.decode() in file.read_text().split(), file.read_text()
    assert not file.stat().st_mode & 0o022, oct(file.stat().st_mode)


@then("the terminal shows the fingerprint of {name:S}")
def fingerprint_on_screen(context: Context, name: str) -> None:
    server = context.world.nodes[name].server
    shown = context.terminal.screen.replace("\n", "")
    assert server.fingerprint in shown, context.terminal.screen
    assert "ssh-ed25519" in shown, context.terminal.screen


@then("~/.ssh/known_hosts is as it was")
def theirs_untouched(context: Context) -> None:
    assert not (context.world.person.folder / "known_hosts").exists()


# The node's server


@given("{name:S}'s SSH server {fault}")
@when("{name:S}'s SSH server {fault}")
def breaks(context: Context, name: str, fault: str) -> None:
    server = context.world.nodes[name].server
    context.seen_before = len(server.log.connections)
    context.let_in_before = len(server.log.users)
    getattr(server, _FAULTS[fault])()


@when("after its first connection the SSH server of {name:S} serves again")
def serves_again(context: Context, name: str) -> None:
    server = context.world.nodes[name].server
    wait_until(
        "a connection to be given up",
        lambda: server.log.connections[context.seen_before :],
        15,
        lambda seen: seen and seen[0].closed_at is not None,
    )
    server.open()


@then("the SSH server of {name:S} let {user:w} in with the person's key")
def let_in(context: Context, name: str, user: str) -> None:
    accepted = context.world.nodes[name].server.log.accepted
    assert accepted, "nobody was let in"
    assert {tried.fingerprint for tried in accepted} == {context.world.person.fingerprint}
    assert user == "somebody" or {tried.user for tried in accepted} == {user}, accepted


@then("the SSH server of {name:S} let nobody in")
def let_nobody_in(context: Context, name: str) -> None:
    assert not context.world.nodes[name].server.log.accepted


@then("the SSH server of {name:S} let nobody in since then")
def let_nobody_in_since(context: Context, name: str) -> None:
    users = context.world.nodes[name].server.log.users
    assert len(users) == context.let_in_before, users


@then("the SSH server of {name:S} saw no connection")
def saw_none(context: Context, name: str) -> None:
    assert not context.world.nodes[name].server.log.connections


@then("the SSH server of {name:S} saw {count:d} connection, open for {seconds:g} s")
def saw_one(context: Context, name: str, count: int, seconds: float) -> None:
    seen = context.world.nodes[name].server.log.connections[context.seen_before :]
    assert len(seen) == count, seen
    spans = [connection.span for connection in seen]
    assert all(seconds - 0.2 < span < seconds + _SLOW_MACHINE_S for span in spans), spans


@then(
    "the SSH server of {name:S} saw {count:d} connections, open for {seconds:g} s,"
    " with {first:d} and {second:d} ms in between"
)
def saw_tries(
    context: Context, name: str, count: int, seconds: float, first: int, second: int
) -> None:
    """A pause begins when the try before it is given up, so it can only be longer."""
    saw_one(context, name, count, seconds)
    seen = context.world.nodes[name].server.log.connections[context.seen_before :]
    gaps = connection_log.gaps(seen)
    for gap, pause in zip(gaps, (first / 1000, second / 1000), strict=True):
        assert pause - 0.02 <= gap < pause + _SLOW_MACHINE_S, gaps


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
