"""Keys with names: what their holders may do, see and lose."""

import re
from datetime import datetime, timedelta

from behave import given, then, when
from behave.runner import Context

from harness.watching import key_sweep, logs, named_keys, replies
from harness.watching.named_keys import Holder
from harness.watching.replies import Metrics
from harness.world import cluster

_LONGEST_S = 60


def _holder(context: Context, name: str) -> Holder:
    if "holders" not in context:
        context.holders = {}
    holders: dict[str, Holder] = context.holders
    return holders.setdefault(name, Holder(context.world, name))


# Keys


@given("a key for {name:w}")
def a_key(context: Context, name: str) -> None:
    a_key_with(context, name, "")


@given("a key for {name:w} with `{flags}`")
def a_key_with(context: Context, name: str, flags: str) -> None:
    _holder(context, name).is_given_a_key(flags)


@given("a key for {name:w} that another queen made")
def another_queens_key(context: Context, name: str) -> None:
    _holder(context, name).has_a_key_of_another_queen()


@given("the {name:w} asks with the queen's own key")
def own_key(context: Context, name: str) -> None:
    _holder(context, name).has_the_queens_own_key()


@when("the operator keeps in {name:w}'s key file what `{line}` prints")
def created_in_a_shell(context: Context, name: str, line: str) -> None:
    """With a umask that keeps nothing from anybody."""
    file = _holder(context, name).file
    context.run = context.world.start_in_shell(f"umask 0; {line} > {file}")
    context.run.wait(_LONGEST_S)


@then("the key of {name:w} is one word, of 256 bits, and begins as the list of keys shows it")
def key_form(context: Context, name: str) -> None:
    found = list(named_keys.complaints(context.world, _holder(context, name)))
    assert not found, found


@then("only its SHA-256 is in ~/.rbee/keys.json, which only its owner can read")
def kept_as_digest(context: Context) -> None:
    (holder,) = context.holders.values()
    found = list(named_keys.complaints_about_file(context.world, holder))
    assert not found, found


@then(
    "the key of {name:w} is in no file but that one, and in no command line, environment or output"
)
def key_is_nowhere(context: Context, name: str) -> None:
    holder = _holder(context, name)
    assert named_keys.places_of(context.world, holder) == [str(holder.file)]


@then("the keys of {one:w} and {other:w} are refused with {status:d}")
def keys_refused(context: Context, one: str, other: str, status: int) -> None:
    replied = [_holder(context, each).call("GET", "/v2/workers/list") for each in (one, other)]
    found = [(each.status, replies.error_of(each).code) for each in replied]
    assert found == [(status, "INVALID_API_KEY")] * 2, found


@when("half of ~/.rbee/keys.json is lost")
def half_lost(context: Context) -> None:
    file = named_keys.file_of(context.world)
    context.left = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(context.left)


@when("~/.rbee/keys.json is removed")
def keys_removed(context: Context) -> None:
    named_keys.file_of(context.world).unlink()


@then("the key of {name:w} is refused with {status:d}")
def key_refused(context: Context, name: str, status: int) -> None:
    reply = _holder(context, name).call("GET", "/v2/workers/list")
    found = reply.status, replies.error_of(reply).code
    assert found == (status, "INVALID_API_KEY"), found


@then("the key of {name:w} opens the queen, and what was left of keys.json is kept beside it")
def damaged_is_kept(context: Context, name: str) -> None:
    assert _holder(context, name).call("GET", "/v2/workers/list").status == 200
    file = named_keys.file_of(context.world)
    [kept] = file.parent.glob("keys.json.damaged-*")
    assert kept.read_bytes() == context.left, kept
    ago_s = cluster.now_unix() - int(kept.name.rpartition("-")[2])
    assert 0 <= ago_s < _LONGEST_S, kept


# What their holders do


@when("{name:w} runs `{line}`")
def holder_runs(context: Context, name: str, line: str) -> None:
    context.run = _holder(context, name).runs(line)
    context.run.wait(_LONGEST_S)


@when("every route of the queen is asked with the key of {name:w}")
def sweep(context: Context, name: str) -> None:
    world, holder = context.world, _holder(context, name)
    context.open = key_sweep.wrongly_open(world.queen_url, holder.key, name)
    context.closed = key_sweep.wrongly_closed(world.queen_url, holder.key, world.key)


@then("each that manages answers 403 with the error WRONG_ROLE, before a body is read")
def none_is_open(context: Context) -> None:
    assert not context.open, "\n".join(context.open)


@then("the others answer as they answer the operator")
def none_is_closed(context: Context) -> None:
    assert not context.closed, "\n".join(context.closed)


