"""Routers and cables between two machines, and the versions on both."""

import re
import socket
from itertools import pairwise

from behave import given, then, when
from behave.runner import Context

from harness.breaking.partition import Cable
from harness.ssh.node import add_node
from harness.watching import footprint, keeper_output, logs, node_installation
from harness.world import processes
from harness.world.processes import ProcessExits
from harness.world.waiting import let_pass, wait_until

_PROMPTLY_S = 0.18  # less than the shortest pause between two attempts
_SENT_LATE_S = 0.1  # the limit of an attempt may begin before its first packet
_TOLD_LATE_S = 0.25  # a narrated line passes two programs before it is on the screen
_SLOW_MACHINE_S = 1.5
_STARTS = "POST /v2/hives/start"


@given("the node {name:S} at the end of a cable")
def a_node_on_a_cable(context: Context, name: str) -> None:
    context.cable = Cable()
    context.world.add_late_cleanup(context.cable.close)
    context.node = add_node(
        context.world, name, address=context.cable.far, namespace=context.cable.namespace
    )


@when("the cable is cut")
def cut(context: Context) -> None:
    context.moment = processes.now()
    context.cable.cut()


@when("the cable is connected again")
def mend(context: Context) -> None:
    context.cable.repair()


@when("the cable is cut for {seconds:d} s")
def cut_for(context: Context, seconds: int) -> None:
    context.cable.cut()
    let_pass(seconds)
    context.cable.repair()


@given("the lifelines have a heartbeat of {beat:g} s and a lease of {lease:g} s, on both sides")
def lifelines(context: Context, beat: float, lease: float) -> None:
    for side in (context.world, context.node):
        side.set("times", "lifeline_heartbeat_s", beat)
        side.set("times", "lifeline_lease_s", lease)


@then("no key and no token is in any command line, environment, output, log or command on {name:S}")
def no_secret_there(context: Context, name: str) -> None:
    """Nor in the queen's logs. The node's key is made for the node; it is not the queen's."""
    world, node = context.world, context.world.nodes[name]
    (hello,) = node.server.log.hellos
    assert hello["hf_token"] == world.extra_environment["HF_TOKEN"], "the token did not cross"
    assert hello["api_key"] != world.key, "the node was given the queen's own key"
    for secret in (world.key, hello["api_key"]):
        found = footprint.secret_in_processes(secret, world.processes())
        assert not found, found
    for secret in (world.key, hello["api_key"], hello["hf_token"]):
        found = footprint.secret_in_processes(secret, node.processes())
        found += footprint.secret_in_files(secret, world.root, except_for=world.key_file)
        found += footprint.secret_in_files(secret, world.evidence.folder, except_for=world.key_file)
        found += [command.text for command in node.server.log.commands if secret in command.text]
        assert not found, found


@then("~/.rbee on {name:S} holds no key")
def no_key_there(context: Context, name: str) -> None:
    folder = context.world.nodes[name].home / ".rbee"
    assert folder.is_dir()
    assert not (folder / "api_key").exists()


@then("the hive on {name:S} answers at its own address")
def hive_answers(context: Context, name: str) -> None:
    """The queen passed the address to bind: the hive's own settings say 127.0.0.1."""
    node = context.world.nodes[name]
    assert (node.address, 9200) in processes.listeners(node.processes()), node.processes()


@then("a hive and a worker run on {name:S}")
def hive_and_worker(context: Context, name: str) -> None:
    node = context.world.nodes[name]
    assert len(processes.listeners(node.processes())) == 2, node.processes()


@then("the line of {code:w} names {asking:S} with its version, and {asked:S} with {version:S}")
def names_both(context: Context, code: str, asking: str, asked: str, version: str) -> None:
    """In the error itself: each program, followed by its version before any other number."""
    line = keeper_output.error_line(context.run.stderr.text, code)
    own = node_installation.version_of(context.world.commands.resolve(asking))
    for program, its in ((asking, own), (asked, version)):
        assert re.search(rf"{program}\D*(?<![\d.]){re.escape(its)}(?![\d.]*\d)", line), line


