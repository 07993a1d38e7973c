"""Tasks of a session, and the worker that each of them gets."""

from behave import given, then, when
from behave.runner import Context

from harness.model_files.bundled import BUNDLED
from harness.watching import llama_server, sessions
from harness.world import cluster

_TEXT = "Tell me more about the color of the sky on a long evening in a warm summer. " * 4


@given("a second worker of the bundled model")
def second_worker(context: Context) -> None:
    cluster.spawn(context.world, BUNDLED)


@when(
    "a task of the session {long:w} streams, and meanwhile one of the session {short:w} is answered"
)
def meanwhile(context: Context, long: str, short: str) -> None:
    context.session_workers = sessions.both(context.world, long, short)


@then("they have different workers")
def different(context: Context) -> None:
    one, other = context.session_workers
    assert one != other, one


@when("tasks of the sessions {names} are answered")
def are_answered(context: Context, names: str) -> None:
    each = names.split(", ")
    context.answered_by = [(name, sessions.answered_by(context.world, name)) for name in each]


@then("llama.cpp's slots and properties are those of both workers")
def both_workers(context: Context) -> None:
    slots, props = (
        llama_server.ask(context.world, route) for route in ("GET /slots", "GET /props")
    )
    assert [each["id"] for each in slots] == [0, 1], slots
    assert props["total_slots"] == 2, props


@then("each is answered by the worker of its session")
def by_its_worker(context: Context) -> None:
    wanted = dict(zip("ab", context.session_workers, strict=True))
    assert all(worker == wanted[name] for name, worker in context.answered_by), (
        wanted,
        context.answered_by,
    )


@when(
    "the session whose worker is not the first choice is asked for chats, by key, by header, and "
    "by neither"
)
def by_key_and_header(context: Context) -> None:
    world, of = context.world, dict(context.answered_by)
    (first_choice,) = {sessions.answered_by(world, "a new one"), sessions.answered_by(world, "c")}
    (name,) = [name for name, worker in of.items() if worker != first_choice]
    context.session_of_second, context.first_choice = name, first_choice
    by_key = sessions.cached(world, _TEXT, key=name)
    by_header = sessions.cached(world, _TEXT, header=name)
    more = [sessions.cached(world, _TEXT, header=name, called=each) for each in sessions.HEADERS]
    context.more = [found / length for found, length in more]
    context.more += sessions.cached_elsewhere(world, _TEXT, name)
    context.cached = [by_key, by_header, sessions.cached(world, _TEXT)]


@then("only the second of them has found its prompt in the cache")
def only_the_second(context: Context) -> None:
    parts = [found / length for found, length in context.cached]
    assert parts[0] < 0.5 < 0.9 < parts[1] <= 1 and parts[2] < 0.5, context.cached


@then("whatever header names the session, it has found it there, and so have other protocols")
def every_name(context: Context) -> None:
    assert len(context.more) == len(sessions.HEADERS) + 2, context.more
    assert all(0.9 < part <= 1 for part in context.more), context.more


@then("a task of {name:w} under the name of that session goes to the first choice")
def another_key(context: Context, name: str) -> None:
    holder = context.holders[name]
    found = sessions.answered_by_key(context.world, context.session_of_second, holder)
    assert found == context.first_choice, found


@then("a completion for a slot of llama.cpp's goes back to its worker, too")
def by_slot(context: Context) -> None:
    part = sessions.cached_by_slot(context.world, _TEXT.upper(), 7)
    assert 0.9 < part <= 1, part