@then("{name:w} can't release the hold of the command that started the queen")
def owners_hold(context: Context, name: str) -> None:
    reply = _holder(context, name).call("DELETE", "/v2/hold/owner")
    assert (reply.status, replies.error_of(reply).code) == (403, "WRONG_ROLE"), reply


@when("the key of {name:w} is an hour older than it was")
def an_hour_older(context: Context, name: str) -> None:
    """While no queen runs: otherwise it was made in the minute in which it was used."""
    named_keys.make_older(context.world, name, seconds=3600)


@then("it lists {name:w} with {cells}, and the times of its making and its use")
def lists_key(context: Context, name: str, cells: str) -> None:
    """The times are local."""
    rows = [re.split(r" {2,}", line.strip()) for line in context.run.stdout.text.splitlines()]
    (row,) = [each for each in rows if each[0] == name]
    prefix, *told = row[1:-2]
    assert (prefix[:5], told) == ("rbee_", cells.split(", ")), row
    made, used = (datetime.strptime(each, "%Y-%m-%d %H:%M") for each in row[-2:])
    now, while_it_ran = datetime.now(), timedelta(minutes=10)
    an_hour_ago = datetime.fromtimestamp(now.timestamp() - 3600)
    assert an_hour_ago - while_it_ran < made <= an_hour_ago, row
    assert now - while_it_ran < used <= now, row


@then("{name:w} may not have a model loaded that may not fit")
def may_not_force(context: Context, name: str) -> None:
    reply = _holder(context, name).call("POST", "/v2/tasks", {"prompt": "hi", "force": True})
    assert (reply.status, replies.error_of(reply).code) == (403, "WRONG_ROLE"), reply


@then("{name:w} may not use {model:S}, which is a file by its path")
def may_not_use_file(context: Context, name: str, model: str) -> None:
    model = context.world.expand(model)
    code, error = _holder(context, name).answer_of(model)
    wanted = {"key": name, "model": model, "allowed": []}
    assert (code, error and error.details) == ("MODEL_NOT_ALLOWED", wanted), error


@then("{name:w} is shown the alias {alias:w}, which names a file")
def shown_alias(context: Context, name: str, alias: str) -> None:
    listed = [each["id"] for each in _holder(context, name).call("GET", "/v1/models").json["data"]]
    assert alias in listed, listed


@then("{name:w} may not take a model out of memory in Ollama's way")
def may_not_unload(context: Context, name: str) -> None:
    body = {"model": "smollm2", "keep_alive": 0}
    reply = _holder(context, name).call("POST", "/api/generate", body)
    assert (reply.status, reply.json["rbee"]["code"]) == (403, "WRONG_ROLE"), reply


@when("a task of {name:w} for {tokens:d} tokens streams, and another waits in the queue")
def two_tasks(context: Context, name: str, tokens: int) -> None:
    holder = _holder(context, name)
    holder.asks(tokens).wait_for("token", within=_LONGEST_S)
    holder.asks(1).wait_for("queued", within=10)


@when("{name:w} waits for a whole answer, too")
def waits_for_whole(context: Context, name: str) -> None:
    context.whole = _holder(context, name).asks_for_whole(1)


@then("the whole answer is refused with {status:d} by then")
def whole_refused(context: Context, status: int) -> None:
    reply = context.whole.result(timeout=2)
    assert reply.status == status, reply


@when("GET {path:S} is followed by {name:w}")
def follows(context: Context, path: str, name: str) -> None:
    assert _holder(context, name).follows("GET", path).refused is None


@when("{name:w} deletes that task, which is of the operator")
def deletes_of_another(context: Context, name: str) -> None:
    context.status = _holder(context, name).cancels(context.queued)


@then("that is answered with {status:d}, and the task still waits")
def still_waits(context: Context, status: int) -> None:
    """It is told each place: the last one is that of a task which waits."""
    assert context.status == status, context.status
    assert context.queued.reading, context.queued.events[-3:]
    assert context.queued.events[-1].name == "queued", context.queued.events[-3:]


@then("both tasks of {name:w} end within {seconds:d} s with the error {code:w} and [DONE]")
@then("what {name:w} followed ends within {seconds:d} s with the error {code:w} and [DONE]")
def streams_end(context: Context, name: str, seconds: int, code: str) -> None:
    streams = _holder(context, name).streams
    for stream in streams:
        assert replies.error_of_stream(stream, within=seconds).code == code, stream.events[-3:]
    assert streams


