"""A hive from its start to its end: by signal, with all its workers."""

import signal

from behave import given, then, when
from behave.runner import Context

from harness.model_files.shelf import BUNDLED
from harness.watching import catalog
from harness.world import cluster
from harness.world.process_exits import Endings

_TOLD = "told to end: POST /v1/admin/shutdown"


@given("the hive has {count:d} workers that are ready")
def several_workers(context: Context, count: int) -> None:
    for _ in range(count):
        cluster.spawn(context.world, BUNDLED)
    context.workers = cluster.workers(context.world)
    assert len(context.workers) == count, context.workers


@given("the endings of the hive and its workers are watched")
def watch_all(context: Context) -> None:
    world = context.world
    pids = {row["id"]: cluster.process_at(world, row["url"]).pid for row in context.workers}
    assert len(set(pids.values())) == len(context.workers), pids
    context.catalog = catalog.rows(world)
    assert context.catalog, "there is nothing in the catalog that could be lost"
    context.endings = Endings({**pids, "hive": context.hive_run.pid})


@when("the hive gets SIGTERM")
def hive_gets_term(context: Context) -> None:
    context.hive_run.send(signal.SIGTERM)


@then("the hive exits with {code:d}")
def hive_exits(context: Context, code: int) -> None:
    found = context.hive_run.wait(within=20)
    assert found == code, f"exit code {found}: {context.hive_run.stderr.text[-2000:]}"


@then("every worker ended before the hive, and the kernel says that each exited with {code:d}")
def workers_first(context: Context, code: int) -> None:
    """Where the kernel is too old to tell, the hive's word below has to do."""
    ended = context.endings.all(within=5)
    assert ended[-1].name == "hive", ended
    assert {ending.exit_code for ending in ended[:-1]} <= {code, None}, ended


@then("the log of each worker says that it was told to end by POST /v1/admin/shutdown")
def each_was_told(context: Context) -> None:
    logs = {row["id"]: context.world.log_of(row["id"]) for row in context.workers}
    assert not [name for name, log in logs.items() if _TOLD not in log], logs


@then("the hive told that each of them is gone, with exit code {code:d}")
def told_each_gone(context: Context, code: int) -> None:
    context.watched.wait_for_end(within=5)
    gone = [event.data for event in context.watched.named("worker_gone")]
    assert {each["worker_id"] for each in gone} == {row["id"] for row in context.workers}, gone
    assert {each["exit_code"] for each in gone} == {code}, gone


@then("the catalog is intact, and has what it had")
def catalog_intact(context: Context) -> None:
    assert catalog.verdict_on(catalog.file_of(context.world)) == "ok"
    assert catalog.rows(context.world) == context.catalog
