"""What ends when the work is done or a program dies, and what is left."""

import re
import shlex
import signal

from behave import given, then, when
from behave.runner import Context
from psutil import Process

from harness.breaking import after_kill
from harness.breaking.kill_matrix import Plan, Round
from harness.watching import catalog, footprint, keeper_output
from harness.world import cluster, processes
from harness.world.processes import ProcessExit, ProcessExits, alive, command_line
from harness.world.run import Run
from harness.world.waiting import wait_until

_SLOW_MACHINE_S = 2

# Ends and their order


@given("the endings of the hive and its workers are watched")
def watch_all(context: Context) -> None:
    world = context.world
    pids = {row["id"]: cluster.process_at(world, row["url"]).pid for row in context.workers}
    assert len(set(pids.values())) == len(context.workers), pids
    context.catalog = catalog.rows(world)
    assert context.catalog, "there is nothing in the catalog that could be lost"
    context.endings = ProcessExits({**pids, "hive": context.hive_run.pid})


@then("every worker ended before the hive, and the kernel says that each exited with {code:d}")
def workers_first(context: Context, code: int) -> None:
    """If the kernel is too old to report exit codes, the hive's own report below has to do."""
    ended = context.endings.all(within=5)
    assert ended[-1].name == "hive", ended
    assert {ending.exit_code for ending in ended[:-1]} <= {code, None}, ended


@given("they listen on the ports {ports}")
def listen_on(context: Context, ports: str) -> None:
    found = [cluster.process_at(context.world, row["url"]) for row in context.workers]
    where = {port for _, port in processes.listeners(found)}
    assert where == {int(port) for port in ports.replace(" and ", ", ").split(", ")}, where


@given("each of them is streaming an answer of {tokens:d} tokens")
def each_streams(context: Context, tokens: int) -> None:
    world = context.world
    body = {"prompt": "write a long story", "max_tokens": tokens, "ignore_eos": True}
    urls = [f"{row['url']}/v1/inference" for row in context.workers]
    context.streams = [world.stream("POST", url, body) for url in urls]
    for stream in context.streams:
        stream.wait_for("token", within=20)


@then("each answer goes on for {seconds:d} s, and ends with {code:w}")
def goes_on_for(context: Context, seconds: int, code: str) -> None:
    """Told one after the other, the second would end after twice that time. SIGTERM, which would
    end it too, comes a second later: that no signal is needed is share_a_worker's to prove."""
    for stream in context.streams:
        stream.wait_for_end(within=20)
        (error,) = stream.named("error")
        assert error.data["error"]["code"] == code, error
        last, ended = (each.at - context.moment for each in (stream.named("token")[-1], error))
        assert seconds - 1 < last < ended, (last, ended)
        assert seconds <= ended < 2 * seconds - 0.2, (last, ended)


@given("a hive that an operator started under nohup")
def under_nohup(context: Context) -> None:
    hive = context.world.commands.resolve("rbee-hive daemon")
    context.hive_run = context.world.start_daemon(shlex.join(["nohup", *hive]))


@then("its log says that {one:w} ended it, and nothing of {other:w}")
def ended_by(context: Context, one: str, other: str) -> None:
    assert context.hive_run.wait(within=5) == 0, context.hive_run.stderr.text
    said = context.hive_run.stderr.text
    assert f"told to end: {one}" in said and other not in said, said


@then("tokens came for {seconds:d} s after that, and no longer")
def tokens_came_for(context: Context, seconds: int) -> None:
    """Of them, and of nothing else, the keeper writes lines."""
    last = context.run.stdout.moments_of('"token"')[-1] - context.moment
    assert seconds - 1 < last < seconds + _SLOW_MACHINE_S, last


@when("the hive gets SIGTERM, and once more when it ends")
def told_twice(context: Context) -> None:
    _twice(context.hive_run)


@when("the queen gets SIGTERM, and once more when it ends")
def queen_told_twice(context: Context) -> None:
    context.moment = _twice(context.queen_run)


