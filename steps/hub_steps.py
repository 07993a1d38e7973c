"""The Hub: what lies there, what goes wrong with it, and what it was asked for."""

from itertools import pairwise

from behave import given, then, when
from behave.runner import Context

from harness.breaking.port_squatters import squat
from harness.hub.faults import EACH_TIME
from harness.hub.request_log import Asked
from harness.world.processes import connected
from harness.world.waiting import wait_until

_TWICE_AT_MOST = 2 << 20
_SLOW_MACHINE_MS = 400


def _hub(context: Context) -> None:
    if "hub" not in context:
        context.hub = context.world.open_hub()


@given("the Hub has {repository} with {filename}, the {content} model")
def has_one(context: Context, repository: str, filename: str, content: str) -> None:
    _hub(context)
    context.hub.add_repository(repository, {filename: context.shelf.named(content)})


@given("the Hub has {repository} with these files")
def has_many(context: Context, repository: str) -> None:
    _hub(context)
    files = {row["file"]: context.shelf.named(row["content"]) for row in context.table}
    context.hub.add_repository(repository, files)


@given("the Hub has {repository} with the bundled model in {count:d} parts")
def has_parts(context: Context, repository: str, count: int) -> None:
    _hub(context)
    parts = context.shelf.parts
    assert len(parts) == count, parts
    context.hub.add_repository(repository, {path.name: path for path in parts})


@given("its branch {branch} has {filename}, the {content} model")
def has_branch(context: Context, branch: str, filename: str, content: str) -> None:
    (repository,) = context.hub.repositories.values()
    repository.commit(branch, {filename: context.shelf.named(content)})


@given("who wants {repository} needs the token {token}")
def gated(context: Context, repository: str, token: str) -> None:
    context.hub.repositories[repository].token = token


@given("the Hub sends {megabytes:d} MB a second")
@when("the Hub sends {megabytes:d} MB a second")
def speed(context: Context, megabytes: int) -> None:
    context.hub.faults.bytes_per_second = megabytes * 1_000_000


@given("a transfer {how} at {percent:d} % of the file, {times}")
def breaks_off(context: Context, how: str, percent: int, times: str) -> None:
    count = {"once": 1, "each time": EACH_TIME}[times]
    context.hub.faults.break_off(how, percent / 100, count)


@given("the Hub answers {status:d} to {count:d} requests for a {what:w}")
def refuses(context: Context, status: int, count: int, what: str) -> None:
    context.hub.faults.refuse(status, count, where=what)


@given("the Hub answers 429 to {count:d} request for a {what:w}, with Retry-After {seconds:d}")
def too_many(context: Context, count: int, what: str, seconds: int) -> None:
    context.hub.faults.refuse(429, count, retry_after=seconds, where=what)


@given("the Hub says another sha256 of {filename} in {repository} than it has")
def lies(context: Context, filename: str, repository: str) -> None:
    context.hub.repositories[repository].lie_about(filename)


@given("the Hub knows no ranges")
def no_ranges(context: Context) -> None:
    context.hub.faults.ignores_ranges = True


@given("the Hub redirects files to another host")
def redirects(context: Context) -> None:
    context.hub.redirect_files_to(context.world.network.address(4))


@given("{what} listens in the place of the Hub")
def squatter(context: Context, what: str) -> None:
    _hub(context)
    context.hub.down()
    context.world.closes(squat(what, *context.hub.address).close)


@when("the Hub goes down, and {what} listens in its place")
def squatter_instead(context: Context, what: str) -> None:
    squatter(context, what)


@when("somebody of this world is connected to the Hub")
def somebody_asks(context: Context) -> None:
    world, address = context.world, context.hub.address
    wait_until("a connection to the Hub", lambda: connected(world.processes(), address), 20)


@given("the Hub is down")
@when("the Hub goes down")
def down(context: Context) -> None:
    _hub(context)
    context.hub.down()


@when("the Hub comes up")
def comes_up(context: Context) -> None:
    context.hub.up()


