"""What lies between two machines: routers and cables, and what is secret on its way through."""

from behave import given, then, when
from behave.runner import Context

from harness.breaking.partition import Cable
from harness.breaking.router import Router
from harness.watching import secrets
from harness.world.waiting import let_pass


@given("the node {name:S} behind a router that lets only SSH through")
def a_node_behind_a_router(context: Context, name: str) -> None:
    _behind_a_router(context, name, through=[], swallowed=[])


@given("the node {name:S} behind a router that lets SSH and port {port:d} through")
def a_node_behind_a_router_with(context: Context, name: str, port: int) -> None:
    _behind_a_router(context, name, through=[port], swallowed=[])


@given(
    "the node {name:S} behind a router that lets SSH and port {port:d} through"
    " and swallows what comes to {other:d}"
)
def a_node_behind_a_swallower(context: Context, name: str, port: int, other: int) -> None:
    _behind_a_router(context, name, through=[port], swallowed=[other])


def _behind_a_router(context: Context, name: str, through: list[int], swallowed: list[int]) -> None:
    world = context.world
    outside = world.network.address(90)
    world.person.configure(f"{name}.home.arpa", [f"HostName {outside}"])
    node = context.node = world.add_node(name)
    world.closes(Router(outside, node.address, [node.port, *through], swallowed).close)


@given("the node {name:S} at the end of a cable")
def a_node_on_a_cable(context: Context, name: str) -> None:
    context.cable = Cable()
    context.world.when_empty(context.cable.close)
    context.node = context.world.add_node(name, cable=context.cable)


@when("the cable is cut")
def cut(context: Context) -> None:
    context.cable.cut()


@when("the cable is mended")
def mend(context: Context) -> None:
    context.cable.mend()


@when("the cable is cut for {seconds:d} s")
def cut_for(context: Context, seconds: int) -> None:
    context.cable.cut()
    let_pass(seconds)
    context.cable.mend()


@given("the lifelines have a heartbeat of {beat:g} s and a lease of {lease:g} s, on both sides")
def lifelines(context: Context, beat: float, lease: float) -> None:
    for side in (context.world, context.node):
        side.set("times", "lifeline_heartbeat_s", beat)
        side.set("times", "lifeline_lease_s", lease)


@then("no key and no token is in any command line, environment, output, log or command on {name:S}")
def no_secret_there(context: Context, name: str) -> None:
    """Nor in the queen's logs. The key that crosses is made for the node; it is not the queen's."""
    world, node = context.world, context.world.nodes[name]
    (hello,) = node.server.log.hellos
    assert hello["hf_token"] == world.overrides["HF_TOKEN"], "the token did not cross"
    assert hello["api_key"] != world.key, "the node was given the queen's own key"
    for secret in (world.key, hello["api_key"]):
        found = secrets.in_processes(secret, world.processes())
        assert not found, found
    for secret in (world.key, hello["api_key"], hello["hf_token"]):
        found = secrets.in_processes(secret, node.processes())
        found += secrets.in_files(secret, world.root, except_for=world.key_file)
        found += secrets.in_files(secret, world.evidence.folder, except_for=world.key_file)
        found += [command.text for command in node.server.log.commands if secret in command.text]
        assert not found, found


@then("~/.rbee on {name:S} holds no key")
def no_key_there(context: Context, name: str) -> None:
    folder = context.world.nodes[name].home / ".rbee"
    assert folder.is_dir()
    assert not (folder / "api_key").exists()
