"""The catalog, and what a person is told of the models in it."""

import json
import signal
from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.watching import catalog, secrets
from harness.world import cluster
from harness.world.waiting import wait_until


@given("the environment has {name}={value}")
def environment_has(context: Context, name: str, value: str) -> None:
    context.world.overrides[name] = context.world.expand(value)


@given("the token {token} is where huggingface_hub looks for it")
def token_is_there(context: Context, token: str) -> None:
    context.token_file = context.world.home / ".cache" / "huggingface" / "token"
    context.token_file.parent.mkdir(parents=True)
    context.token_file.write_text(token)


@then("the token {token} is in no command line, environment, output or log")
def token_nowhere(context: Context, token: str) -> None:
    world = context.world
    found = secrets.in_processes(token, world.processes())
    found += secrets.in_files(token, world.root, except_for=context.token_file)
    found += secrets.in_files(token, world.evidence.folder, except_for=context.token_file)
    assert not found, found


@when("the hive is stopped, its catalog is damaged, and it is started again")
def damage(context: Context) -> None:
    context.hive_run.send(signal.SIGTERM)
    assert context.hive_run.wait(within=15) == 0, context.hive_run.stderr.text
    context.noise = catalog.damage(context.world)
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@given("there is a catalog, and it is damaged")
def damage_before(context: Context) -> None:
    run = context.world.start("rbee-keeper models list")
    assert run.wait(within=10) == 0, run.stderr.text
    context.noise = catalog.damage(context.world)


@then("the hive told of the damage, and where the damaged file is")
def told_of_damage(context: Context) -> None:
    text = context.hive_run.stderr.text
    aside = catalog.put_aside(context.world)
    assert "is damaged" in text, text
    assert str(aside) in text, text


@then("the damaged file is kept aside")
def kept_aside(context: Context) -> None:
    aside = catalog.put_aside(context.world)
    assert aside.read_bytes() == context.noise, aside


@then("the catalog has {count:d} rows")
@then("the catalog has {count:d} row")
def so_many_rows(context: Context, count: int) -> None:
    found = catalog.rows(context.world)
    assert len(found) == count, found


@then("the catalog has no row of {reference}")
def no_row(context: Context, reference: str) -> None:
    if catalog.file_of(context.world).exists():
        assert not catalog.find(context.world, "hf", reference), catalog.rows(context.world)


@then("SQLite finds one row by provider hf and reference {reference}, with the contract's columns")
def one_row(context: Context, reference: str) -> None:
    context.row = catalog.row(context.world, reference)
    assert set(context.row) == catalog.COLUMNS, context.row


@then("it says {name} in the models folder, its size there, its sha256, {quantization} and now")
def row_says(context: Context, name: str, quantization: str) -> None:
    """Now is since the scenario's first program was started."""
    path = context.world.models / name
    wanted = {
        "local_path": str(path),
        "size_bytes": path.stat().st_size,
        "sha256": catalog.sha256(path),
        "quantization": quantization,
    }
    assert {key: context.row[key] for key in wanted} == wanted, context.row
    assert isinstance(context.row["id"], int), context.row
    written = path.stat().st_ctime
    assert abs(context.row["downloaded_at_unix"] - written) < 30, (context.row, written)


@then("the row of {reference} has {count:d} files, {bytes:d} bytes in all")
def row_of_parts(context: Context, reference: str, count: int, bytes: int) -> None:
    row = catalog.row(context.world, reference)
    assert row["size_bytes"] == bytes, row
    listed = _listed(context, reference)
    assert (listed["files"], listed["size_bytes"]) == (count, bytes), listed


@then("the catalog's size of {reference} is that of {name} on disk")
def sizes_agree(context: Context, reference: str, name: str) -> None:
    row = catalog.row(context.world, reference)
    assert row["size_bytes"] == (context.world.models / name).stat().st_size, row


@then("the hive's list has {reference} as {state}")
def hive_lists(context: Context, reference: str, state: str) -> None:
    assert _listed(context, reference)["state"] == state, _listed(context, reference)


