"""The Hub, the catalog and the models folder."""

import os
from itertools import pairwise
from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.breaking.machine_faults import SmallDisk, occupy_port
from harness.hub.faults import EACH_TIME, ODD_LISTINGS
from harness.hub.hub import open_hub
from harness.hub.request_log import HubRequest
from harness.watching import catalog
from harness.world import cluster
from harness.world.cluster import Download
from harness.world.processes import connected
from harness.world.waiting import wait_until

_TWICE_AT_MOST = 2 << 20
_SLOW_MACHINE_MS = 800


# What is on the Hub


def _hub(context: Context) -> None:
    if "hub" not in context:
        context.hub = open_hub(context.world)


@given("the Hub has {repository} with {filename}, the {content} model")
def has_one(context: Context, repository: str, filename: str, content: str) -> None:
    _hub(context)
    context.hub.add_repository(repository, {filename: context.model_files.named(content)})


@given("the Hub has {repository} with these files")
def has_many(context: Context, repository: str) -> None:
    _hub(context)
    files = {row["file"]: context.model_files.named(row["content"]) for row in context.table}
    context.hub.add_repository(repository, files)


@given("the Hub has {repository} with the bundled model in {count:d} parts")
def has_parts(context: Context, repository: str, count: int) -> None:
    _hub(context)
    parts = context.model_files.parts
    assert len(parts) == count, parts
    context.hub.add_repository(repository, {path.name: path for path in parts})


@given("its branch {branch} has {filename}, the {content} model")
def has_branch(context: Context, branch: str, filename: str, content: str) -> None:
    (repository,) = context.hub.repositories.values()
    repository.commit(branch, {filename: context.model_files.named(content)})


@when("{repository:S} is taken off the Hub")
def taken_off(context: Context, repository: str) -> None:
    del context.hub.repositories[repository]


@when("{filename} in {repository} is changed on the Hub to the {content} model")
def changed(context: Context, filename: str, repository: str, content: str) -> None:
    context.hub.repositories[repository].change(filename, context.model_files.named(content))


@given("{repository} requires the token {token}")
def gated(context: Context, repository: str, token: str) -> None:
    context.hub.repositories[repository].token = token


@given("the Hub reports a wrong sha256 for {filename} in {repository}")
def lies(context: Context, filename: str, repository: str) -> None:
    context.hub.repositories[repository].lie_about(filename)


# What goes wrong with the Hub


@given("the Hub sends {megabytes:d} MB a second")
@when("the Hub sends {megabytes:d} MB a second")
def speed(context: Context, megabytes: int) -> None:
    context.hub.faults.bytes_per_second = megabytes * 1_000_000


@given("a transfer {how} at {percent:d} % of the file, {times}")
def breaks_off(context: Context, how: str, percent: int, times: str) -> None:
    count = {"once": 1, "each time": EACH_TIME}[times]
    context.hub.faults.break_off(how, percent / 100, count)


@given("the Hub answers {status:d} to {count:d} requests for a {what:w}")
@given("the Hub answers {status:d} to {count:d} request for a {what:w}")
def refuses(context: Context, status: int, count: int, what: str) -> None:
    context.hub.faults.refuse(status, count, where=what)


@given("the Hub answers 429 to {count:d} request for a {what:w}, with Retry-After {seconds:d}")
def too_many(context: Context, count: int, what: str, seconds: int) -> None:
    context.hub.faults.refuse(429, count, retry_after=seconds, where=what)


@given("the Hub's listings {how}")
def odd_listings(context: Context, how: str) -> None:
    context.hub.faults.listings = ODD_LISTINGS[how]


@given("the Hub does not support ranges")
def no_ranges(context: Context) -> None:
    context.hub.faults.ignores_ranges = True


@given("the Hub redirects files to another host")
def redirects(context: Context) -> None:
    context.hub.redirect_files_to(context.world.network.address(4))


@given("{what} listens in the place of the Hub")
@when("{what} listens in the place of the Hub")
def squatter(context: Context, what: str) -> None:
    _hub(context)
    context.hub.down()
    context.world.add_cleanup(occupy_port(what, *context.hub.address).close)


@given("the Hub is down")
@when("the Hub goes down")
def down(context: Context) -> None:
    _hub(context)
    context.hub.down()


@when("the Hub comes up")
def comes_up(context: Context) -> None:
    context.hub.up()


# What the Hub was asked for


@when("a program is connected to the Hub")
def somebody_asks(context: Context) -> None:
    world, address = context.world, context.hub.address
    wait_until("a connection to the Hub", lambda: connected(world.processes(), address), 20)


@when("{percent:d} % of {filename} has been sent")
def has_been_sent(context: Context, percent: int, filename: str) -> None:
    context.hub.wait_for_sent(filename, percent)


@then("{filename} is still being sent")
def still_sent(context: Context, filename: str) -> None:
    assert context.hub.log.transfers(filename)[-1].ended_at is None, _last(context)


