"""What a worker has counted, beside what its streams said."""

from behave import then, when
from behave.runner import Context

from harness.watching import failures, standalone_worker
from harness.watching.metrics import Metrics
from harness.world.calls import call
from harness.world.waiting import wait_until


@when("three answers are made, one is canceled, and one is refused")
def five_requests(context: Context) -> None:
    hand = context.hand
    context.streams = [hand.answer(f"Story {number}: once", 10 + number) for number in range(3)]
    canceled = hand.ask("Once upon a time", 1000)
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(canceled)) >= 3, 30)
    refused = hand.ask("word " * 9000, 5).refused
    assert refused is not None
    assert refused.status == 400, refused
    assert hand.delete(canceled.named("accepted")[0].data["request_id"]).status == 204
    canceled.wait_for_end(within=10)
    context.canceled = canceled
    context.metrics = _read(context)


@when("an answer is under way")
def under_way(context: Context) -> None:
    context.prompt = "Once upon a time"
    context.stream = context.hand.ask(context.prompt, 300)
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(context.stream)) >= 3, 30)


def _read(context: Context) -> Metrics:
    reply = context.hand.get("/metrics")
    assert reply.status == 200, reply
    assert reply.headers.get_content_type() == "text/plain", reply.headers
    return Metrics(reply.body.decode())


@then("its counters of tokens are the sums of what the streams said")
def token_counters(context: Context) -> None:
    """Of the canceled answer some tokens may have been made that its reader did not see."""
    done = [standalone_worker.done_of(stream) for stream in context.streams]
    made = sum(one["total_tokens"] for one in done) + len(
        standalone_worker.pieces_of(context.canceled)
    )
    counted = context.metrics.value("rbee_tokens_generated_total")
    assert made <= counted <= made + 3, (made, counted)
    cached = sum(one["cached_tokens"] for one in done)
    assert context.metrics.value("rbee_tokens_cached_total") >= cached
    prompts = sum(one["prompt_tokens"] for one in done) + len(
        context.shelf.teacher.tokens("Once upon a time")
    )
    read_or_cached = sum(
        context.metrics.value(f"rbee_tokens_{what}_total") for what in ("read", "cached")
    )
    assert read_or_cached == prompts, (read_or_cached, prompts)


@then("it has counted every request by its outcome")
def outcomes(context: Context) -> None:
    counted = context.metrics.by_label("rbee_requests_total", "outcome")
    assert counted == {"done": 3, "canceled": 1, "refused": 1}, counted


@then("its histograms hold as many first tokens as there were, in all as long as they took")
def histograms(context: Context) -> None:
    name = "rbee_time_to_first_token_seconds"
    assert context.metrics.value(f"{name}_count") == 4
    assert context.metrics.value(f"{name}_bucket", le="+Inf") == 4
    told = [
        standalone_worker.done_of(stream)["time_to_first_token_ms"] for stream in context.streams
    ]
    assert context.metrics.value(f"{name}_sum") > sum(told) / 1000 * 0.99, told
    name = "rbee_time_per_token_seconds"
    assert context.metrics.value(f"{name}_count") > 0
    assert context.metrics.value(f"{name}_sum") > 0


@then("it says that {total:d} slots are there, and that {busy:d} are busy")
@then("it says that {total:d} slots are there, and that {busy:d} is busy")
def slots(context: Context, total: int, busy: int) -> None:
    metrics = _read(context)
    found = metrics.value("rbee_slots"), metrics.value("rbee_slots_busy")
    assert found == (total, busy), found


@then("its memory is that of the process")
def memory(context: Context) -> None:
    told = _read(context).value("rbee_memory_bytes") / 1_000_000
    is_so = context.hand.memory_mb()
    assert abs(told - is_so) < is_so * 0.1, (told, is_so)


@when("its metrics are asked for without a key")
def without_key(context: Context) -> None:
    context.answer = failures.of_reply(call("GET", f"{context.hand.url}/metrics"))
