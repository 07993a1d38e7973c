"""Fetching: how it is told, by a hive and at the command line, and what is there after it."""

import signal

from behave import given, then, when
from behave.runner import Context

from harness.watching import failures, keeper_output
from harness.world import cluster
from harness.world.fetching import Fetch


@given("{model} has been fetched before")
def fetched_before(context: Context, model: str) -> None:
    Fetch(context.world, model).wait_for_end(within=20)
    context.asked_before = len(context.hub.log.all())


@when("the hive is asked to fetch {model}")
def fetch(context: Context, model: str) -> None:
    context.fetch = Fetch(context.world, model)
    context.stream = context.fetch.stream


@when("somebody who wants to run {model} asks the hive to fetch it")
def fetch_to_run(context: Context, model: str) -> None:
    context.fetch = Fetch(context.world, model, to_run=True)
    context.stream = context.fetch.stream


@when("{model} is asked for, detached")
def fetch_detached(context: Context, model: str) -> None:
    context.fetch = Fetch(context.world, model, detach=True)


@when("the one who watches goes")
def watcher_goes(context: Context) -> None:
    context.fetch.stream.close()


@when("another one asks the hive to fetch {model}")
def fetch_too(context: Context, model: str) -> None:
    context.other_fetch = Fetch(context.world, model)


@when("somebody follows a download that there is not")
def fetch_of_nobody(context: Context) -> None:
    url = f"{context.world.hive_url}/v1/models/download/progress?id=nobody"
    context.answer = failures.of_reply(context.world.call("GET", url))


@then("it is fetched")
def it_is_fetched(context: Context) -> None:
    context.fetch.wait_for_end(within=30)
    complete = context.fetch.told("complete")
    assert len(complete) == 1, context.stream.events[-3:]
    assert context.stream.events[-1].name == "[DONE]", context.stream.events[-3:]


@then("both were told of the bytes and that it is complete")
def both_complete(context: Context) -> None:
    for each in (context.fetch, context.other_fetch):
        each.wait_for_end(within=30)
        assert each.told("downloading"), each.stream.events
        assert each.told("complete"), each.stream.events
    assert context.fetch.told("complete") == context.other_fetch.told("complete")