def _twice(daemon: Run) -> float:
    """Return the moment of the second."""
    daemon.send(signal.SIGTERM)
    daemon.stderr.wait_for("told to end: SIGTERM")
    return daemon.send(signal.SIGTERM)


@then("each answer breaks off within {seconds:d} s of that")
def answers_cut(context: Context, seconds: int) -> None:
    for stream in context.streams:
        stream.wait_for_close(within=seconds)
        assert not stream.named("done"), stream.events[-3:]


@then("each answer is complete, with {tokens:d} tokens")
def answers_complete(context: Context, tokens: int) -> None:
    for stream in context.streams:
        stream.wait_for_end(within=30)
        assert len(stream.named("token")) == tokens, stream.events[-3:]
        (done,) = stream.named("done")
        assert done.data["total_tokens"] == tokens, done


@then("the hive exits with {code:d}, within {seconds:d} s of that")
def exits_soon(context: Context, code: int, seconds: int) -> None:
    ended = max(stream.events[-1].at for stream in context.streams)
    assert context.hive_run.wait(within=20) == code, context.hive_run.stderr.text
    assert processes.now() - ended < seconds, processes.now() - ended


@then("the hive reported that it ends {count:d} worker, and that it is gone, with {code:d}")
@then("the hive reported that it ends {count:d} workers, and that each is gone, with {code:d}")
def each_gone(context: Context, count: int, code: int) -> None:
    context.watched.wait_for_end(within=5)
    said = [event.data["text"] for event in context.watched.named("narration")]
    (ends,) = [text for text in said if text.startswith("shutdown: ")]
    assert re.findall(r"\d+", ends) == [str(count)], ends
    gone = [event.data for event in context.watched.named("worker_gone")]
    assert {each["worker_id"] for each in gone} == {row["id"] for row in context.workers}, gone
    ended = {(each["exit_code"], each["reason"]) for each in gone}
    assert ended == {(code, "the hive ends")}, gone


@then("one hive waits below it, and listens nowhere")
def hive_waits(context: Context) -> None:
    world, queen = context.world, context.run.pid
    hives = wait_until("a hive", lambda: cluster.processes_of(world, "hive"), 5)
    assert [each.ppid() for each in hives] == [queen], hives
    assert not processes.listeners(hives), processes.listeners(hives)


@then("the catalog is intact, and has what it had")
def catalog_intact(context: Context) -> None:
    assert catalog.integrity_check(catalog.database_file(context.world)) == "ok"
    assert catalog.rows(context.world) == context.catalog


@when("their endings are watched")
def watch_endings(context: Context) -> None:
    pids = {role: process.pid for role, process in context.before.items()}
    context.endings = ProcessExits({**pids, "keeper": context.run.pid})


@then("they ended in the order {order}")
def ended_in_order(context: Context, order: str) -> None:
    context.ended = context.endings.all(within=20)
    assert [ending.name for ending in context.ended] == order.split(", "), context.ended


@then("none of them was killed or ended with an error")
def none_killed(context: Context) -> None:
    """If the kernel is too old to report exit codes, a quick end is the only evidence: TERM and
    KILL come after a grace period of 5 s."""
    assert not [ending for ending in context.ended if ending.status], context.ended
    assert context.ended[-1].at - context.ended[0].at < 5, context.ended


@when("the endings of all three are watched")
def watch_three(context: Context) -> None:
    context.endings = ProcessExits({role: each.pid for role, each in context.before.items()})


@then("worker and hive ended before the queen, each with 0")
def ended_in_order_over_ssh(context: Context) -> None:
    """If the kernel is too old to report exit codes, the order has to do."""
    ended = _below_first(context)
    assert {ending.exit_code for ending in ended} <= {0, None}, ended


