"""What is on a node: the catalog, listings, sizes, hashes, and models that people delete."""

import fcntl
import json
import signal
import sqlite3
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.model_files.bundled import read_header_of
from harness.watching import catalog, keeper_output, machine, models_output
from harness.world.waiting import let_pass

# A stream tells its events at once; the machine may be busy.
_TOLD_WITHIN_S = 0.4


@when("the hive is stopped, its catalog is damaged, and it is started again")
def damage(context: Context) -> None:
    context.hive_run.send(signal.SIGTERM)
    assert context.hive_run.wait(within=15) == 0, context.hive_run.stderr.text
    context.noise = catalog.damage(context.world)
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@then("the hive reported the damage and where the damaged file is")
def damage_reported(context: Context) -> None:
    aside = catalog.set_aside_file(context.world)
    context.hive_run.stderr.wait_for("is damaged", then=str(aside))


@then("standard error says that the catalog was damaged, and where it is kept")
def damage_told(context: Context) -> None:
    """In one line, to a person who asks the queen."""
    aside = str(catalog.set_aside_file(context.world))
    lines = [line for line in context.run.stderr.text.splitlines() if aside in line]
    assert len(lines) == 1, context.run.stderr.text
    assert "damaged" in lines[0], lines


@then("the damaged file is set aside")
def kept_aside(context: Context) -> None:
    aside = catalog.set_aside_file(context.world)
    assert aside.read_bytes() == context.noise, aside


@then("the catalog has {count:d} rows")
@then("the catalog has {count:d} row")
def so_many_rows(context: Context, count: int) -> None:
    found = catalog.rows(context.world)
    assert len(found) == count, found


@then("the catalog has no row for {reference}")
def no_row(context: Context, reference: str) -> None:
    if catalog.database_file(context.world).exists():
        assert not catalog.find(context.world, "hf", reference), catalog.rows(context.world)


@then("the row has the path of {name}, its size, its sha256, {quantization} and the present time")
def row_says(context: Context, name: str, quantization: str) -> None:
    """The time is compared with the file's own."""
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
    assert abs(context.row["downloaded_at_unix"] - written) < 5, (context.row, written)


@then("the row for {reference} has {count:d} files, {bytes:d} bytes in all")
def row_of_parts(context: Context, reference: str, count: int, bytes: int) -> None:
    row = catalog.row(context.world, reference)
    assert row["size_bytes"] == bytes, row
    listed = catalog.listed_as(context.world, reference)
    assert (listed["files"], listed["size_bytes"]) == (count, bytes), listed


@then("the catalog's size of {reference} is that of {name} on disk")
def sizes_agree(context: Context, reference: str, name: str) -> None:
    row = catalog.row(context.world, reference)
    assert row["size_bytes"] == (context.world.models / name).stat().st_size, row


@then("the hive's list is")
def hive_lists_these(context: Context) -> None:
    names = context.table.headings
    found = {tuple(row[name] for name in names) for row in catalog.listed(context.world)}
    found = {tuple(str(value) for value in row) for row in found}
    wanted = {tuple(context.world.expand(row[name]) for name in names) for row in context.table}
    assert found == wanted, found


@then("the hive's list is empty")
def hive_lists_none(context: Context) -> None:
    listed = catalog.listed(context.world)
    assert not listed, listed


@then("standard output is a JSON array of {references}, each {state} on {node:S}")
def json_list(context: Context, references: str, state: str, node: str) -> None:
    rows = json.loads(context.run.stdout.text)
    assert isinstance(rows, list), rows
    wanted = references.replace(" and ", ", ").split(", ")
    assert [row["reference"] for row in rows] == wanted, rows
    assert {(row["state"], row["node"]) for row in rows} == {(state, node)}, rows
    for row in rows:
        assert set(row) >= catalog.COLUMNS, row


