"""The events and figures of an answer, compared with the clock, the processes and the wire."""

import json

from behave import then, when
from behave.runner import Context

from harness.breaking.silent_reader import SilentReader
from harness.model_files.bundled import BUNDLED
from harness.watching import (
    answer_figures,
    asked_fields,
    keeper_output,
    replies,
    silences,
    standalone_worker,
)
from harness.world import cluster
from harness.world.waiting import wait_until

_LONGEST_S = 60
_LATE_COMMENT_S = 4
# How long the queen waits for the hive to say how a worker ended.
_EXIT_S = 3
_SLOW_MACHINE_S = 2
_REQUESTS = {"queen": "/v2/tasks", "worker": "/v1/inference"}
# Each token comes with twenty others: nearly two kilobytes.
_LIKELY = {
    "/v2/tasks": {"prompt": "Tell me a story", "logprobs": 20},
    "/v1/inference": {"prompt": "Tell me a story", "logprobs": 20, "stream": True},
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": "Tell me a story"}],
        "logprobs": True,
        "top_logprobs": 20,
        "stream": True,
    },
}


# What is asked


@when("a task is sent with these fields")
def send_fields(context: Context) -> None:
    context.fields = _fields(context)
    url = f"{context.world.queen_url}/v2/tasks"
    context.stream = context.world.stream("POST", url, context.fields)
    assert context.stream.refused is None, context.stream.refused
    context.stream.wait_for("token", within=60)


@then("the {who:w} was asked with these fields, and no others")
def asked_with(context: Context, who: str) -> None:
    request = context.proxy.requests_for("POST", _REQUESTS[who])[-1]
    found = asked_fields.differences(who, request.body, _fields(context))
    assert not found, found


@then("the worker was asked with the same fields and no others, and with the task's own id")
def asked_the_same(context: Context) -> None:
    (request,) = context.proxy.requests_for("POST", _REQUESTS["worker"])
    found = asked_fields.differences("worker", request.body, context.fields)
    assert not found, found
    accepted = [event.data for event in context.stream.named("accepted")]
    assert accepted == [{"request_id": asked_fields.id_of(request.body)}], accepted


@then("the worker was asked at last with the same fields and no others")
def asked_at_last(context: Context) -> None:
    request = context.proxy.requests_for("POST", _REQUESTS["worker"])[-1]
    found = asked_fields.differences("worker", request.body, context.fields)
    assert not found, found


def _fields(context: Context) -> dict[str, object]:
    return {row["field"]: json.loads(row["value"]) for row in context.table}


@then('the last prompt was sent as it is, "{text}"')
def sent_raw(context: Context, text: str) -> None:
    body = json.loads(context.proxy.requests_for("POST", "/v2/tasks")[-1].body)
    assert body["prompt"] == text.replace("\\n", "\n"), body
    assert body.get("messages") is None, body


# Its events


@then("the events name the request, the bundled model, that worker and {node:w}")
def events_name(context: Context, node: str) -> None:
    text = context.run.stdout.text
    started = keeper_output.data_of(text, "started")
    wanted = {
        "request_id": keeper_output.data_of(text, "accepted")["request_id"],
        "model": BUNDLED,
        "worker_id": context.worker["id"],
        "node": node,
        "prompt_tokens": keeper_output.data_of(text, "done")["prompt_tokens"],
    }
    assert started == wanted, (started, wanted)


@then("the tokens came one by one")
def one_by_one(context: Context) -> None:
    moments = context.measured.tokens_at
    together = answer_figures.came_together(moments)
    context.world.evidence.note(f"{together:.0%} of the tokens came together with another")
    assert answer_figures.are_one_by_one(moments), (together, moments)


@then("the text tells the same figures as the last event")
def same_figures(context: Context) -> None:
    done = keeper_output.data_of(context.run.stdout.text, "done")
    shown = keeper_output.summary(context.run.stderr.text)
    wanted = {
        "tokens": done["total_tokens"],
        "first_ms": round(done["time_to_first_token_ms"]),
        "rate": round(done["tokens_per_second"], 1),
    }
    assert shown == wanted, (shown, wanted)


@when("an answer is asked for while the first is busy, and one while the second is")
def ask_beside_each(context: Context) -> None:
    context.answered = []
    for worker in context.workers:
        body = {"prompt": "Bees are", "max_tokens": 4000, "ignore_eos": True}
        busy = context.world.stream("POST", f"{worker['url']}/v1/inference", body)
        busy.wait_for("token", within=20)
        _wait_for_states(context, {"busy", "idle"})
        run = context.world.start("rbee-keeper infer --json --prompt hi --max-tokens 2")
        assert run.wait(30) == 0, run.stderr.text
        context.answered.append(keeper_output.data_of(run.stdout.text, "started")["worker_id"])
        busy.close()
        _wait_for_states(context, {"idle"})


