"""Models are fetched from the Hub, whole or in part."""

import signal
import statistics
from itertools import pairwise

from behave import given, then, when
from behave.runner import Context

from harness.watching import catalog, download_speed, keeper_output, models_output
from harness.world.cluster import Download
from harness.world.waiting import let_pass, wait_until

_SLOW_MACHINE_S = 0.8


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


@when("both clients that watch disconnect")
def watchers_go(context: Context) -> None:
    for each in (context.fetch, context.other_fetch):
        each.stream.close()


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


@then("the stream reported a growing number of bytes, of {total:d}, at the speed of the Hub")
def bytes_rise(context: Context, total: int) -> None:
    reported = context.fetch.events_of("downloading")
    counts = [data["bytes_downloaded"] for data in reported]
    assert len(set(counts)) >= 5, reported
    assert counts == sorted(counts), counts
    assert {data["bytes_total"] for data in reported} == {total}, reported
    ratios = download_speed.ratios(context.fetch.stream)
    assert 0.8 < statistics.median(ratios) < 1.2, ratios


@then("it ended with {name} complete, then [DONE]")
def complete_and_done(context: Context, name: str) -> None:
    size = (context.world.models / name).stat().st_size
    _ended_with(context, name, checked="sha256", bytes_downloaded=size, bytes_total=size)


@then("it ended with {name} complete, checked by its size alone, then [DONE]")
def checked_by_size(context: Context, name: str) -> None:
    _ended_with(context, name, checked="size")


@then("it ended with {name} complete, without a check, then [DONE]")
def was_complete(context: Context, name: str) -> None:
    """It was there."""
    assert "checked" not in _ended_with(context, name), context.stream.events[-2:]


def _ended_with(context: Context, name: str, **more: object) -> dict[str, object]:
    """What the last event of a download says."""
    last, end = context.stream.events[-2:]
    wanted = {"stage": "complete", "local_path": str(context.world.models / name), **more}
    assert (last.name, {**last.data, **wanted}) == ("download", last.data), last
    assert end.name == "[DONE]", end
    return dict(last.data)


@then("whoever asks for its progress later is told that end")
def told_later(context: Context) -> None:
    later = context.fetch.watch()
    later.wait_for_end(within=5)
    told = [(event.name, event.data) for event in later.events]
    assert told == [(event.name, event.data) for event in context.stream.events[-2:]], told


@then("whoever asks for its progress later is told that error")
def refused_later(context: Context) -> None:
    url = f"{context.world.hive_url}/v1/models/download/progress?id={context.fetch.id}"
    (error,) = context.stream.named("error")
    assert context.world.call("GET", url).json == error.data, error


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


@then("it said how much had come, as the Hub was then asked for the rest")
def retry_from(context: Context) -> None:
    began = [asked.begin for asked in context.hub.log.transfers()[1:]]
    reported = [each["bytes_downloaded"] for each in context.fetch.events_of("retrying")]
    assert began == reported, (began, reported)
    assert all(began), began


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


@then("its first report has all that was here, and no speed for it")
def no_speed_of_the_past(context: Context) -> None:
    first = context.fetch.events_of("downloading")[0]
    began = context.hub.log.transfers()[-1].begin
    assert first["bytes_downloaded"] >= began > 0, (first, began)
    assert first["speed_mbps"] < 1.5 * context.hub.faults.bytes_per_second / 1_000_000, first


@then("the hive said that {reference} is already being downloaded")
def told_as_shared(context: Context, reference: str) -> None:
    context.hive_run.stderr.wait_for(f"{reference} is already being downloaded")


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


@then("the terminal showed a bar that moved, in MB of {megabytes:d} MB, at the speed of the Hub")
def a_bar_of_bytes(context: Context, megabytes: int) -> None:
    reported = context.terminal.fetched()
    done = [position for position, _, _ in reported]
    assert len(done) >= 5, f"{reported}; the last screen:\n{context.terminal.screen}"
    assert done == sorted(done), done
    assert {total for _, total, _ in reported} == {megabytes}, reported
    download_speed.assert_as_sent(reported[-1][2], context.hub)


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


@then("the partial file is kept")
def partial_kept(context: Context) -> None:
    sizes = [asked.begin + asked.sent for asked in context.hub.log.transfers()]
    context.partial_bytes = catalog.only_partial_file(context.world).stat().st_size
    assert 0 < context.partial_bytes <= max(sizes), (context.partial_bytes, sizes)


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