def _last(context: Context) -> HubRequest:
    asked: HubRequest = context.hub.log.transfers()[-1]
    return asked


@then("the Hub was asked for nothing")
@then("the Hub was asked for nothing more")
def asked_for_nothing(context: Context) -> None:
    seen = context.hub.log.all()[context.asked_before if "asked_before" in context else 0 :]
    assert not seen, seen


@then("nothing but headers of files was asked for, at most {megabytes:d} MB")
def only_a_header(context: Context, megabytes: int) -> None:
    assert context.hub.log.listings(), context.hub.log.all()
    assert not context.hub.log.transfers(), context.hub.log.transfers()
    assert context.hub.log.bytes_sent() <= megabytes * 1_000_000, context.hub.log.pieces()


@then("the Hub was asked once for the file's header, and for nothing else of the file")
def header_once(context: Context) -> None:
    """So the file that it refused was not tried again."""
    asked = [each for each in context.hub.log.all() if each.of_a_file]
    assert [each.bounded for each in asked] == [True], asked


@then("nothing but headers of files was sent")
def no_transfer(context: Context) -> None:
    assert not context.hub.log.transfers(), context.hub.log.transfers()


@then("the Hub was asked {count:d} times for {filename}")
@then("the Hub was asked {count:d} time for {filename}")
def asked_so_often(context: Context, count: int, filename: str) -> None:
    found = context.hub.log.transfers(filename)
    assert len(found) == count, found


@then("it was fetched whole, in one transfer")
def one_transfer(context: Context) -> None:
    (asked,) = context.hub.log.transfers()
    (size,) = _sizes(context)
    assert (asked.begin, asked.sent) == (0, size), asked


def _sizes(context: Context) -> set[int]:
    (repository,) = context.hub.repositories.values()
    return {blob.size for blob in repository.branches["main"].blobs.values()}


@then("the Hub saw pauses of {pauses} ms between {count:d} transfers")
@then("the Hub saw a pause of {pauses} ms between {count:d} transfers")
def pauses_were(context: Context, pauses: str, count: int) -> None:
    """From the moment at which one broke off to the request of the next."""
    asked = context.hub.log.transfers()
    assert len(asked) == count, asked
    gaps = [(after.at - before.ended_at) * 1000 for before, after in pairwise(asked)]
    wanted = [int(word) for word in pauses.replace(" and ", ", ").split(", ")]
    for gap, pause in zip(gaps, wanted, strict=True):
        assert pause <= gap < pause + _SLOW_MACHINE_MS, (gaps, wanted)
    if count > 2:  # a machine is not that slow each time
        least = min(gap / pause for gap, pause in zip(gaps, wanted, strict=True))
        assert least < 1.25, (gaps, wanted)


@then("the Hub saw a pause of {seconds:d} s before it was asked again for a {what}")
def pause_before(context: Context, seconds: int, what: str) -> None:
    log = context.hub.log
    asked = {"listing": log.listings, "header": log.pieces, "file": log.transfers}[what]()
    before, after = asked[:2]
    assert before.status == 429, before
    pause = after.at - before.at
    assert seconds <= pause < 2 * seconds, (before, after)


@then("each transfer began where the one before stopped, or at most 2 MiB earlier")
def resumed(context: Context) -> None:
    asked = context.hub.log.transfers()
    assert len(asked) > 1, asked
    for before, after in pairwise(asked):
        came = before.begin + before.sent
        assert came - _TWICE_AT_MOST <= after.begin <= came, (before, after)
        assert after.status == (206 if after.begin else 200), after


@then("the second transfer began at {begin:d}")
def second_began(context: Context, begin: int) -> None:
    asked = context.hub.log.transfers()
    assert len(asked) == 2, asked
    assert asked[1].begin == begin, asked


@then("the transfer ends at the Hub within {seconds:d} s, unfinished")
def transfer_ends(context: Context, seconds: int) -> None:
    ended = wait_until(
        "the transfer to end",
        lambda: _last(context),
        seconds,
        lambda asked: asked.ended_at is not None,
    )
    assert ended.begin + ended.sent < min(_sizes(context)), ended


@then("the transfer goes on")
def transfer_goes_on(context: Context) -> None:
    """It has begun by now, or begins, and more has been sent than at the first look."""
    wait_until("a transfer", context.hub.log.transfers, 10)
    before = _last(context).sent
    wait_until("more to be sent", lambda: _last(context).sent, 2, lambda sent: sent > before)


@then("the token {token} was sent to the Hub, and never to the other host")
def token_shown(context: Context, token: str) -> None:
    asked = context.hub.log.all()
    shown = {each.authorization for each in asked if each.server == "hub" and each.of_a_file}
    reported = [each for each in asked if each.server == "storage"]
    assert shown == {f"Bearer {token}"}, asked
    assert reported, "no file came from the other host"
    assert not [each for each in reported if each.authorization], reported