@then("worker and hive ended before the queen, none of them by SIGKILL")
def ended_unkilled(context: Context) -> None:
    """SIGTERM may come if a slow machine has not ended the stream within the grace period."""
    ended = _below_first(context)
    assert {ending.exit_code for ending in ended} <= {0, -signal.SIGTERM, None}, ended


def _below_first(context: Context) -> list[ProcessExit]:
    ended: list[ProcessExit] = context.endings.all(within=5)
    assert [ending.name for ending in ended] == ["worker", "hive", "queen"], ended
    return ended


@then("it says that the queen stopped, with {hives:d} hive and {workers:d} worker")
@then("it says that the queen stopped, with {hives:d} hive and {workers:d} workers")
@then("it says that the queen stopped, with {hives:d} hives and {workers:d} workers")
def queen_stopped(context: Context, hives: int, workers: int) -> None:
    """The pid is that of the process that listened, according to /proc."""
    ended = f"{_count(hives, 'hive')} and {_count(workers, 'worker')} ended"
    wanted = f"queen-rbee stopped (pid {_pid_of_before(context)}); {ended}"
    assert wanted in context.run.stdout.text.splitlines(), context.run.stdout.text


@then("it says that the queen was killed")
def queen_killed(context: Context) -> None:
    pid = _pid_of_before(context)
    assert re.search(rf"\(pid {pid}\).*killed", context.run.stdout.text), context.run.stdout.text


def _pid_of_before(context: Context) -> int:
    return int(context.before["queen"].pid)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


@then("it is another hive that runs now, of the same queen")
def another_hive(context: Context) -> None:
    now, before = cluster.processes(context.world), context.before
    assert now["queen"] == before["queen"], (now, before)
    assert now["hive"] != before["hive"] and not alive(before["hive"]), (now, before)


@then("the queen is still the same process")
def the_same_queen(context: Context) -> None:
    assert cluster.process_at(context.world, context.world.queen_url) == context.before["queen"]


# Two keepers


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
    others = {process for process in cluster.at_work(context.world) if process.pid not in keepers}
    assert others == set(context.before.values()), (others, context.before)


@then("the {which:w} one exits with {code:d} and {count:d} tokens")
def one_exits(context: Context, which: str, code: int, count: int) -> None:
    run = {"shorter": context.shorter, "longer": context.longer}[which]
    assert run.wait(within=60) == code, run.stderr.text
    assert len(keeper_output.tokens(run.stdout.text)) == count


# The kill matrix


@given("under a {lifetime:w} queen, a {victim:w} while it is {phase:w}")
def a_round(context: Context, lifetime: str, victim: str, phase: str) -> None:
    node = context.node if "node" in context else None
    context.round = Round(context.world, Plan(victim, phase, lifetime), node)
    context.round.reach_phase()


@when("it is killed")
def strike(context: Context) -> None:
    context.round.kill_victim()


@then("everything that depended on it is gone after 10 s, and nothing else")
def settle(context: Context) -> None:
    context.round.wait_for_effects()


@then("the exit code was right")
def exit_code(context: Context) -> None:
    context.round.check_exit_code()


@then("no port is still in use")
def ports(context: Context) -> None:
    after_kill.ports_are_free(context.world, context.round.node)


@then("no file is damaged")
def files(context: Context) -> None:
    after_kill.files_are_intact(context.world.home)
    after_kill.settings_are_readable(context.world)


@then("the next command works, and continues with what had been fetched")
def next_command(context: Context) -> None:
    after_kill.next_command_works(context.round)


@then("nothing is running once the queen is told to stop")
def stop(context: Context) -> None:
    after_kill.stop_everything(context.round)


# An idle worker


@given("the memory that they hold is noted")
def note_memory(context: Context) -> None:
    context.memory_mb = processes.memory_mb(cluster.at_work(context.world))


@then("the memory that they hold has grown by at least {megabytes:d} MB")
def memory_grew(context: Context, megabytes: int) -> None:
    grown = processes.memory_mb(cluster.at_work(context.world)) - context.memory_mb
    assert grown >= megabytes, f"{grown:.0f} MB more than the {context.memory_mb:.0f} MB of before"