@then("it was asked for again after {seconds:g} s")
def asked_again_after(context: Context, seconds: float) -> None:
    """From the first request to the second; almost all of it is what the client waited."""
    first, second = context.hub.log.transfers()
    assert seconds <= second.at - first.at < seconds + _SLOW_MACHINE_S, (first, second)


@then("each transfer began exactly where the one before stopped")
def resumed_exactly(context: Context) -> None:
    asked = context.hub.log.transfers()
    assert len(asked) > 1, asked
    for before, after in pairwise(asked):
        assert after.begin == before.begin + before.sent, (before, after)
        assert after.status == 206, after


@then("the second transfer began at the end of the partial file")
def second_began_there(context: Context) -> None:
    asked = context.hub.log.transfers()
    assert len(asked) == 2, asked
    assert asked[1].begin == context.partial_bytes, (asked, context.partial_bytes)


@then("the speed shown at the end is that of the Hub")
def speed_of_hub(context: Context) -> None:
    reported = keeper_output.download_progress(context.run.stderr.text)
    download_speed.assert_as_sent(reported[-1][2], context.hub)


@when("a part of it has been reported")
def all_reported(context: Context) -> None:
    """The Hub has stopped in the middle, and closes nothing. There is a report each 0.1 s while
    something comes."""

    def settled() -> bool:
        last = context.fetch.events_of("downloading")[-1:]
        let_pass(0.4)
        return bool(
            last == context.fetch.events_of("downloading")[-1:]
            and last
            and last[0]["bytes_downloaded"] > 0.1 * _size(context)
        )

    wait_until("the last report of what was sent", settled, 10)


@then("both were told the same download")
def same_download(context: Context) -> None:
    assert context.fetch.id == context.other_fetch.id


@then("within {seconds:d} s that client is told as much as the first")
def told_as_much(context: Context, seconds: int) -> None:
    wait_until(
        "the same report to both",
        lambda: [each.events_of("downloading") for each in (context.fetch, context.other_fetch)],
        seconds,
        lambda both: both[1] and both[1][0] == both[0][-1],
    )


@then("the hive said that it is at {name}")
def told_where(context: Context, name: str) -> None:
    wanted = str(context.world.models / name)
    assert context.fetch.reply.json["local_path"] == wanted, context.fetch.reply


@then("the file {name} is the one on the Hub's branch {branch}")
def is_the_branchs(context: Context, name: str, branch: str) -> None:
    (repository,) = context.hub.repositories.values()
    path = context.world.models / name
    wanted = repository.branches[branch].blobs[path.name].sha256
    assert wanted != repository.branches["main"].blobs[path.name].sha256
    assert catalog.sha256(path) == wanted, path


@then("the preflight reports that all {count:d} parts count")
def parts_count(context: Context, count: int) -> None:
    parts = context.model_files.parts
    assert len(parts) == count, parts
    size = sum(path.stat().st_size for path in parts) / 1_000_000
    reported = keeper_output.memory_needs(context.run.stderr.text)
    assert (reported["size"], reported["required"]) == (round(size), round(1.2 * size)), reported


def _size(context: Context) -> int:
    (repository,) = context.hub.repositories.values()
    (blob,) = repository.branches["main"].blobs.values()
    return int(blob.size)


@given("{repository} was downloaded {count:d} times in the last month")
def is_known(context: Context, repository: str, count: int) -> None:
    context.hub.repositories[repository].downloads = count


@then('the Hub was last searched for "{words}" in GGUF, and for {count:d} repository')
@then('the Hub was last searched for "{words}" in GGUF, and for {count:d} repositories')
def searched_for(context: Context, words: str, count: int) -> None:
    asked = context.hub.log.searches()[-1]
    wanted = {"search": words, "filter": "gguf", "sort": "downloads", "limit": str(count)}
    assert asked.query == wanted, asked


@then("it lists {reference} with the bytes that are here")
def usage_of_partial(context: Context, reference: str) -> None:
    here = models_output.megabytes(catalog.only_partial_file(context.world).stat().st_size)
    shown = models_output.disk_usage(context.run.stdout.text)
    assert shown.rows == [(here, reference), (here, "total")], shown


@then("{model} is shown to fit")
def shown_to_fit(context: Context, model: str) -> None:
    *_, fits, _ = keeper_output.rows(context.run.stdout.text)[model]
    assert fits == "yes", context.run.stdout.text


@then("the Hub was asked for no file")
def no_file(context: Context) -> None:
    asked = [each for each in context.hub.log.all() if each.of_a_file]
    assert not asked, asked
