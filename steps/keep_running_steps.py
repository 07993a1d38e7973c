"""Daemons that were started to last, and their pid files."""

import json
import shlex

import psutil
from behave import given, then, when
from behave.runner import Context

from harness.breaking import machine_faults
from harness.breaking.machine_faults import SmallDisk, UnrelatedProcess
from harness.world import cluster


@then("one queen runs, the same as before")
def one_queen(context: Context) -> None:
    assert cluster.queens(context.world) == [context.queen]


@then("it says that the queen was started, and where")
def queen_started(context: Context) -> None:
    health = context.world.call("GET", f"{context.world.queen_url}/health").json
    wanted = f"queen-rbee started: {context.world.queen_url}, pid {health['pid']}"
    assert context.run.stdout.text.splitlines() == [wanted], context.run.stdout.text


@then("its JSON says that none runs, and where one would")
def json_of_nobody(context: Context) -> None:
    wanted = {"url": context.world.queen_url, "queen": None, "workers": []}
    assert json.loads(context.run.stdout.text) == wanted, context.run.stdout.text


@then("it is the queen, at its usual address")
def serves(context: Context) -> None:
    ready = context.run.ready()
    assert ready["url"] == context.world.queen_url, ready
    health = context.world.call("GET", f"{context.world.queen_url}/health").json
    assert health["pid"] == context.run.pid, health


@given("the queen's command gives way to others by {steps:d}")
def nice_queen(context: Context, steps: int) -> None:
    argv = ["nice", "-n", str(steps), *context.world.commands.argv("queen")]
    context.world.set("queen", "command", shlex.join(argv))


@then("it gives way to others by {steps:d}")
def gives_way(context: Context, steps: int) -> None:
    found, own = psutil.Process(context.run.pid).nice(), psutil.Process().nice()
    assert own < 19, "the harness itself has the lowest priority"
    assert found == min(own + steps, 19), (found, own)


@then("it says that the queen is running already")
def running_already(context: Context) -> None:
    wanted = f"queen-rbee running already: {context.world.queen_url}, pid {context.queen.pid}"
    assert context.run.stdout.text.splitlines() == [wanted], context.run.stdout.text


@then(
    "it says that the queen runs until told to stop, "
    "with one idle worker, {free:d} of {total:d} slots free"
)
def status_says(context: Context, free: int, total: int) -> None:
    first, worker = context.run.stdout.text.splitlines()
    where = f"{context.world.queen_url}, pid {context.before['queen'].pid};"
    assert where in first and first.endswith("it runs until told to stop"), first
    model = context.worker["model_ref"]
    assert worker.split() == f"localhost {model} idle, {free} of {total} slots free".split(), worker


@then("queen and hive are the operator's")
def the_operators(context: Context) -> None:
    assert context.before["queen"].pid == context.queen_run.pid
    assert context.before["hive"].pid == context.hive_run.pid


@then("nothing but the worker was spawned, by the hive")
def only_the_worker(context: Context) -> None:
    known = {context.queen_run.pid, context.hive_run.pid, context.run.pid}
    new = [process for process in cluster.at_work(context.world) if process.pid not in known]
    assert new == [context.before["worker"]], new
    assert new[0].ppid() == context.hive_run.pid, new[0].ppid()


@then("the hive is still the same process, and only the queen is new")
def nothing_new(context: Context) -> None:
    queen = cluster.process_at(context.world, context.world.queen_url)
    assert queen.pid == context.queen_run.pid != context.before["queen"].pid
    wanted = {queen, context.before["hive"], context.before["worker"]}
    assert cluster.at_work(context.world) == wanted, context.world.processes()


@when("the {program:w}'s pid file names another program that has its pid now")
def pid_reused(context: Context, program: str) -> None:
    context.unrelated = UnrelatedProcess(context.world, program)


@when("the queen's pid file names another program that has its pid now, and listens at its address")
def pid_and_port_reused(context: Context) -> None:
    context.unrelated = UnrelatedProcess(context.world, "queen", context.world.queen_address)


@then("the other program still runs")
def unrelated_program_runs(context: Context) -> None:
    assert context.unrelated.running


@then("the pid file of the queen names the process that listens at its address, and since when")
def pid_file_true(context: Context) -> None:
    url = context.world.queen_url
    process, found = (
        cluster.process_at(context.world, url),
        machine_faults.recorded(context.world, "queen"),
    )
    assert abs(found.pop("started") - process.create_time()) < 1, found
    assert found == {"program": "queen-rbee", "pid": process.pid, "url": url}, found


# Disks


@given("~/.rbee is on a disk of {megabytes:d} MB")
def state_on_small_disk(context: Context, megabytes: int) -> None:
    folder = context.world.home / ".rbee"
    context.disk = SmallDisk(folder, megabytes)
    context.world.add_cleanup(context.disk.close)
    folder.chmod(0o700)


@when("the disk becomes read-only")
def disk_read_only(context: Context) -> None:
    context.disk.forbid_writing()


@then("~/.rbee holds no file that could not be written")
def no_half_written(context: Context) -> None:
    """A draft is hidden until it is whole."""
    files = [path for path in (context.world.home / ".rbee").rglob("*") if path.is_file()]
    names = [path.name for path in files]
    assert SmallDisk.FILLER in names, names
    assert not [name for name in names if name.startswith(".")], names
    assert "bees.json" not in names, names
