"""A worker that dies before the first token of its answer."""

from typing import Any

from behave import given, then, when
from behave.runner import Context

from harness.watching import replies, standalone_worker
from harness.world import cluster, processes
from harness.world.http_client import EventStream

_TOKENS = 8
_LONGEST_S = 90


@given("{name:w} has answered a task")
def has_answered(context: Context, name: str) -> None:
    """It has a worker now, which is where others go."""
    stream = _send(context, "Bees are", node=name)
    stream.wait_for_end(_LONGEST_S)
    [started] = stream.named("started")
    assert started.data["node"] == name, started


@when("a task with a prompt of {words:d} words is read")
def is_read(context: Context, words: int) -> None:
    context.prompt = standalone_worker.prompt_of_words(words)
    context.stream = _send(context, context.prompt)
    context.stream.wait_for("prefill", within=_LONGEST_S)
    [context.first] = [event.data for event in context.stream.named("started")]


@when("another worker reads it, and is killed too")
def killed_too(context: Context) -> None:
    first = context.first["worker_id"]
    again = context.stream.wait_for("started", _LONGEST_S, lambda each: each["worker_id"] != first)
    context.second = again.data
    [url] = [row["url"] for row in cluster.workers(context.world)]
    processes.send_sigkill(cluster.process_at(context.world, url))


@then("the whole answer comes once, from another worker, on {node:w} and not on {other:w}")
def answer_elsewhere(context: Context, node: str, other: str) -> None:
    assert context.first["node"] == other, context.first
    whole_answer(context, node)


@then("the whole answer comes once, from another worker on {node:w}")
def whole_answer(context: Context, node: str) -> None:
    stream = context.stream
    stream.wait_for_end(_LONGEST_S)
    started = [event.data for event in stream.named("started")]
    assert len(started) == 2, stream.events[-3:]
    first, second = started
    assert first["worker_id"] != second["worker_id"], (first, second)
    assert second["node"] == node, second
    assert first["request_id"] == second["request_id"], (first, second)
    assert [event.data["index"] for event in stream.named("token")] == list(range(_TOKENS))
    [done] = stream.named("done")
    assert done.data["total_tokens"] == _TOKENS, done
    assert not stream.named("error"), stream.named("error")


@then('the task has told that the first has just gone, "{why}"')
def told_why(context: Context, why: str) -> None:
    gone = f"{context.first['worker_id']} has just gone {why}: looking again"
    assert _told_gone(context) == [gone], context.stream.events


@then("the task has told that the first has just gone")
def told_gone(context: Context) -> None:
    """Its hive can't say why any more."""
    [gone] = _told_gone(context)
    assert gone.startswith(f"{context.first['worker_id']} has just gone"), gone
    assert gone.endswith(": looking again"), gone


def _told_gone(context: Context) -> list[str]:
    told = [event.data["text"] for event in context.stream.named("narration")]
    return [text for text in told if "has just gone" in text]


@then("the queen's metrics have one wait for each of the two tasks")
def one_wait_each(context: Context) -> None:
    url = f"{context.world.queen_url}/metrics"
    seen = replies.Metrics(context.world.call("GET", url).body.decode())
    assert seen.value("rbee_queue_seconds_count") == 2, seen


@then("it names the second worker, 0 of {wanted:d} tokens, and signal 9")
def names_second(context: Context, wanted: int) -> None:
    details: dict[str, Any] = context.answer.details
    found = details["worker_id"], details["tokens"], details["max_tokens"]
    assert found == (context.second["worker_id"], 0, wanted), details
    assert f"after 0 of {wanted} tokens: it was ended by signal 9." in context.answer.message


@then("it says that two have ended with this request, with its model and its length")
def blames(context: Context) -> None:
    about = f"{context.first['model']}, a prompt of {len(context.prompt)} characters"
    end = f" It was the second worker that ended with this request: {about}."
    assert context.answer.message.endswith(end), context.answer.message


def _send(context: Context, prompt: str, **fields: object) -> EventStream:
    # With a seed, a prompt is read in parts that take half a second at most.
    body = {"prompt": prompt, "max_tokens": _TOKENS, "ignore_eos": True, "seed": 1, **fields}
    return cluster.send_task(context.world, body)
