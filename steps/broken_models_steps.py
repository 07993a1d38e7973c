"""What breaks under a loaded model: its numbers, its file, or llama.cpp itself."""

from behave import given, then, when
from behave.runner import Context

from harness.model_files import changing
from harness.model_files.plain_llama import PlainLlama
from harness.watching import replies
from harness.watching.standalone_worker import StandaloneWorker
from harness.world import cluster
from harness.world.waiting import wait_until

_TOKENS = 8


# Results that are not numbers


@when("it is asked for an answer {count:d} time, which fails with {code}")
def fails(context: Context, count: int, code: str) -> None:
    for _ in range(count):
        answer = replies.error_of_stream(context.standalone.ask("hi", _TOKENS), within=20)
        assert answer.error["code"] == code, answer


@then("it says of its health that it is {state:w}")
def health_is(context: Context, state: str) -> None:
    """With the key and without."""
    for path in ("/health", "/v1/health"):
        reply = context.standalone.get(path)
        assert (reply.status, reply.json["status"]) == (200, state), reply


@then("there is one worker, which is {state:w}")
def one_worker(context: Context, state: str) -> None:
    context.worker = cluster.wait_for_state(context.world, state)


@then("the hive reported that worker as {state:w}")
def reported_as(context: Context, state: str) -> None:
    mine = context.worker["id"]
    context.watched.wait_for(
        "worker", within=10, good=lambda row: row["id"] == mine and row["state"] == state
    )


@then("another worker has answered, of the same hive")
def another_one(context: Context) -> None:
    row = cluster.wait_for_state(context.world, "idle")
    assert row["id"] != context.worker["id"], row
    world = context.world
    assert cluster.process_at(world, row["url"]).ppid() == context.hive_run.pid, row


# A file that changes


@given("a file <mine> that is the {what} model")
@given("a file <mine> that is the model <{what}>")
def my_file(context: Context, what: str) -> None:
    context.mine = context.world.tmp / "mine.gguf"
    changing.overwrite(context.mine, context.model_files.named(what))
    context.world.placeholders["mine"] = f"file:{context.mine}"


@given("a standalone worker for that file")
def worker_for_mine(context: Context) -> None:
    context.standalone = StandaloneWorker(context.world, "--slots 1", context.mine)


@when("the file <mine> becomes the model <{what}>, {how}")
def becomes(context: Context, what: str, how: str) -> None:
    """While its worker has it in memory."""
    change = {"is overwritten": changing.overwrite, "is replaced": changing.replace}[how]
    change(context.mine, context.model_files.named(what))


@when("a task is sent {{{body}}} and answered")
def answered(context: Context, body: str) -> None:
    context.execute_steps(f"when a client sends a task {{{body}}}")
    context.stream.wait_for_end(within=30)
    if not hasattr(context, "worker"):
        context.worker = cluster.only_worker(context.world)


@then("the answer is what <{what}> says")
def says(context: Context, what: str) -> None:
    judge = PlainLlama(context.model_files.named(what))
    wanted = judge.greedy("hi", _TOKENS)
    judge.close()
    found = "".join(event.data["token"] for event in context.stream.named("token"))
    assert found == wanted != "", (found, wanted, context.stream.events[-3:])


@then("the next request is refused with {code}, and a message that names the file")
def refused_by_name(context: Context, code: str) -> None:
    stream = context.standalone.ask("hi", _TOKENS)
    answer = replies.error_of_stream(stream, within=20)
    assert answer.error["code"] == code, answer
    context.message = answer.error["message"]
    assert str(context.mine) in context.message, context.message


@then("the worker ends with code {code:d}, and has logged that message")
def ends_in_order(context: Context, code: int) -> None:
    run = context.standalone.run
    assert run.wait(10) == code, run
    assert context.message in run.stderr.text, run.stderr.text


@when("an answer of <mine> with {count:d} tokens is under way")
def long_answer(context: Context, count: int) -> None:
    context.execute_steps(
        'when a client sends a task {"prompt":"write a long story","model":"<mine>",'
        f'"max_tokens":{count},"temperature":0,"ignore_eos":true}}'
    )
    wait_until("tokens", lambda: len(context.stream.named("token")) >= 3, 60)


@when("the file <mine> is {changed}")
def changes(context: Context, changed: str) -> None:
    change = {"cut short": changing.cut, "touched": changing.touch}[changed]
    change(context.mine)


@then("the answer breaks off with {code}, and a message that says that the file has changed")
def breaks_off(context: Context, code: str) -> None:
    answer = replies.error_of_stream(context.stream, within=20)
    assert answer.error["code"] == code, answer
    assert f"{context.mine} has changed" in answer.error["message"], answer


# A crash of llama.cpp


@then('its message says that llama.cpp can\'t load it, with its "{words}", and no line of ours')
def own_line(context: Context, words: str) -> None:
    message = context.answer.error["message"]
    assert "llama.cpp can't load" in message, message
    assert words in message, message
    assert "llm-worker-rbee" not in message, message


@then('its hint says "{words}"')
def hint_says(context: Context, words: str) -> None:
    assert words in context.answer.details["hint"], context.answer