@then("standard output says the sha256 of {name}")
def says_sha256(context: Context, name: str) -> None:
    digest = catalog.sha256(context.world.models / name)
    assert digest in context.run.stdout.text, (digest, context.run.stdout.text)


@then("standard output has the lines")
def has_lines(context: Context) -> None:
    """`key: value`, with any number of spaces in between."""
    found = [" ".join(line.split()) for line in context.run.stdout.text.splitlines()]
    wanted = [context.world.expand(row["line"]) for row in context.table]
    missing = [line for line in wanted if line not in found]
    assert not missing, (missing, found)


@then("there is no file {name} in the models folder, and the catalog has no row for it")
def gone(context: Context, name: str) -> None:
    """Nor is a folder left empty."""
    path = context.world.models / name
    assert not path.exists(), path
    folders = [each for each in context.world.models.rglob("*") if each.is_dir()]
    assert not [each for each in folders if not any(each.iterdir())], folders
    assert not [row for row in catalog.rows(context.world) if row["local_path"] == str(path)]


# Rows and lists


@then("the hive's list notes once that {name} is not there any more")
def noted_once(context: Context, name: str) -> None:
    wanted = f"{context.world.models / name} is not there any more"
    noted = [catalog.notes(context.world) for _ in range(2)]
    assert noted == [[wanted], []], noted


@then("each row of the list has its file's path, size and time, and no sha256")
def rows_of_files(context: Context) -> None:
    """As of files that nobody fetched."""
    for row in catalog.listed(context.world):
        path = context.world.models / catalog.place_of(row["reference"], context.world)
        size = path.stat().st_size
        wanted = {
            "local_path": str(path),
            "size_bytes": size,
            "bytes_downloaded": size,
            "downloaded_at_unix": int(path.stat().st_mtime),
            "sha256": None,
        }
        assert {key: row[key] for key in wanted} == wanted, row


@then("the hive lists {reference} as {state}, with the bytes that are on the disk")
def listed_with_bytes(context: Context, reference: str, state: str) -> None:
    """Its size is the one that the Hub says. The file may grow meanwhile."""
    name = catalog.place_of(reference, context.world)
    path = context.world.models / name
    there = path if path.exists() else catalog.only_partial_file(context.world)
    before = there.stat().st_size
    row = catalog.listed_as(context.world, reference)
    after = there.stat().st_size
    wanted = {
        "state": state,
        "size_bytes": context.hub.blob(path.name).size,
        "local_path": str(path),
    }
    assert {key: row[key] for key in wanted} == wanted, row
    assert before <= row["bytes_downloaded"] <= after, (before, row, after)


@then("it has the values of the catalog, and every byte of each")
def list_of_catalog(context: Context) -> None:
    known = {row["reference"]: row for row in catalog.rows(context.world)}
    rows = json.loads(context.run.stdout.text)
    assert {row["reference"] for row in rows} == set(known), rows
    for row in rows:
        assert {key: row[key] for key in catalog.COLUMNS} == known[row["reference"]], row
        assert (row["files"], row["bytes_downloaded"]) == (1, row["size_bytes"]), row


@then("the catalog is kept in WAL mode, with a version")
def catalog_pragmas(context: Context) -> None:
    mode, version = catalog.pragmas(catalog.database_file(context.world))
    assert (mode, version > 0) == ("wal", True), (mode, version)


@then("the catalog {path} has {reference}, and there is no other")
def catalog_elsewhere(context: Context, path: str, reference: str) -> None:
    assert catalog.references(Path(context.world.expand(path))) == [reference]
    assert not catalog.database_file(context.world).exists()


@then("standard output has the share of {filename} that is here")
def share_shown(context: Context, filename: str) -> None:
    size = context.hub.blob(filename).size
    there = catalog.only_partial_file(context.world).stat().st_size
    (line,) = [line for line in context.run.stdout.text.splitlines() if filename in line]
    assert line.endswith(f"  partial, {100 * there // size} %"), (line, there, size)


