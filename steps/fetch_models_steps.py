"""Models are fetched, listed, verified and deleted."""

import json
import signal

from behave import given, then, when
from behave.runner import Context

from harness.watching import catalog, keeper_output
from harness.world.cluster import Download
from harness.world.waiting import wait_until


@when("the hive is stopped, its catalog is damaged, and it is started again")
def damage(context: Context) -> None:
    context.hive_run.send(signal.SIGTERM)
    assert context.hive_run.wait(within=15) == 0, context.hive_run.stderr.text
    context.noise = catalog.damage(context.world)
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@then("the hive reported the damage and where the damaged file is")
def damage_reported(context: Context) -> None:
    text = context.hive_run.stderr.text
    aside = catalog.set_aside_file(context.world)
    assert "is damaged" in text, text
    assert str(aside) in text, text


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
    assert abs(context.row["downloaded_at_unix"] - written) < 30, (context.row, written)


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
    wanted = {tuple(context.world.expand(row[name]) for name in names) for row in context.table}
    assert found == wanted, found


@then("the hive's list is empty")
def hive_lists_none(context: Context) -> None:
    listed = catalog.listed(context.world)
    assert not listed, listed


@then("standard output is a JSON array of {references}, each {state} on localhost")
def json_list(context: Context, references: str, state: str) -> None:
    rows = json.loads(context.run.stdout.text)
    assert isinstance(rows, list), rows
    wanted = references.replace(" and ", ", ").split(", ")
    assert [row["reference"] for row in rows] == wanted, rows
    assert {(row["state"], row["node"]) for row in rows} == {(state, "localhost")}, rows
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
    missing = [row["line"] for row in context.table if row["line"] not in found]
    assert not missing, (missing, found)


@then("the models listed add up to {megabytes:d} MB, and the free disk space is shown")
def adds_up(context: Context, megabytes: int) -> None:
    """The text has the sum of the lines and the free space, in whole MB or in GB."""
    text = context.run.stdout.text
    assert f"{megabytes} MB" in text, text
    assert "free" in text.lower(), text


@then("there is no file {name} in the models folder, and the catalog has no row for it")
def gone(context: Context, name: str) -> None:
    path = context.world.models / name
    assert not path.exists(), path
    assert not [row for row in catalog.rows(context.world) if row["local_path"] == str(path)]


@then("within {seconds:d} s the hive's list has {reference} as {state}")
def soon_listed(context: Context, seconds: int, reference: str, state: str) -> None:
    wait_until(
        f"{reference} to be {state}",
        lambda: {row["reference"]: row["state"] for row in catalog.listed(context.world)},
        seconds,
        lambda found: found.get(reference) == state,
    )


@when("a client that wants to run {model} asks the hive to fetch it")
def fetch_to_run(context: Context, model: str) -> None:
    context.fetch = Download(context.world, model, to_run=True)
    context.stream = context.fetch.stream


@when("a detached download of {model} is asked for")
def fetch_detached(context: Context, model: str) -> None:
    context.fetch = Download(context.world, model, detach=True)


@when("the client that watches disconnects")
def watcher_goes(context: Context) -> None:
    context.fetch.stream.close()


@when("another client asks the hive to fetch {model}")
def fetch_too(context: Context, model: str) -> None:
    context.other_fetch = Download(context.world, model)


@then("both streams report the bytes and the end")
def both_complete(context: Context) -> None:
    for each in (context.fetch, context.other_fetch):
        each.wait_for_end(within=30)
        assert each.events_of("downloading"), each.stream.events
        assert each.events_of("complete"), each.stream.events
    assert context.fetch.events_of("complete") == context.other_fetch.events_of("complete")