@then("{name:w} is told {code:w}, and no line of the worker's log")
def no_log_told(context: Context, name: str, code: str) -> None:
    error = replies.error_of_stream(_holder(context, name).streams[-1], within=10)
    assert (error.code, error.details["log_tail"]) == (code, []), error


# Limits and models


@when("{name:w} sends a task")
def sends(context: Context, name: str) -> None:
    context.answer = replies.error_of_stream(_holder(context, name).asks(1), within=10)


@when("{name:w} deletes a task that never was")
def deletes_none(context: Context, name: str) -> None:
    assert _holder(context, name).call("DELETE", "/v2/tasks/never").status == 204


@when("{name:w} deletes its task that waits")
def deletes_own(context: Context, name: str) -> None:
    holder = _holder(context, name)
    waiting = next(each for each in holder.streams if each.named("queued"))
    assert holder.cancels(waiting) == 204
    waiting.wait_for_end(within=5)


@when("{name:w} leaves its task that streams")
def leaves(context: Context, name: str) -> None:
    _holder(context, name).leaves()


@then("{name:w} may send another task, which {what:w}")
def may_send(context: Context, name: str, what: str) -> None:
    event = {"waits": "queued", "runs": "accepted"}[what]
    stream = _holder(context, name).asks(1)
    assert stream.refused is None, stream.refused
    stream.wait_for(event, within=10)


@when("{name:w} asks each of these models")
def asks_models(context: Context, name: str) -> None:
    holder = _holder(context, name)
    context.asked = []
    for row in context.table:
        model = None if row["model"] == "none" else context.world.expand(row["model"])
        context.asked.append((row, *holder.answer_of(model)))


@then(
    "each answer is as it says there, and each refusal names {name:w} and {allowed:S}, "
    "which is allowed"
)
def answers_fit(context: Context, name: str, allowed: str) -> None:
    found = [code for _, code, _ in context.asked]
    assert found == [row["answer"] for row, *_ in context.asked], context.asked
    for row, _, error in context.asked:
        model = context.world.expand(row["as"])
        wanted = {"key": name, "model": model, "allowed": [allowed]} if model else {}
        assert (error.details if error else {}) == wanted, error


@then("{name:w} is shown this model and its worker, and no other")
def shown(context: Context, name: str) -> None:
    holder = _holder(context, name)
    models = [row["reference"] for row in holder.call("GET", "/v2/models").json["models"]]
    workers = [row["model_ref"] for row in holder.call("GET", "/v2/workers/list").json["workers"]]
    assert models == workers == ["hf:lab/many/many-Q8_0.gguf"], (models, workers)
    found = {each["id"] for each in holder.call("GET", "/v1/models").json["data"]}
    assert found == {*models, "eight"}, found
    found = {each["name"] for each in holder.call("GET", "/api/tags").json["models"]}
    assert found == {*models, "eight:latest"}, found
    found = {each["name"] for each in holder.call("GET", "/api/ps").json["models"]}
    assert found == {"eight:latest"}, found
    for route in ("/props", "/slots"):
        reply = holder.call("GET", f"{route}?model=bundled:smollm2-135m-instruct")
        assert (reply.status, replies.error_of(reply).code) == (403, "MODEL_NOT_ALLOWED"), reply
    said = {"model": "smolm2", "messages": [{"role": "user", "content": "hi"}]}
    reply = holder.call("POST", "/v1/chat/completions", said)
    assert reply.status == 404 and "smollm2" not in reply.body.decode(), reply
    assert len(cluster.queens_workers(context.world)) == 2


# Logs and metrics


@then(
    "the queen's metrics count {tasks:d} task and {tokens:d} tokens of {one:w}, "
    "and {others:d} task and {more:d} tokens of {other:w}"
)
def counted(
    context: Context, tasks: int, tokens: int, one: str, others: int, more: int, other: str
) -> None:
    reply = context.world.call("GET", f"{context.world.queen_url}/metrics")
    metrics = Metrics(reply.body.decode())
    for key, *wanted in ((one, tasks, tokens), (other, others, more)):
        names = ("rbee_key_tasks_total", "rbee_key_tokens_total", "rbee_key_tasks_running")
        found = [metrics.value(name, key=key) for name in names]
        assert found == [*wanted, 0], (key, found)


@then('the queen\'s log names {name:w} in "{words}", and nobody else')
def logged(context: Context, name: str, words: str) -> None:
    lines = logs.written(context.world.home, "queen-rbee")
    assert any(line.endswith(f"] key={name} {words}") for line in lines), lines
    named = [line for line in lines if "key=" in line and f"] key={name} " not in line]
    assert not named, named
