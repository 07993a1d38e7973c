"""What stands at the beginning of a scenario."""

from behave import given, when
from behave.runner import Context

from harness.breaking.port_squatters import squat
from harness.breaking.proxy import Wire
from harness.world import cluster, settings


@given("nothing is running")
def nothing_runs_yet(context: Context) -> None:
    assert not context.world.processes()


@given("the setting {section:w}.{key:w} is {value}")
def a_setting(context: Context, section: str, key: str, value: str) -> None:
    context.world.set(section, key, settings.value_of(context.world.expand(value)))


@given("a config file with the line `{line}`")
def a_config_file(context: Context, line: str) -> None:
    context.world.write_config(line.replace("] ", "]\n"))


@given("HOME is {what}")
def home_is(context: Context, what: str) -> None:
    context.world.spoil_home(what)


@given("{squatter} listens at the queen's address")
def a_squatter(context: Context, squatter: str) -> None:
    context.world.closes(squat(squatter, *context.world.queen_address).close)


@given("a queen that lasts")
def a_lasting_queen(context: Context) -> None:
    run = context.world.start("rbee-keeper daemon start")
    assert run.wait(within=15) == 0, run.stderr.text
    context.world.lasts(cluster.queen_health(context.world))
    context.queen = cluster.process_at(context.world, context.world.queen_url)


@given("a queen that lasts, with a worker that has answered once")
def a_warm_worker(context: Context) -> None:
    a_lasting_queen(context)
    run = context.world.start("rbee-keeper infer --prompt hi --max-tokens 2")
    assert run.wait(within=30) == 0, run.stderr.text
    context.before = cluster.processes(context.world)
    context.worker = cluster.wait_for_state(context.world, "idle")


@given("a queen and a hive that an operator started")
def operators_daemons(context: Context) -> None:
    context.hive_run = context.world.start_daemon("rbee-hive daemon")
    context.queen_run = context.world.start_daemon("queen-rbee daemon")


@given("a hive that an operator started")
def operators_hive(context: Context) -> None:
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@given("a wire between keeper and queen")
def a_wire(context: Context) -> None:
    world = context.world
    context.wire = Wire(world.network.address(9), 8080, world.queen_url)
    world.closes(context.wire.close)
    world.set("queen", "url", context.wire.url)


@given("a hive and a queen that an operator started, with a wire between queen and node")
def a_wire_to_the_node(context: Context) -> None:
    """The queen finds the hive, and hears of the worker, under the address of the wires."""
    world = context.world
    context.hive_run = world.start_daemon("rbee-hive daemon")
    hive, instead = world.hive_address[0], world.network.address(9)
    to_hive = Wire(instead, 9200, world.hive_url)
    world.closes(to_hive.close)
    to_hive.rename(f"http://{hive}:8001", f"http://{instead}:8001")
    context.wire = Wire(instead, 8001, f"http://{hive}:8001")
    world.closes(context.wire.close)
    world.set("hive", "host", instead)
    context.queen_run = world.start_daemon("queen-rbee daemon")


@given("the wire {fault} before {event} number {count:d}")
def the_wire_breaks(context: Context, fault: str, event: str, count: int) -> None:
    context.wire.break_task_streams(fault, event, count)


@given("somebody watches the hive's events")
@when("somebody watches the hive's events")
def watch_the_hive(context: Context) -> None:
    context.watched = context.world.stream("GET", f"{context.world.hive_url}/v1/events")
    assert context.watched.refused is None, context.watched.refused