@then("the stream reported a growing number of bytes, of {total:d}, at about {speed:d} MB/s")
def bytes_rise(context: Context, total: int, speed: int) -> None:
    reported = context.fetch.events_of("downloading")
    counts = [data["bytes_downloaded"] for data in reported]
    assert len(set(counts)) >= 5, reported
    assert counts == sorted(counts), counts
    assert {data["bytes_total"] for data in reported} == {total}, reported
    speeds = [data["speed_mbps"] for data in reported][len(reported) // 2 :]
    assert all(speed * 0.5 < each < speed * 1.5 for each in speeds), speeds


@then("it ended with {name} complete, then [DONE]")
def complete_and_done(context: Context, name: str) -> None:
    last, end = context.stream.events[-2:]
    wanted = {"stage": "complete", "local_path": str(context.world.models / name)}
    assert (last.name, {**last.data, **wanted}) == ("download", last.data), last
    assert end.name == "[DONE]", end


@then("the hive announced attempt {attempt:d} of 6 in {delay:d} ms")
def retry_announced(context: Context, attempt: int, delay: int) -> None:
    """After every attempt before it, in order."""
    wait_until(
        f"attempt {attempt} to be announced",
        lambda: context.fetch.events_of("retrying"),
        10,
        lambda reported: len(reported) >= attempt - 1,
    )
    reported = context.fetch.events_of("retrying")[: attempt - 1]
    assert [each["attempt"] for each in reported] == list(range(2, attempt + 1)), reported
    wanted = {"attempts": 6, "delay_ms": delay}
    assert {**reported[-1], **wanted} == reported[-1], reported
    context.reason = str(reported[-1]["reason"])


@then('the reason was "{words}"')
def the_reason(context: Context, words: str) -> None:
    assert words.lower() in context.reason.lower(), context.reason


@when("it is asked to fetch {model}, and killed at {percents} %, and asked again each time")
def killed_often(context: Context, model: str, percents: str) -> None:
    """Each time when that much of the file has been sent, in whichever transfers."""
    filename = model.rpartition("/")[2]
    for percent in percents.replace(" and ", ", ").split(", "):
        Download(context.world, model)
        context.hub.wait_for_sent(filename, int(percent))
        context.hive_run.send(signal.SIGKILL)
        assert context.hive_run.wait(within=5) == -signal.SIGKILL
        context.hive_run = context.world.start_daemon("rbee-hive daemon")
    context.fetch = Download(context.world, model)
    context.stream = context.fetch.stream


@when("two hives with one models folder are asked to fetch {model} at once")
def two_hives(context: Context, model: str) -> None:
    """The second is started as beside another queen's hive: on a port of its own."""
    world = context.world
    world.start_daemon(f"rbee-hive daemon --port {world.hive_address[1] + 1}")
    other = f"http://{world.hive_address[0]}:{world.hive_address[1] + 1}"
    context.fetch, context.other_fetch = Download(world, model), Download(world, model, hive=other)
    context.stream = context.fetch.stream


@then("both streams report the end")
def both_done(context: Context) -> None:
    for each in (context.fetch, context.other_fetch):
        each.wait_for_end(within=30)
        assert each.events_of("complete"), each.stream.events


@then("the terminal showed a bar that moved, in MB of {megabytes:d} MB and in MB/s")
def a_bar_of_bytes(context: Context, megabytes: int) -> None:
    reported = context.terminal.fetched()
    done = [position for position, _, _ in reported]
    assert len(done) >= 5, f"{reported}; the last screen:\n{context.terminal.screen}"
    assert done == sorted(done), done
    assert {total for _, total, _ in reported} == {megabytes}, reported
    assert any(speed > 0 for _, _, speed in reported), reported


@then('the terminal showed a bar at about {at:d} of {total:d} MB, then "{words}", then more')
def bar_and_retry(context: Context, at: int, total: int, words: str) -> None:
    """Approximately: the bar may be a step behind at the break, and there it is drawn with the
    words, mostly in one piece with them."""
    before, after = context.terminal.fetched_around(words)
    assert before, f"nothing before {words!r}"
    assert after, f"nothing after {words!r}: {before}"
    assert before[-1][0] <= at, (before, after)
    assert {before[-1][0], after[0][0]} & {at - 1, at}, (before, after)
    assert {position[1] for position in (*before, *after)} == {total}, (before, after)
    assert after[-1][0] > at, (before, after)


@then("standard output is the path of {name} in the models folder")
def output_is_path(context: Context, name: str) -> None:
    assert context.run.stdout.text == f"{context.world.models / name}\n", context.run.stdout.text


@when("two people run `{line}` at once")
def two_people(context: Context, line: str) -> None:
    context.two_runs = [context.world.start(line), context.world.start(line)]


@then("both exit with {code:d} after showing the progress")
def both_exit(context: Context, code: int) -> None:
    for run in context.two_runs:
        assert run.wait(within=60) == code, run.stderr.text
        assert len(keeper_output.download_progress(run.stderr.text)) >= 2, run.stderr.text


@when("one of the two gets SIGINT")
def one_interrupted(context: Context) -> None:
    context.two_runs[0].send(signal.SIGINT)
    assert context.two_runs[0].wait(within=10) == 130, context.two_runs[0].stderr.text


@then("the other one exits with {code:d}")
def other_exits(context: Context, code: int) -> None:
    assert context.two_runs[1].wait(within=60) == code, context.two_runs[1].stderr.text


@when("the disk fills up")
def disk_fills(context: Context) -> None:
    context.disk.fill()


@given("a person keeps the {content} model at {name}")
def kept_elsewhere(context: Context, content: str, name: str) -> None:
    place = context.world.expand(name)
    catalog.add_file(context.world, context.model_files.named(content), place)


@when("a person deletes {name} in the models folder")
def deleted(context: Context, name: str) -> None:
    (context.world.models / name).unlink()


@when("a person cuts {name} in half")
def cut(context: Context, name: str) -> None:
    path = context.world.models / name
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@when("one bit of {name} is flipped")
def flipped(context: Context, name: str) -> None:
    models = context.world.models
    is_partial = name == "the partial file"
    catalog.flip_a_bit(catalog.only_partial_file(context.world) if is_partial else models / name)


@then("the partial file is kept")
def partial_kept(context: Context) -> None:
    partial = catalog.only_partial_file(context.world)
    assert partial.stat().st_size > 0, partial


@then("nothing was written outside the models folder and ~/.rbee")
def nothing_outside(context: Context) -> None:
    world = context.world
    known = (world.models, world.home / ".rbee", world.config, world.home / ".cache", world.tmp)
    strange = [
        path
        for path in world.root.rglob("*")
        if path.is_file() and not any(path.is_relative_to(place) for place in known)
    ]
    assert not strange, strange


@then("{name} arrives within {seconds:d} s")
def arrives(context: Context, name: str, seconds: int) -> None:
    path = context.world.models / name
    wait_until(f"{path} to be there", path.exists, seconds)
