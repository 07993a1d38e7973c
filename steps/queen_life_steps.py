"""A queen that is stopped, killed, hung, started again; and what her pid file is worth."""

import re
import signal

from behave import given, then, when
from behave.runner import Context

from harness.breaking import reused_pid
from harness.breaking.reused_pid import Innocent
from harness.model_files.shelf import BUNDLED
from harness.world import cluster
from harness.world.processes import alive


@given("a queen that an operator started")
@when("a queen is started again")
def a_queen(context: Context) -> None:
    context.queen_run = context.world.start_daemon("queen-rbee daemon")


@when("the queen dies of SIGKILL")
def queen_dies(context: Context) -> None:
    context.queen_run.send(signal.SIGKILL)
    assert context.queen_run.wait(within=5) == -signal.SIGKILL


@when("the queen gets SIGTERM")
def queen_gets_term(context: Context) -> None:
    context.queen_run.send(signal.SIGTERM)


@then("the queen exits with {code:d}")
def queen_exits(context: Context, code: int) -> None:
    found = context.queen_run.wait(within=20)
    assert found == code, f"exit code {found}: {context.queen_run.stderr.text[-2000:]}"


@given("its hive has one more worker")
def one_more(context: Context) -> None:
    cluster.spawn(context.world, BUNDLED)
    assert len(cluster.workers(context.world)) == 2


@then("it says that the queen of before stopped, with {hives:d} hive and {workers:d} worker")
@then("it says that the queen of before stopped, with {hives:d} hive and {workers:d} workers")
@then("it says that the queen of before stopped, with {hives:d} hives and {workers:d} workers")
def said_stopped(context: Context, hives: int, workers: int) -> None:
    """The pid is that of the process which listened, as /proc had it."""
    ended = f"{_count(hives, 'hive')} and {_count(workers, 'worker')} ended"
    wanted = f"queen-rbee stopped (pid {_pid_of_before(context)}); {ended}"
    assert wanted in context.run.stdout.text.splitlines(), context.run.stdout.text


@then("it says that the queen of before was killed")
def said_killed(context: Context) -> None:
    pid = _pid_of_before(context)
    assert re.search(rf"\(pid {pid}\).*killed", context.run.stdout.text), context.run.stdout.text


@then("the queen is gone, and hive and worker are the same processes")
def only_queen_gone(context: Context) -> None:
    assert not alive(context.before["queen"])
    now = set(context.world.processes())
    assert now == {context.before["hive"], context.before["worker"]}, now


@then("the hive is still the same process, and nothing new but the queen")
def nothing_new(context: Context) -> None:
    queen = cluster.process_at(context.world, context.world.queen_url)
    assert queen.pid == context.queen_run.pid != context.before["queen"].pid
    wanted = {queen, context.before["hive"], context.before["worker"]}
    assert set(context.world.processes()) == wanted, context.world.processes()


@when("{whose:w} pid file names another program that has the pid since")
def pid_reused(context: Context, whose: str) -> None:
    context.innocent = Innocent(context.world, {"her": "queen", "its": "hive"}[whose])


@when("her pid file names another program that has the pid since, and listens at her address")
def pid_and_port_reused(context: Context) -> None:
    context.innocent = Innocent(context.world, "queen", context.world.queen_address)


@then("the other program still runs")
def innocent_lives(context: Context) -> None:
    assert context.innocent.lives


@then("the pid file of the queen names the process that listens at her address")
def pid_file_true(context: Context) -> None:
    found = reused_pid.pid_in(context.world, "queen")
    assert found == cluster.process_at(context.world, context.world.queen_url).pid


def _pid_of_before(context: Context) -> int:
    return int(context.before["queen"].pid)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