@then("the stream told bytes, more and more, of {total:d}, at about {speed:d} MB/s")
def bytes_rise(context: Context, total: int, speed: int) -> None:
    told = context.fetch.told("downloading")
    bytes_told = [data["bytes_downloaded"] for data in told]
    assert len(set(bytes_told)) >= 5, told
    assert bytes_told == sorted(bytes_told), bytes_told
    assert {data["bytes_total"] for data in told} == {total}, told
    speeds = [data["speed_mbps"] for data in told][len(told) // 2 :]
    assert all(speed * 0.5 < each < speed * 1.5 for each in speeds), speeds


@then("then that {name} is complete, then [DONE]")
def complete_and_done(context: Context, name: str) -> None:
    last, end = context.stream.events[-2:]
    wanted = {"stage": "complete", "local_path": str(context.world.models / name)}
    assert (last.name, {**last.data, **wanted}) == ("download", last.data), last
    assert end.name == "[DONE]", end


@then("it was told that attempt {attempt:d} of 6 follows in {delay:d} ms")
def told_a_retry(context: Context, attempt: int, delay: int) -> None:
    told = context.fetch.told("retrying")
    wanted = {"stage": "retrying", "attempt": attempt, "attempts": 6, "delay_ms": delay}
    assert told, context.stream.events
    assert {**told[0], **wanted} == told[0], told
    context.reason = str(told[0]["reason"])


@then("it was soon told that attempt {attempt:d} of 6 follows in {delay:d} ms")
def soon_told_a_retry(context: Context, attempt: int, delay: int) -> None:
    told = context.stream.wait_for(
        "download", 10, lambda data: (data["stage"], data.get("attempt")) == ("retrying", attempt)
    )
    assert told.data["delay_ms"] == delay, told


@then('the reason was "{words}"')
def the_reason(context: Context, words: str) -> None:
    assert words.lower() in context.reason.lower(), context.reason


@then("the details say {attempts:d} attempts and {percent:d} % of the bytes")
def details_say(context: Context, attempts: int, percent: int) -> None:
    found = context.answer.details
    assert found["attempts"] == attempts, found
    share = 100 * found["bytes_downloaded"] / found["bytes_total"]
    assert percent - 15 < share <= percent, found


@when("the hive dies of SIGKILL")
def hive_dies(context: Context) -> None:
    context.hive_run.send(signal.SIGKILL)
    assert context.hive_run.wait(within=5) == -signal.SIGKILL


@when("a hive is started again")
def hive_again(context: Context) -> None:
    context.hive_run = context.world.start_daemon("rbee-hive daemon")


@when("it is asked to fetch {model}, and killed at {percents} %, and asked again each time")
def killed_often(context: Context, model: str, percents: str) -> None:
    """Each time when so much of the file has been sent, whichever transfers it came in."""
    filename = model.rpartition("/")[2]
    for percent in percents.replace(" and ", ", ").split(", "):
        Fetch(context.world, model)
        context.hub.wait_for_sent(filename, int(percent))
        hive_dies(context)
        hive_again(context)
    fetch(context, model)


@when("two hives with one models folder are asked to fetch {model} at once")
def two_hives(context: Context, model: str) -> None:
    """The second as a hive is started beside another queen's: on a port of its own."""
    world = context.world
    world.start_daemon(f"rbee-hive daemon --port {world.hive_address[1] + 1}")
    other = f"http://{world.hive_address[0]}:{world.hive_address[1] + 1}"
    context.fetch, context.other_fetch = Fetch(world, model), Fetch(world, model, hive=other)
    context.stream = context.fetch.stream


@then("both are told that it is complete")
def both_done(context: Context) -> None:
    for each in (context.fetch, context.other_fetch):
        each.wait_for_end(within=30)
        assert each.told("complete"), each.stream.events


@then("standard error told how it went on, in percent of {megabytes:d} MB and in MB/s")
def told_percent(context: Context, megabytes: int) -> None:
    told = keeper_output.fetched(context.run.stderr.text)
    percents = [percent for percent, _, _ in told]
    assert len(set(percents)) >= 3, context.run.stderr.text
    assert percents == sorted(set(percents)), percents
    assert {total for _, total, _ in told} == {megabytes}, told
    assert all(speed > 0 for _, _, speed in told), told


@then("the terminal showed a bar that moved, in MB of {megabytes:d} MB and in MB/s")
def a_bar_of_bytes(context: Context, megabytes: int) -> None:
    told = context.terminal.fetched()
    done = [position for position, _, _ in told]
    assert len(done) >= 5, f"{told}; the last screen:\n{context.terminal.screen}"
    assert done == sorted(done), done
    assert {total for _, total, _ in told} == {megabytes}, told
    assert any(speed > 0 for _, _, speed in told), told


@then('the terminal showed a bar at about {at:d} of {total:d} MB, then "{words}", then more')
def bar_and_retry(context: Context, at: int, total: int, words: str) -> None:
    """About: the bar may be a step behind when it breaks, and where it broke it is drawn with the
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


@then("the queen that was started lasts")
def queen_lasts(context: Context) -> None:
    context.world.lasts(cluster.queen_health(context.world))


@when("two people run `{line}` at once")
def two_people(context: Context, line: str) -> None:
    context.two = [context.world.start(line), context.world.start(line)]


@then("both exit with {code:d}, having seen how it went on")
def both_exit(context: Context, code: int) -> None:
    for run in context.two:
        assert run.wait(within=60) == code, run.stderr.text
        assert len(keeper_output.fetched(run.stderr.text)) >= 2, run.stderr.text


@when("one of the two gets SIGINT")
def one_interrupted(context: Context) -> None:
    context.two[0].send(signal.SIGINT)
    assert context.two[0].wait(within=10) == 130, context.two[0].stderr.text


@then("the other one exits with {code:d}")
def other_exits(context: Context, code: int) -> None:
    assert context.two[1].wait(within=60) == code, context.two[1].stderr.text
