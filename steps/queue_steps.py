"""Tasks that wait for a free slot, and what they are told meanwhile."""

from itertools import pairwise

from behave import then, when
from behave.runner import Context

from harness.watching import answer_figures, replies, terminal_screen
from harness.watching.replies import Metrics
from harness.world import cluster
from harness.world.http_client import Event, EventStream
from harness.world.waiting import wait_until

_TOKENS = 2
_OF_THE_KEEPER = 30


@when("the tasks {one:w} and {other:w} wait in the queue")
def two_wait(context: Context, one: str, other: str) -> None:
    context.waiting = {}
    for name in (one, other):
        one_waits(context, name)


@when("the task {name:w} waits in the queue")
def one_waits(context: Context, name: str) -> None:
    context.waiting[name] = _send(context)
    context.waiting[name].wait_for("queued", within=10)


@when("somebody asks that worker itself for {tokens:d} tokens")
def asks_the_worker(context: Context, tokens: int) -> None:
    url = f"{context.worker['url']}/v1/inference"
    body = {"prompt": "Bees are", "max_tokens": tokens, "ignore_eos": True}
    context.direct = context.world.stream("POST", url, body)
    assert context.direct.refused is None, context.direct.refused
    context.direct.wait_for("token", within=20)


@when("that somebody goes away")
def direct_goes(context: Context) -> None:
    context.direct.close()


@then("the task in the queue is answered within {seconds:d} s")
def waiting_is_answered(context: Context, seconds: int) -> None:
    context.queued.wait_for("token", within=seconds)


@when("one more task is sent")
def one_more(context: Context) -> None:
    context.answer = replies.error_of_stream(_send(context), within=10)


def _send(context: Context) -> EventStream:
    body = {"prompt": "Bees are", "max_tokens": _TOKENS, "ignore_eos": True}
    return cluster.send_task(context.world, body)


@when("somebody waits in the queue")
def somebody_waits(context: Context) -> None:
    url = f"{context.world.queen_url}/metrics"
    wait_until(
        "a task to wait",
        lambda: Metrics(context.world.call("GET", url).body.decode()).value("rbee_queue_waiting"),
        20,
        lambda waiting: waiting == 1,
    )


@when("the keeper waits in the queue")
def keeper_waits(context: Context) -> None:
    wait_until("the keeper to wait", lambda: _printed(context, "queued"), 20)


@then("they are told the places {places}")
def first_places(context: Context, places: str) -> None:
    first, second, last = context.waiting.values()
    queued = [stream.named("queued") for stream in (first, second)]
    queued += [_printed(context, "queued"), last.named("queued")]
    told = [_place(events[0]) for events in queued]
    assert told == places.replace(" and ", ", ").split(", "), told


@then("the queen counts {tasks:d} tasks, {waiting:d} of them waiting, of {limit:d} that may")
def queen_counts(context: Context, tasks: int, waiting: int, limit: int) -> None:
    reply = context.world.call("GET", f"{context.world.queen_url}/metrics")
    seen = Metrics(reply.body.decode())
    names = ("rbee_tasks_running", "rbee_queue_waiting", "rbee_queue_limit")
    assert [seen.value(name) for name in names] == [tasks, waiting, limit], reply.body


@then("it says {total:d} slot in all and {busy:d} busy, and {waiting:d} waiting")
def says_who_waits(context: Context, total: int, busy: int, waiting: int) -> None:
    wanted = {"slots_total": total, "slots_busy": busy, "waiting": waiting}
    assert context.answer.details == wanted, context.answer
    assert str(waiting) in context.answer.message, context.answer


@when("a person asks, and is told to wait for the first time")
def asks_when_full(context: Context) -> None:
    context.late = context.world.start("rbee-keeper infer --prompt hi --max-tokens 1")
    wait_until(
        "a wait of the keeper",
        lambda: terminal_screen.waiting_lines(context.late.stderr.text),
        20,
    )


@then("the person is answered too, after no more than {count:d} waits")
def answered_late(context: Context, count: int) -> None:
    assert context.late.wait(30) == 0, context.late.stderr.text
    waits = terminal_screen.waiting_lines(context.late.stderr.text)
    assert 1 <= len(waits) <= count, waits


@when("the task {name:w} is deleted")
def delete_waiting(context: Context, name: str) -> None:
    assert _delete(context, name) == 204


@when("the tasks {one:w} and {other:w} are deleted once more")
def delete_again(context: Context, one: str, other: str) -> None:
    context.statuses = [_delete(context, name) for name in (one, other)]


@then("both are answered with {status:d}")
def both_answered(context: Context, status: int) -> None:
    assert context.statuses == [status] * 2, context.statuses


def _delete(context: Context, name: str) -> int:
    request_id = context.waiting[name].named("accepted")[0].data["request_id"]
    url = f"{context.world.queen_url}/v2/tasks/{request_id}"
    return int(context.world.call("DELETE", url).status)


@then("the task {name:w} ends with the error {code:w} and [DONE]")
def waiting_ends(context: Context, name: str, code: str) -> None:
    stream = context.waiting[name]
    assert replies.error_of_stream(stream, within=10).code == code, stream.events[-3:]
    assert stream.events[-1].name == "[DONE]", stream.events[-3:]
    assert not stream.named("started"), stream.events


@then("the tasks {one:w} and {other:w} are answered")
def both_are_answered(context: Context, one: str, other: str) -> None:
    for name in (one, other):
        context.waiting[name].wait_for_end(within=30)
        [done] = context.waiting[name].named("done")
        assert done.data["total_tokens"] == _TOKENS, done


@then("all that waited are answered, in the order in which they came")
def in_order(context: Context) -> None:
    first, last = context.waiting["first"], context.waiting["last"]
    for stream in (first, last):
        stream.wait_for_end(within=30)
    assert context.run.wait(30) == 0, context.run.stderr.text
    (one,), (two,), (three,) = _each(context, "started")
    assert one.at < two.at < three.at, (one, two, three)
    done = [event.data["total_tokens"] for (event,) in _each(context, "done")]
    assert done == [_TOKENS, _OF_THE_KEEPER, _TOKENS], done


@then("the task {name:w} was told its places: {places}")
def told_places(context: Context, name: str, places: str) -> None:
    told = [_place(event) for event in context.waiting[name].named("queued")]
    assert told == places.split(", "), told


@then("the person saw the places: {places}")
def saw_places(context: Context, places: str) -> None:
    told = [_place(event) for event in _printed(context, "queued")]
    shown = terminal_screen.places(context.run.stderr.text)
    assert shown == told == places.split(", "), (shown, told)


@then("nobody was told the same place twice in a row")
def told_once(context: Context) -> None:
    for name, stream in context.waiting.items():
        told = [_place(event) for event in stream.named("queued")]
        assert all(one != other for one, other in pairwise(told)), (name, told)


def _each(context: Context, name: str) -> list[list[Event]]:
    """The events with that name of those that were answered, in the order in which they came."""
    first, last = context.waiting["first"], context.waiting["last"]
    return [first.named(name), _printed(context, name), last.named(name)]


def _printed(context: Context, name: str) -> list[Event]:
    """The keeper's."""
    events = answer_figures.printed_events(context.run.stdout)
    return [event for event in events if event.name == name]


def _place(event: Event) -> str:
    return f"{event.data['position']} of {event.data['waiting']}"
