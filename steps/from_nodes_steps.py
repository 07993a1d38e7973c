"""Models come from other nodes."""

import psutil
from behave import given, then, when
from behave.runner import Context

from harness.breaking.partition import PortForwarder
from harness.hub.request_log import HubRequest
from harness.ssh.node import Node
from harness.watching import catalog, keeper_output
from harness.watching.standalone_hive import add_with_hives
from harness.world.processes import listeners
from harness.world.waiting import wait_until

_MB = 1_000_000
# What is in the buffers of the connections when they break.
_UNDERWAY_MB = 2.0


@given(
    "the nodes {one:w} and {other:w}, which use this Hub, each with a hive that an operator "
    "started, are added"
)
def two_nodes_with_hub(context: Context, one: str, other: str) -> None:
    _add_nodes(context, one, other)


def _add_nodes(context: Context, *names: str) -> None:
    outside = context.world.network.address(90)

    def prepare(node: Node) -> None:
        node.extra_environment["HF_ENDPOINT"] = context.hub.url
        node.set("auth", "hosts", [outside])

    context.hives = add_with_hives(context.world, *names, prepare=prepare)


@given(
    "the nodes {one:w}, {another:w} and {other:w}, which use this Hub, each with a hive that an "
    "operator started, are added"
)
def three_nodes_with_hub(context: Context, one: str, another: str, other: str) -> None:
    _add_nodes(context, one, another, other)


@given("{name:w} is cut off as soon as one connection has brought {megabytes:d} MB from it")
def dies_after(context: Context, name: str, megabytes: int) -> None:
    """Others reach it through a router."""
    world, hive = context.world, context.hives[name]
    outside, port = world.network.address(90), hive.node.hive_port
    size = megabytes * _MB
    router = PortForwarder(outside, hive.node.address, [port], dies_after=size)
    world.add_cleanup(router.close)
    added = world.start(
        f"rbee-keeper setup add-node --name {name} --hive-url http://{outside}:{port}"
        f" --api-key-file {hive.key_file}"
    )
    assert added.wait(within=30) == 0, added.stderr.text


@when("one byte of {file} on {name:w} changes")
def changes_there(context: Context, file: str, name: str) -> None:
    path = context.world.nodes[name].models / file
    with path.open("r+b") as content:
        content.seek(-1, 2)
        last = content.read(1)
        content.seek(-1, 2)
        content.write(bytes([last[0] ^ 1]))


@when("it is noted what the Hub was asked")
def noted(context: Context) -> None:
    context.asked_before = len(context.hub.log.all())


def _asked_since(context: Context) -> list[HubRequest]:
    return list(context.hub.log.all()[context.asked_before :])


@then("since then the Hub was asked for a listing, and for no file")
def only_a_listing(context: Context) -> None:
    asked = _asked_since(context)
    assert [each.path for each in asked] == ["/api/models/lab/small"], asked


@then("since then the Hub was asked for the rest of {filename}, from about {megabytes:d} MB on")
def rest_was_asked_for(context: Context, filename: str, megabytes: int) -> None:
    """Up to its end, in one transfer."""
    asked = [each for each in _asked_since(context) if each.of_a_file and not each.bounded]
    assert [each.filename for each in asked] == [filename], asked
    assert abs(asked[0].begin / _MB - megabytes) <= (_UNDERWAY_MB if megabytes else 0), asked
    assert asked[0].begin + asked[0].sent == context.hub.blob(filename).size, asked


@then("each progress that was reported names the node {name:w}")
def progress_names(context: Context, name: str) -> None:
    found = _progress(context)
    assert {each.get("from_node") for each in found} == {name}, found


@then("each progress that was reported names no node")
def progress_names_none(context: Context) -> None:
    found = _progress(context)
    assert not [each for each in found if "from_node" in each], found


def _progress(context: Context) -> list[dict[str, object]]:
    events = keeper_output.events(context.run.stdout.text)
    found = [data for name, data in events if name == "download" and data["stage"] == "downloading"]
    assert found, events
    return found


@then("{file} on {name:w} is the one on the Hub")
def is_the_hubs_there(context: Context, file: str, name: str) -> None:
    path = context.world.nodes[name].models / file
    assert catalog.sha256(path) == context.hub.blob(path.name).sha256, path


@then("the catalog of {name:w} has its sha256, for {reference}")
def sum_in_catalog(context: Context, name: str, reference: str) -> None:
    (row,) = catalog.find(context.world.nodes[name], "hf", reference)
    assert row["sha256"] == context.hub.blob(reference.rpartition("/")[2]).sha256, row


@then("{name:w} reached this machine back through its SSH connection, which is no longer possible")
def reached_back(context: Context, name: str) -> None:
    opened = context.world.nodes[name].server.log.ways_back
    assert [each.host for each in opened] == ["127.0.0.1"], opened
    wait_until(
        "the SSH server to listen for nobody any more",
        lambda: [host for host, _ in listeners([psutil.Process()]) if host == "127.0.0.1"],
        5,
        lambda left: not left,
    )
