"""Who lives, who ends, in which order, and what is left."""

import signal
from urllib.parse import urlsplit

from behave import then, when
from behave.runner import Context

from harness.watching import keeper_output, secrets
from harness.world import cluster
from harness.world.process_exits import Endings
from harness.world.processes import alive
from harness.world.waiting import wait_until


@then("nothing is running")
def nothing_is_running(context: Context) -> None:
    context.world.wait_until_empty(within=0)


@then("nothing is running after {seconds:d} s")
def nothing_after(context: Context, seconds: int) -> None:
    context.world.wait_until_empty(within=seconds)


@when("somebody notes the pids of queen, hive and worker")
def note_the_pids(context: Context) -> None:
    context.before = cluster.processes(context.world)
    context.worker = cluster.only_worker(context.world)


@when("their endings are watched")
def watch_endings(context: Context) -> None:
    pids = {role: process.pid for role, process in context.before.items()}
    context.endings = Endings({**pids, "keeper": context.run.pid})


@then("they ended in the order {order}")
def ended_in_order(context: Context, order: str) -> None:
    context.ended = context.endings.all(within=20)
    assert [ending.name for ending in context.ended] == order.split(", "), context.ended


@then("none of them was killed, nor ended with an error")
def none_killed(context: Context) -> None:
    """Where the kernel is too old to tell, only a quick end speaks for it: TERM and KILL come
    after a grace of 5 s."""
    assert not [ending for ending in context.ended if ending.status], context.ended
    assert context.ended[-1].at - context.ended[0].at < 5, context.ended


@when("the {role} is killed")
def kill_one(context: Context, role: str) -> None:
    if role == "keeper":
        context.run.send(signal.SIGKILL)
    else:
        context.before[role].send_signal(signal.SIGKILL)


@when("somebody kills the queen")
def kill_the_queen(context: Context) -> None:
    queen = cluster.process_at(context.world, context.world.queen_url)
    queen.send_signal(signal.SIGKILL)


@when("the {role} stands still")
def stand_still(context: Context, role: str) -> None:
    """Stopped, not killed: it holds everything and answers nothing."""
    context.before[role].suspend()


@when("somebody else runs `{line}`")
def somebody_else(context: Context, line: str) -> None:
    run = context.world.start(line)
    assert run.wait(within=30) == 0, run.stderr.text


@then("the {roles} are gone after {seconds:d} s")
def are_gone(context: Context, roles: str, seconds: int) -> None:
    wanted = [context.before[role] for role in roles.replace(" and ", ", ").split(", ")]
    wait_until(
        "them to be gone",
        lambda: [process.pid for process in wanted if alive(process)],
        seconds,
        lambda left: not left,
    )


@then("the worker of before is gone")
def worker_is_gone(context: Context) -> None:
    assert not alive(context.before["worker"])


@then("queen, hive and worker are still the same processes")
def the_same_processes(context: Context) -> None:
    now = cluster.processes(context.world)
    assert now == context.before, (now, context.before)


@then("the queen is still the same process")
def the_same_queen(context: Context) -> None:
    assert cluster.process_at(context.world, context.world.queen_url) == context.before["queen"]


@then("one queen runs, the one of before")
def one_queen(context: Context) -> None:
    assert cluster.queens(context.world) == [context.queen]


@then("the hive is still the same process and lists no worker")
def hive_without_worker(context: Context) -> None:
    assert cluster.process_at(context.world, context.world.hive_url) == context.before["hive"]
    wait_until(
        "the hive to list no worker",
        lambda: cluster.workers(context.world),
        5,
        lambda rows: not rows,
    )
    assert not alive(context.before["worker"])


@then("queen and hive are the operator's")
def the_operators(context: Context) -> None:
    assert context.before["queen"].pid == context.queen_run.pid
    assert context.before["hive"].pid == context.hive_run.pid


@then("nothing but the worker was spawned, by the hive")
def only_the_worker(context: Context) -> None:
    known = {context.queen_run.pid, context.hive_run.pid, context.run.pid}
    new = [process for process in context.world.processes() if process.pid not in known]
    assert new == [context.before["worker"]], new
    assert new[0].ppid() == context.hive_run.pid, new[0].ppid()


@then("nothing was spawned")
def nothing_spawned(context: Context) -> None:
    now = set(context.world.processes())
    assert now == set(context.before.values()), (now, context.before)


@then("nothing else was spawned, and the first task still streams")
def first_task_streams(context: Context) -> None:
    nothing_spawned(context)
    assert context.stream.reading, context.stream.events[-3:]


@then("the queen lists that worker as {state:w}")
def queen_lists(context: Context, state: str) -> None:
    row = wait_until(
        f"the queen to list a worker as {state}",
        lambda: cluster.queens_workers(context.world),
        5,
        lambda rows: [row["state"] for row in rows] == [state],
    )[0]
    assert row["worker_id"] == context.worker["id"], (row, context.worker)
    assert urlsplit(row["url"]).port == urlsplit(context.worker["url"]).port, row
    assert row["node"] == "localhost", row


@when("two keepers are started at once, one for {short:d} tokens and one for {long:d}")
def two_keepers(context: Context, short: int, long: int) -> None:
    line = 'rbee-keeper infer --prompt "write a long story" --temperature 0 --json --max-tokens'
    context.shorter = context.world.start(f"{line} {short}")
    context.longer = context.world.start(f"{line} {long}")


@then("while both get tokens there is one queen, one hive and one worker")
def one_of_each(context: Context) -> None:
    runs = context.shorter, context.longer
    wait_until(
        "tokens at both",
        lambda: [len(keeper_output.tokens(run.stdout.text)) for run in runs],
        30,
        all,
    )
    context.before = cluster.processes(context.world)
    assert cluster.queens(context.world) == [context.before["queen"]]
    keepers = {run.pid for run in runs}
    others = {process for process in context.world.processes() if process.pid not in keepers}
    assert others == set(context.before.values()), (others, context.before)


@then("the {which:w} one exits with {code:d} and {count:d} tokens")
def one_exits(context: Context, which: str, code: int, count: int) -> None:
    run = {"shorter": context.shorter, "longer": context.longer}[which]
    assert run.wait(within=60) == code, run.stderr.text
    assert len(keeper_output.tokens(run.stdout.text)) == count


@then("no secret is in any command line, environment, output or log")
def no_secret(context: Context) -> None:
    world = context.world
    found = secrets.in_processes(world.key, world.processes())
    found += secrets.in_files(world.key, world.root, except_for=world.key_file)
    found += secrets.in_files(world.key, world.evidence.folder, except_for=world.key_file)
    assert not found, found


@then("the key is in a file for nobody else to read")
def the_key_file(context: Context) -> None:
    assert context.world.key_file.stat().st_mode & 0o777 == 0o600
    assert len(context.world.key) >= 32, "a key this short can be guessed"