@then("its details give queen-rbee its version, and rbee-hive {version:S}")
def details_name_both(context: Context, version: str) -> None:
    details = context.answer.details
    reported = {
        details["program"]: details["version"],
        details["other_program"]: details["other_version"],
    }
    own = node_installation.version_of(context.world.commands.argv("queen"))
    assert reported == {"queen-rbee": own, "rbee-hive": version}, details


@given("behind the proxy the queen has version {version:S}")
def queen_of_version(context: Context, version: str) -> None:
    own = node_installation.version_of(context.world.commands.argv("queen"))
    context.proxy.rename(own, version)


@then("no task reached the queen")
def no_task(context: Context) -> None:
    assert context.proxy.requests_for("GET", "/health"), context.proxy.requests
    assert not context.proxy.requests_for("POST", "/v2/tasks"), context.proxy.requests


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


# Attempts to connect


@then(
    "{count:d} attempts to connect to {name:S} were seen on the network, "
    "{first:g} and {second:g} s apart"
)
def attempts_seen(context: Context, count: int, name: str, first: float, second: float) -> None:
    node = context.world.nodes[name]
    context.attempts = moments = context.wire.attempts((node.address, node.port))
    assert len(moments) == count, moments
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    for gap, pause in zip(gaps, (first, second), strict=True):
        assert pause - _SENT_LATE_S <= gap < pause + _PROMPTLY_S, gaps


@then("they began {first:d}, {second:d} and {third:d} ms after they were announced")
def announced(context: Context, first: int, second: int, third: int) -> None:
    said = context.run.stderr.moments_of("attempt ")
    begun = context.attempts
    for told, began, delay in zip(said, begun, (first, second, third), strict=True):
        assert -_TOLD_LATE_S <= began - told - delay / 1000 < _PROMPTLY_S, (said, begun)


# The lifeline


@then("the hive on {name:S} was told that this queen owns it")
def told_its_owner(context: Context, name: str) -> None:
    (hello,) = context.world.nodes[name].server.log.hellos
    owner, queen = hello["owner"], context.queen
    told = owner["program"], owner["pid"], owner["host"]
    assert told == ("queen-rbee", queen.pid, socket.gethostname()), owner
    assert abs(owner["started"] - queen.create_time()) < 1, (owner, queen)


@then("it logs from its first line on under the correlation id of that command")
def logs_its_start(context: Context) -> None:
    """By which the queen has logged the request."""
    [asked] = [line for line in context.world.log_of("queen").splitlines() if _STARTS in line]
    (node,) = context.world.nodes.values()
    first, *_ = logs.written(node.home, "rbee-hive")
    assert logs.correlation_of(first) == logs.correlation_of(asked) != "", (first, asked)


@when("the lifeline to {name:S} has had {count:d} heartbeats, {seconds:g} s apart")
def heartbeats(context: Context, name: str, count: int, seconds: float) -> None:
    """As the node's SSH server received them."""
    (lifeline,) = context.world.nodes[name].server.log.lifelines
    seen = len(lifeline.beats)
    wait_until(
        "heartbeats", lambda: len(lifeline.beats) - seen, 3 * count * seconds, lambda n: n >= count
    )
    beats = lifeline.beats[seen : seen + count]
    took = beats[-1] - beats[0]
    least, most = (count - 1) * seconds * 0.9, (count - 1) * seconds * 1.25 + 0.3
    assert least < took < most, beats
    context.endings = ProcessExits({"hive": context.world.nodes[name].hive().pid})


@then("its log says that its owner is gone")
def says_why_it_ended(context: Context) -> None:
    (node,) = context.world.nodes.values()
    written = logs.written(node.home, "rbee-hive")
    assert [line for line in written if "owner is gone" in line], written[-5:]


@then("the hive on {name:S} ends {seconds:g} s after the last heartbeat")
def ends_with_the_lease(context: Context, name: str, seconds: float) -> None:
    (lifeline,) = context.world.nodes[name].server.log.lifelines
    (ending,) = context.endings.all(within=seconds + 10)
    since = ending.at - lifeline.beats[-1]
    assert seconds - 0.1 < since < seconds + _SLOW_MACHINE_S, since