def _wait_for_states(context: Context, states: set[str]) -> None:
    wait_until(
        f"workers that are {states}",
        lambda: {row["state"] for row in cluster.workers(context.world)},
        10,
        lambda found: found == states,
    )


@then("each time the other one answered")
def other_answered(context: Context) -> None:
    first, second = (worker["id"] for worker in context.workers)
    assert context.answered == [second, first], (context.answered, context.workers)


# Its figures


@when("a prompt of at least {words:d} words is answered with at least {tokens:d} tokens")
def answer_for_the_clock(context: Context, words: int, tokens: int) -> None:
    """With more of both on a fast machine, where wrong figures would not be seen."""
    for more in (1, 2, 4, 8):
        asked_at = standalone_worker.now()
        prompt = standalone_worker.prompt_of_words(more * words, seed=more)
        context.stream = context.standalone.answer(prompt, more * tokens)
        context.measured = answer_figures.of_stream(context.stream, asked_at)
        if answer_figures.is_long_enough(context.measured):
            return
    raise AssertionError(f"too fast to be measured: {context.measured}")


@then("its figures are those of the clock")
def figures_are_so(context: Context) -> None:
    context.world.evidence.note(f"measured: {context.measured}")
    assert not answer_figures.faults(context.measured), context.measured


@then("the answer's figures are those of the clock, and its tokens came one by one")
def printed_figures(context: Context) -> None:
    context.measured = answer_figures.of_output(context.run)
    figures_are_so(context)
    one_by_one(context)


@then("its tokens are numbered from 0")
def numbered(context: Context) -> None:
    indexes = [event.data["index"] for event in context.stream.named("token")]
    assert indexes == list(range(len(indexes))), indexes


@then("the rate of an answer of one token is that of its whole time")
def rate_of_one(context: Context) -> None:
    stream = context.standalone.answer("Once upon a time", 1, cache_prompt=False)
    (done,) = (event.data for event in stream.named("done"))
    assert done["total_tokens"] == 1, done
    per_second = 1000 / done["duration_ms"]
    assert abs(done["tokens_per_second"] - per_second) < 0.01 * per_second, done


# What others tell of it


@then("meanwhile hive and queen list {free:d} of its {total:d} slots as free")
def free_meanwhile(context: Context, free: int, total: int) -> None:
    rows = [cluster.only_worker(context.world), *cluster.queens_workers(context.world)]
    found = [(row["slots_available"], row["slots_total"]) for row in rows]
    assert context.run.running
    assert found == [(free, total)] * 2, rows


@then("the hive says that it was last active when the answer ended")
def last_active(context: Context) -> None:
    """Much nearer to its last token than to its first."""
    measured = answer_figures.of_output(context.run)
    told = cluster.only_worker(context.world)["last_activity"]
    before = answer_figures.seconds_since(told, measured.done_at)
    took = measured.done_at - measured.tokens_at[0]
    assert -2 <= before <= took / 2, f"{before:.2f} s before its end, of {took:.2f} s"


# A silence in it


@then(
    "the queen breaks the silence with a comment after {seconds:d} s, and no hive is silent longer"
)
def comments_come(context: Context, seconds: int) -> None:
    wait_until("a comment", lambda: list(context.stream.comments), seconds + _LATE_COMMENT_S)
    for stream in (context.stream, context.watched):
        moments = [event.at for event in list(stream.events)]
        silences.judge(stream.opened_at, moments, list(stream.comments), seconds)


@when("the worker hangs in the middle of the answer")
def hangs(context: Context) -> None:
    context.before["worker"].suspend()


@then(
    "its worker was lost after as many of {count:d} tokens as came, silent for {seconds:d} s, "
    "by the clock too"
)
def lost(context: Context, count: int, seconds: int) -> None:
    tokens, told = context.stream.named("token"), context.stream.named("error")[0]
    error = told.data["error"]
    wanted = (
        f"The worker {context.worker['id']} on localhost was lost after {len(tokens)} of "
        f"{count} tokens: it was silent for {seconds} s."
    )
    assert error["message"] == wanted, (error["message"], wanted)
    assert error["details"]["tokens"] == len(tokens) < count, (error, len(tokens))
    took = told.at - tokens[-1].at
    assert seconds - 0.5 < took < seconds + _EXIT_S + _SLOW_MACHINE_S, took


@then("the answer has all of its {count:d} tokens")
def whole(context: Context, count: int) -> None:
    context.stream.wait_for_end(within=60)
    assert len(context.stream.named("token")) == count, context.stream.events[-3:]
    assert context.stream.named("done")[0].data["total_tokens"] == count
    assert context.stream.events[-1].name == "[DONE]", context.stream.events[-3:]


# Its end before its time


@when("its reader goes away")
def reader_goes(context: Context) -> None:
    context.stream.close()