@then("it lists the sizes of the files, the largest first, their sum, and the space on the disk")
def disk_usage(context: Context) -> None:
    models = context.world.models
    sizes = {name: (models / name).stat().st_size for name in catalog.models_on_disk(context.world)}
    shown = models_output.disk_usage(context.run.stdout.text)
    largest_first = sorted(sizes, key=lambda name: -sizes[name])
    wanted = [(models_output.megabytes(sizes[name]), f"hf:{name}") for name in largest_first]
    total = models_output.megabytes(sum(sizes.values()))
    assert len(wanted) > 1, wanted
    assert shown.rows == [*wanted, (total, "total")], (shown, sizes)
    assert shown.folder == str(models), shown
    free, disk = machine.disk_free_bytes(models), machine.disk_total_bytes(models)
    assert abs(shown.free_bytes - free) < 0.02 * free + 100_000_000, (shown, free)
    assert abs(shown.total_bytes - disk) < 0.01 * disk, (shown, disk)


@then("workstation has no model")
def node_has_none(context: Context) -> None:
    assert not catalog.models_on_disk(context.world.nodes["workstation"])


@then("the file {name} is still the {content} model")
def still_the_model(context: Context, name: str, content: str) -> None:
    path = context.world.models / name
    assert catalog.same_content(path, context.model_files.named(content)), path


@given("a person placed the {content} model at {name} in the models folder of {node:S}")
def placed_on_node(context: Context, content: str, name: str, node: str) -> None:
    catalog.add_file(context.world.nodes[node], context.model_files.named(content), name)


# What is said of one model


@then("standard output has the sha256 of {name}, and what its header says")
def described(context: Context, name: str) -> None:
    path = context.world.models / name
    known = read_header_of(path)
    wanted = {
        "sha256": catalog.sha256(path),
        "architecture": known.architecture,
        "quantization": known.quantization,
        "layers": str(known.layers),
        "trained context": f"{known.context_length} tokens",
        "vocabulary": f"{known.vocabulary_size} tokens",
    }
    found = models_output.facts(context.run.stdout.text)
    assert {key: found.get(key) for key in wanted} == wanted, found
    context.described_bytes = path.stat().st_size


@then("standard output has the sha256 that the Hub has of {name}")
def sha256_of_hub(context: Context, name: str) -> None:
    found = models_output.facts(context.run.stdout.text)
    assert found["sha256"] == context.hub.blob(name).sha256, found


@then("it says that the model needs 1.2 times its size, and what memory there is")
def memory_needed(context: Context) -> None:
    found = models_output.memory_needed(context.run.stdout.text)
    wanted = models_output.megabytes(int(1.2 * context.described_bytes))
    assert found.needed == wanted, (found, wanted)
    machine.assert_free(found.free_bytes)
    total = machine.memory_total_bytes()
    assert abs(found.total_bytes - total) < 0.01 * total, (found, total)


@then("it lists what else there is, by size, and whether it fits into this machine")
def offered(context: Context) -> None:
    wanted = [
        (
            row["quantization"],
            models_output.megabytes(context.model_files.named(row["content"]).stat().st_size),
            row["fits"],
        )
        for row in context.table
    ]
    assert models_output.offered(context.run.stdout.text) == wanted, context.run.stdout.text


@then("the answer came from {model}")
def answered_by(context: Context, model: str) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    assert started["model"] == model, started


# What an error says of a file


@then("the error names {name}, its sha256, and that of the Hub as the expected one")
def mismatch_of_file(context: Context, name: str) -> None:
    path = context.world.models / name
    _mismatch(context, name, catalog.sha256(path))


@then(
    "the error names {name}, the sha256 of the {content} model, "
    "and that of the Hub as the expected one"
)
def mismatch_of_model(context: Context, name: str, content: str) -> None:
    _mismatch(context, name, catalog.sha256(context.model_files.named(content)))