@when("{filename} in {repository} is changed on the Hub to the {content} model")
def changed(context: Context, filename: str, repository: str, content: str) -> None:
    context.hub.repositories[repository].change(filename, context.shelf.named(content))


@when("{percent:d} % of {filename} has been sent")
def has_been_sent(context: Context, percent: int, filename: str) -> None:
    context.hub.wait_for_sent(filename, percent)


@then("{filename} is still being sent")
def still_sent(context: Context, filename: str) -> None:
    assert context.hub.log.transfers(filename)[-1].ended_at is None, _last(context)


def _last(context: Context) -> Asked:
    asked: Asked = context.hub.log.transfers()[-1]
    return asked


@then("the Hub was asked for nothing")
@then("the Hub was asked for nothing more")
def asked_for_nothing(context: Context) -> None:
    seen = context.hub.log.all()[context.asked_before if "asked_before" in context else 0 :]
    assert not seen, seen


@then("nothing but the header was asked of a file, not more than {megabytes:d} MB")
def only_a_header(context: Context, megabytes: int) -> None:
    assert context.hub.log.listings(), context.hub.log.all()
    assert not context.hub.log.transfers(), context.hub.log.transfers()
    assert context.hub.log.bytes_sent() <= megabytes * 1_000_000, context.hub.log.pieces()


@then("the Hub was asked for its header once, and for nothing else of it")
def header_once(context: Context) -> None:
    """So what it refused was not tried again."""
    asked = [each for each in context.hub.log.all() if each.of_a_file]
    assert [each.bounded for each in asked] == [True], asked


@then("nothing was sent of a file but its header")
def no_transfer(context: Context) -> None:
    assert not context.hub.log.transfers(), context.hub.log.transfers()


@then("the Hub was asked {count:d} times for {filename}")
@then("the Hub was asked {count:d} time for {filename}")
def asked_so_often(context: Context, count: int, filename: str) -> None:
    found = context.hub.log.transfers(filename)
    assert len(found) == count, found


@then("it was fetched in one transfer, whole")
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
    """From the moment at which one broke off to the next one's request."""
    asked = context.hub.log.transfers()
    assert len(asked) == count, asked
    gaps = [(after.at - before.ended_at) * 1000 for before, after in pairwise(asked)]
    wanted = [int(word) for word in pauses.replace(" and ", ", ").split(", ")]
    for gap, pause in zip(gaps, wanted, strict=True):
        assert pause <= gap < pause * 1.5 + _SLOW_MACHINE_MS, (gaps, wanted)


@then("the Hub saw a pause of at least {seconds:d} s before it was asked again for a {what}")
def pause_at_least(context: Context, seconds: int, what: str) -> None:
    log = context.hub.log
    asked = {"listing": log.listings, "header": log.pieces, "file": log.transfers}[what]()
    before, after = asked[:2]
    assert before.status == 429, before
    assert after.at - before.ended_at >= seconds, (before, after)


@then("each transfer began where the one before had come to, or at most 2 MiB before")
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
    """More of it goes out than when one looked first."""
    before = _last(context).sent
    wait_until("more to be sent", lambda: _last(context).sent, 2, lambda sent: sent > before)


@then("the token {token} was shown to the Hub, and never to the other host")
def token_shown(context: Context, token: str) -> None:
    asked = context.hub.log.all()
    shown = {each.authorization for each in asked if each.server == "hub" and each.of_a_file}
    told = [each for each in asked if each.server == "storage"]
    assert shown == {f"Bearer {token}"}, asked
    assert told, "no file came from the other host"
    assert not [each for each in told if each.authorization], told


@then("the Hub redirected as often as the other host was asked")
def redirected(context: Context) -> None:
    """Asked for the file; who only wants its header may ask as he likes."""
    asked = [each for each in context.hub.log.all() if each.of_a_file and not each.bounded]
    servers = [each.server for each in asked if each.method == "GET"]
    assert servers == ["hub", "storage"] * len(context.hub.log.transfers()), asked