@when(
    "a program asks the {who:w} at {route:S} for {count:d} tokens with what else was likely, and "
    "reads none"
)
def asks_and_reads_none(context: Context, who: str, route: str, count: int) -> None:
    url = context.world.queen_url if who == "queen" else context.worker["url"]
    asked = {**_LIKELY[route], "max_tokens": count, "ignore_eos": True}
    context.silent_reader = SilentReader(url + route, context.world.key, asked)
    context.world.add_cleanup(context.silent_reader.close)
    cluster.wait_for_state(context.world, "busy")


@then("the {who:w} has logged once that it gave up a client of {route:S}, in mid-answer")
def gave_up(context: Context, who: str, route: str) -> None:
    log = context.world.log_of("queen-rbee" if who == "queen" else context.worker["id"])
    told = [line for line in log.splitlines() if "took nothing" in line]
    assert len(told) == 1, told
    assert f"POST {route}: the client at 127." in told[0] and "for 2 s: given up" in told[0], told
    came = context.silent_reader.end()
    assert came.startswith(b"HTTP/1.1 200 ") and b"[DONE]" not in came, (came[:200], came[-200:])


@then("the worker is idle within {seconds:d} s, and the queen counts no task")
def idle_soon(context: Context, seconds: int) -> None:
    cluster.wait_for_state(context.world, "idle", within=seconds)
    reply = context.world.call("GET", f"{context.world.queen_url}/metrics")
    assert replies.Metrics(reply.body.decode()).value("rbee_tasks_running") == 0, reply.body


@then(
    "the error names that worker and {node:w}, and how many of {count:d} tokens came: exactly those"
)
def counts_those(context: Context, node: str, count: int) -> None:
    text = context.run.stdout.text
    came = len(keeper_output.tokens(text))
    error = keeper_output.data_of(text, "error")["error"]
    names = ("worker_id", "node", "tokens", "max_tokens")
    found = [error["details"][name] for name in names]
    assert found == [context.worker["id"], node, came, count], (found, came)
    assert f" {came} of {count} tokens" in error["message"], (error["message"], came)
    shown = context.run.stderr.text
    assert keeper_output.all_tokens_so_far(shown, count) == {came}, (shown, came)


@then("its details are those of {count:d} tokens, as many as were printed")
def cut_after(context: Context, count: int) -> None:
    text = context.run.stdout.text
    assert keeper_output.data_of(text, "error")["error"]["details"] == {"tokens": count}, text
    assert len(keeper_output.tokens(text)) == count, text


@then("exactly those are saved under the id of the request, readable only by its owner")
def those_are_saved(context: Context) -> None:
    text = context.run.stdout.text
    saved = keeper_output.saved_text(context.run.stderr.text, context.world.tmp)
    request_id = keeper_output.data_of(text, "accepted")["request_id"]
    assert saved.name == f"rbee-partial-{request_id}.txt", (saved, request_id)
    assert saved.stat().st_mode & 0o777 == 0o600, oct(saved.stat().st_mode)
    words = "".join(token["token"] for token in keeper_output.tokens(text))
    assert saved.read_text() == words != "", saved.read_text()


@when("an answer of {tokens:d} tokens is asked for with each of these faults on its way")
def ask_with_each_fault(context: Context, tokens: int) -> None:
    line = f'rbee-keeper infer --prompt "write a short story" --max-tokens {tokens} --temperature 0'
    context.runs, context.saved, context.rows = [], [], list(context.table)
    for row in context.rows:
        context.proxy.break_task_streams(row["fault"], row["before"], int(row["number"]))
        context.runs.append(context.world.start(line))
        context.runs[-1].wait(_LONGEST_S)
        errors = context.runs[-1].stderr.text
        tmp, earlier = context.world.tmp, context.saved
        context.saved.append(keeper_output.saved_text(errors, tmp, earlier))


@then("each exits with 1 and STREAM_TRUNCATED, saves the text so far, and shows no summary")
def each_is_truncated(context: Context) -> None:
    for run, saved in zip(context.runs, context.saved, strict=True):
        errors = run.stderr.text
        assert run.exit_code == 1, errors
        assert keeper_output.error_codes(errors) == ["STREAM_TRUNCATED"], errors
        assert "tokens/s" not in errors, errors
        assert saved.stat().st_mode & 0o777 == 0o600, oct(saved.stat().st_mode)
        assert saved.read_text().strip() == run.stdout.text.strip() != "", saved.read_text()


@then("each says how many of {wanted:d} tokens came, and took as long as it says there")
def each_counts(context: Context, wanted: int) -> None:
    for run, row in zip(context.runs, context.rows, strict=True):
        errors = run.stderr.text
        assert keeper_output.tokens_so_far(errors, wanted) == int(row["tokens"]), (row, errors)
        line = keeper_output.error_line(errors, "STREAM_TRUNCATED")
        assert f" {row['tokens']} tokens" in line, (row, line)
        assert int(row["least_s"]) <= run.took < int(row["most_s"]), (row, run.took)