@then("the memory that they hold is as before, within {megabytes:d} MB")
def memory_is_back(context: Context, megabytes: int) -> None:
    held = processes.memory_mb(cluster.at_work(context.world))
    context.world.evidence.note(f"{held:.1f} MB held, {context.memory_mb:.1f} MB before")
    assert abs(held - context.memory_mb) <= megabytes, (held, context.memory_mb)


@then("the hive answers that it is alive")
def hive_alive(context: Context) -> None:
    reply = context.world.call("GET", f"{context.world.hive_url}/v1/health")
    assert (reply.status, reply.json["status"]) == (200, "alive"), reply


# What is left, and what runs meanwhile


@then('one process is left running, and it is "{line}"')
def one_is_left(context: Context, line: str) -> None:
    """Its parent may have ended before it has exec'd."""
    (context.stray,) = wait_until(
        f"one process, {line}",
        lambda: {each: " ".join(command_line(each)) for each in context.world.processes()},
        5,
        lambda seen: list(seen.values()) == [line],
    )


@when("that process is killed")
def kill_the_stray(context: Context) -> None:
    context.stray.kill()


@then("the key is in a file that only its owner can read")
def the_key_file(context: Context) -> None:
    assert context.world.key_file.stat().st_mode & 0o777 == 0o600
    assert 32 <= len(context.world.key) <= 128, "a key this short can be guessed"


@when("each of the four programs is asked for its version")
def ask_versions(context: Context) -> None:
    context.versions = footprint.versions(context.world)


@then("each answers with its name and the package's version, and exits with 0")
def as_pip_has_it(context: Context) -> None:
    wanted = {
        name: (0, f"{name}, version {footprint.installed_version()}\n") for name in context.versions
    }
    assert len(wanted) == 4, wanted
    assert context.versions == wanted, context.versions


@then("nothing but keeper, queen, hive and worker is running")
def only_four(context: Context) -> None:
    wanted = {context.run.pid, *(process.pid for process in context.before.values())}
    assert len(wanted) == 4, wanted
    found = {process.pid for process in cluster.at_work(context.world)}
    assert found == wanted, context.world.processes()


@then("the keeper is connected to the queen and to nothing else")
def only_to_the_queen(context: Context) -> None:
    keeper = _keeper(context)
    assert footprint.peers(keeper) == {context.world.queen_address}, footprint.peers(keeper)


@then("the keeper has no database open, and the hive has the catalog")
def no_database(context: Context) -> None:
    held = {path.name for path in footprint.open_databases(context.before["hive"])}
    assert held == {"models.db"}, held
    assert footprint.open_databases(_keeper(context)) == []


@then("every database, here and on {name:S}, has one table, of models or of nodes")
def no_table_of_workers(context: Context, name: str) -> None:
    homes = [context.world.home, context.world.nodes[name].home]
    found = [path for home in homes for path in footprint.databases(home)]
    tables = {str(path): footprint.tables(path) for path in found}
    assert {path.name for path in found} == {"models.db", "beehives.db"}, tables
    for path in found:
        wanted = {"models.db": {"models"}, "beehives.db": {"beehives"}}[path.name]
        assert footprint.tables(path) - {"sqlite_sequence"} == wanted, tables


@then("there is no workers.db anywhere")
def no_workers_db(context: Context) -> None:
    found = [path for path in context.world.root.rglob("*") if "workers" in path.name.lower()]
    assert not found, found


@then("~/.rbee on {name:S} holds {names}, and nothing else")
def state_there(context: Context, name: str, names: str) -> None:
    home = context.world.home if name == "localhost" else context.world.nodes[name].home
    found = footprint.state_files(home)
    wanted = set(names.replace(" and ", ", ").split(", "))
    assert found == wanted, found


def _keeper(context: Context) -> Process:
    return Process(context.run.pid)