@then("the Hub redirected as often as the other host was asked")
def redirected(context: Context) -> None:
    """For the file itself; any number of requests may ask for its header."""
    asked = [each for each in context.hub.log.all() if each.of_a_file and not each.bounded]
    servers = [each.server for each in asked if each.method == "GET"]
    assert servers == ["hub", "storage"] * len(context.hub.log.transfers()), asked


# Downloads


@given("{model} has been fetched before")
def fetched_before(context: Context, model: str) -> None:
    Download(context.world, model).wait_for_end(within=20)
    context.asked_before = len(context.hub.log.all())


@when("the hive is asked to fetch {model}")
def fetch(context: Context, model: str) -> None:
    context.fetch = Download(context.world, model)
    context.stream = context.fetch.stream


@then("it is fetched")
def it_is_fetched(context: Context) -> None:
    context.fetch.wait_for_end(within=30)
    complete = context.fetch.events_of("complete")
    assert len(complete) == 1, context.stream.events[-3:]
    assert context.stream.events[-1].name == "[DONE]", context.stream.events[-3:]


# The models folder


@given("the models folder is on a disk of {megabytes:d} MB")
def small_disk(context: Context, megabytes: int) -> None:
    context.disk = SmallDisk(context.world.root / "small-disk", megabytes)
    context.world.add_cleanup(context.disk.close)
    context.world.set("models", "dir", str(context.disk.path))


@given("a person placed the {content} model at {name} in the models folder")
@when("a person places the {content} model at {name} in the models folder")
def placed(context: Context, content: str, name: str) -> None:
    catalog.add_file(context.world, context.model_files.named(content), name)


@given("{name} in the models folder is another name of {file}")
def other_name(context: Context, name: str, file: str) -> None:
    os.link(context.world.models / file, context.world.models / name)


@given("{name} in the models folder is a link to the {content} model")
def linked_file(context: Context, name: str, content: str) -> None:
    copy = catalog.copy_elsewhere(context.world, context.model_files.named(content))
    context.world.placeholders["linked file"] = str(copy)
    catalog.link_file(context.world, copy, name)


@given("{name} in the models folder is a link to a folder with the {content} model")
def linked_folder(context: Context, name: str, content: str) -> None:
    copy = catalog.copy_elsewhere(context.world, context.model_files.named(content))
    context.world.placeholders["linked folder"] = str(copy.parent)
    catalog.link_file(context.world, copy.parent, name)


@then("<linked folder> holds {name:S}, and nothing else")
def linked_folder_holds(context: Context, name: str) -> None:
    folder = Path(context.world.placeholders["linked folder"])
    assert [each.name for each in folder.iterdir()] == [name], [*folder.iterdir()]


@then("the file {name} is still there")
def still_there(context: Context, name: str) -> None:
    assert (context.world.models / context.world.expand(name)).is_file()


@then("the partial file has at least {percent:d} % of {filename}")
def partial_has(context: Context, percent: int, filename: str) -> None:
    partial = catalog.only_partial_file(context.world)
    share = 100 * partial.stat().st_size / context.hub.blob(filename).size
    assert share >= percent, f"{share:.1f} %"


@then("no partial file is left")
def no_partial(context: Context) -> None:
    assert not catalog.partial_files(context.world), catalog.partial_files(context.world)


@then("the models folder holds {names}")
def folder_holds(context: Context, names: str) -> None:
    wanted = [] if names == "no model" else names.replace(" and ", ", ").split(", ")
    assert catalog.models_on_disk(context.world) == sorted(wanted), (
        catalog.models_on_disk(context.world),
        wanted,
    )


@then("the file {name} is the one on the Hub")
def is_the_hubs(context: Context, name: str) -> None:
    """By the sha256 that the Hub reports."""
    path = context.world.models / name
    assert catalog.sha256(path) == context.hub.blob(path.name).sha256, (path, path.stat().st_size)


# The catalog


@given("there is a catalog, and it is damaged")
def damage_before(context: Context) -> None:
    catalog.add_file(context.world, context.model_files.named("small"), "lab/any/small.gguf")
    run = context.world.start("rbee-keeper models list")
    assert run.wait(within=10) == 0, run.stderr.text
    context.noise = catalog.damage(context.world)


@then("SQLite finds one row by provider hf and reference {reference}, with the contract's columns")
def one_row(context: Context, reference: str) -> None:
    context.row = catalog.row(context.world, reference)
    assert set(context.row) == catalog.COLUMNS, context.row


@then("the hive's list has {reference} as {state}")
def hive_lists(context: Context, reference: str, state: str) -> None:
    listed = catalog.listed_as(context.world, reference)
    assert listed["state"] == state, listed


@given("a worker for {model} is ready")
def worker_ready(context: Context, model: str) -> None:
    cluster.spawn(context.world, context.world.expand(model))


@then("the only worker is idle, with the model {model}, on {backend:w} {device:d}")
def only_worker_idle(context: Context, model: str, backend: str, device: int) -> None:
    row = cluster.wait_for_state(context.world, "idle")
    found = (row["model_ref"], row["backend"], row["device"])
    assert found == (model, backend, device), row