def _mismatch(context: Context, name: str, actual: str) -> None:
    path = context.world.models / name
    expected = context.hub.blob(path.name).sha256
    assert actual != expected
    found = models_output.mismatch(context.run.stderr.text)
    assert found == (str(path), actual, expected), (found, path, actual, expected)


@then("the error names {megabytes:d} MB needed, and what is free on that disk")
def room_needed(context: Context, megabytes: int) -> None:
    folder, free, needed = models_output.room(context.run.stderr.text)
    assert (folder, needed) == (str(context.world.models), megabytes), context.run.stderr.text
    known = machine.disk_free_bytes(context.world.models) // 1_000_000
    assert abs(free - known) <= 1, (free, known)


@then("the error names what is missing of {filename}, and 0 MB free")
def room_missing(context: Context, filename: str) -> None:
    partial = catalog.only_partial_file(context.world)
    missing = context.hub.blob(filename).size - partial.stat().st_size
    found = models_output.room(context.run.stderr.text)
    assert found == (str(partial.parent), 0, -(-missing // 1_000_000)), (found, missing)


@then(
    "the error names 1.2 times the size of the {content} model, and all the memory of this machine"
)
def never_fits(context: Context, content: str) -> None:
    size = context.model_files.named(content).stat().st_size
    needed, available = models_output.memory_in_all(context.run.stderr.text)
    assert abs(needed - 1.2 * size / 1_000_000) <= 1, (needed, size)
    assert available == machine.memory_total_bytes() // 1_000_000, available


# A person changes the files


@given("a person keeps the {content} model at {name}")
def kept_elsewhere(context: Context, content: str, name: str) -> None:
    place = context.world.expand(name)
    catalog.add_file(context.world, context.model_files.named(content), place)


@when("a person deletes {name} in the models folder")
def deleted(context: Context, name: str) -> None:
    (context.world.models / name).unlink()


@then("OpenAI's route for chats answers for {model} with {tokens:d} tokens")
def chat_answers(context: Context, model: str, tokens: int) -> None:
    body = {
        "model": context.world.expand(model),
        "messages": [{"role": "user", "content": "write a short story"}],
        "max_tokens": tokens,
    }
    url = f"{context.world.queen_url}/v1/chat/completions"
    reply = context.world.call("POST", url, body, timeout=30)
    assert reply.status == 200, reply
    assert reply.json["usage"]["completion_tokens"] == tokens, reply


@when("a person cuts {name} in half")
def cut(context: Context, name: str) -> None:
    path = context.world.models / name
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@when("another program fetches into the partial file")
def held(context: Context) -> None:
    """It locks the file, as every hive does."""
    context.partial = catalog.only_partial_file(context.world).open("r+b")
    context.world.add_cleanup(context.partial.close)
    fcntl.flock(context.partial, fcntl.LOCK_EX | fcntl.LOCK_NB)


@when("that program has ended")
def let_go(context: Context) -> None:
    context.partial.close()


@when("another program writes into the catalog")
def writes(context: Context) -> None:
    """Nobody else can, until it has ended."""
    context.writer = sqlite3.connect(catalog.database_file(context.world))
    context.world.add_cleanup(context.writer.close)
    context.writer.execute("BEGIN IMMEDIATE")


@then("it is not told as complete before it is in the catalog")
def not_told_yet(context: Context) -> None:
    let_pass(_TOLD_WITHIN_S)
    assert not context.fetch.events_of("complete"), context.fetch.stream.events[-2:]
    context.writer.rollback()


@when("one bit of {name} is flipped")
def flipped(context: Context, name: str) -> None:
    models = context.world.models
    is_partial = name == "the partial file"
    catalog.flip_a_bit(catalog.only_partial_file(context.world) if is_partial else models / name)


@when("one bit of {name} is flipped on {node:S}")
def flipped_on_node(context: Context, name: str, node: str) -> None:
    catalog.flip_a_bit(context.world.nodes[node].models / name)