@then("the hive's list is")
def hive_lists_these(context: Context) -> None:
    names = context.table.headings
    found = {tuple(row[name] for name in names) for row in _models(context)}
    wanted = {tuple(context.world.expand(row[name]) for name in names) for row in context.table}
    assert found == wanted, found


@then("the hive's list is empty")
def hive_lists_none(context: Context) -> None:
    assert not _models(context), _models(context)


def _models(context: Context) -> list[dict[str, Any]]:
    reply = context.world.call("GET", f"{context.world.hive_url}/v1/models")
    assert reply.status == 200, (reply.status, reply.body)
    return list(reply.json["models"])


def _listed(context: Context, reference: str) -> dict[str, Any]:
    found = [row for row in _models(context) if row["reference"] == reference]
    assert len(found) == 1, (reference, _models(context))
    return found[0]


@then("standard output is a JSON array of {references}, each {state} on localhost")
def json_list(context: Context, references: str, state: str) -> None:
    rows = json.loads(context.run.stdout.text)
    assert isinstance(rows, list), rows
    wanted = references.replace(" and ", ", ").split(", ")
    assert [row["reference"] for row in rows] == wanted, rows
    assert {(row["state"], row["node"]) for row in rows} == {(state, "localhost")}, rows
    for row in rows:
        assert set(row) >= catalog.COLUMNS, row


@then('standard output says "{words}"')
def standard_output_says(context: Context, words: str) -> None:
    text = context.run.stdout.text
    assert context.world.expand(words).lower() in text.lower(), text


@then("standard output says the sha256 of {name}")
def says_sha256(context: Context, name: str) -> None:
    digest = catalog.sha256(context.world.models / name)
    assert digest in context.run.stdout.text, (digest, context.run.stdout.text)


@then("standard output has the lines")
def has_lines(context: Context) -> None:
    """`key: value`, whatever the blanks in between."""
    found = [" ".join(line.split()) for line in context.run.stdout.text.splitlines()]
    missing = [row["line"] for row in context.table if row["line"] not in found]
    assert not missing, (missing, found)


@then("the models told add up to what they say, {megabytes:d} MB, and the disk's rest is told")
def adds_up(context: Context, megabytes: int) -> None:
    """The sum of the lines is in the text, and so is what is free, in whole MB or in GB."""
    text = context.run.stdout.text
    assert f"{megabytes} MB" in text, text
    assert "free" in text.lower(), text


@then("there is no file {name} in the models folder, and the catalog has no row of it")
def gone(context: Context, name: str) -> None:
    path = context.world.models / name
    assert not path.exists(), path
    assert not [row for row in catalog.rows(context.world) if row["local_path"] == str(path)]


@when("a worker for {model} is ready")
@given("a worker for {model} is ready")
def worker_ready(context: Context, model: str) -> None:
    cluster.spawn(context.world, model)


@when("the worker is told to end, and is gone")
def worker_ends(context: Context) -> None:
    world = context.world
    body = {"worker_id": cluster.only_worker(world)["id"]}
    reply = world.call("POST", f"{world.hive_url}/v1/workers/shutdown", body)
    assert reply.status < 300, (reply.status, reply.body)
    wait_until("no worker to be listed", lambda: not cluster.workers(world), 10)


@then("there is no catalog yet")
def no_catalog(context: Context) -> None:
    assert not catalog.file_of(context.world).exists()


@then("the only worker is idle, with the model {model}, on {backend:w} {device:d}")
def only_worker_idle(context: Context, model: str, backend: str, device: int) -> None:
    row = cluster.wait_for_state(context.world, "idle")
    found = (row["model_ref"], row["backend"], row["device"])
    assert found == (model, backend, device), row


@then("within {seconds:d} s the hive's list has {reference} as {state}")
def soon_listed(context: Context, seconds: int, reference: str, state: str) -> None:
    wait_until(
        f"{reference} to be {state}",
        lambda: {row["reference"]: row["state"] for row in _models(context)},
        seconds,
        lambda found: found.get(reference) == state,
    )
