"""All protocols at the same queen, each with the package that people have for it."""

from behave import then, when
from behave.runner import Context

from harness.watching import full_contexts, protocol_runs, reasoning, replies, responses_package
from harness.watching.every_protocol import ASK, Question
from harness.watching.responses_package import ResponsesPackage
from harness.world import cluster

_TURNS: dict[str, tuple[str, dict[str, object]]] = {
    "/v1/chat/completions": ("messages", {"temperature": 6}),
    "/v1/responses": ("input", {"temperature": 6}),
    "/v1/messages": ("messages", {"temperature": 6, "max_tokens": 1}),
    "/api/chat": ("messages", {"options": {"temperature": 6}}),
}
_LONG = "Tell me more about the color of the sky on a long evening in a warm summer. " * 8


@when("{first} streams a long answer, and the same conversation is asked in every other protocol")
def meanwhile(context: Context, first: str) -> None:
    context.meanwhile = protocol_runs.meanwhile(context.world, first, Question(_LONG, 4))


@then("each was answered while the first one streamed, after a prompt of the same length")
def each_answered(context: Context) -> None:
    assert len(context.meanwhile) == len(ASK) - 1, context.meanwhile
    for protocol, (answer, more) in context.meanwhile.items():
        assert answer.done and answer.text and more > 0, (protocol, answer, more)
    assert len({answer.read for answer, _ in context.meanwhile.values()}) == 1, context.meanwhile


@then("those that tell what was cached found nearly all of the prompt there")
def cached(context: Context) -> None:
    tells = {name: each for name, (each, _) in context.meanwhile.items() if each.cached >= 0}
    assert len(tells) == len(ASK) - 2, tells
    for protocol, answer in tells.items():
        assert 0.9 * answer.read < answer.cached < answer.read, (protocol, answer)


@when("{model} is asked to think, and not to think, in the protocols of others")
def thinks_or_not(context: Context, model: str) -> None:
    name = f"file:{context.model_files.named(model.strip('<>'))}"
    found = [reasoning.replies(context.world, name, thinks) for thinks in (True, False)]
    context.told = [reasoning.told(each) for each in found]
    context.thought = [reasoning.counted(each) for each in found]
    asked = {"model": name, "reasoning": {"effort": "low"}}
    context.events = ResponsesPackage(context.world.queen_url, context.world.key).events(asked)


@then('each tells that it thought "{thought}" apart from "{text}", or the text alone')
def thought_apart(context: Context, thought: str, text: str) -> None:
    first, second = context.told
    assert len(first) == len(second) > 3
    assert {*first.values()} == {(thought, text)}, first
    assert {*second.values()} == {("", text)}, second
    assert not responses_package.disorder(context.events), context.events
    streamed = [each["type"] for each in context.events[-1]["response"]["output"]]
    assert streamed == ["reasoning", "message"], context.events


@then("a response tells how many of its tokens were thought")
def thought_tokens(context: Context) -> None:
    """The model writes all of its thought as one token."""
    assert context.thought == [1, 0], context.thought


@when("eight answers of each protocol are streamed at once, each with a text of its own")
def eight_of_each(context: Context) -> None:
    context.of_each = protocol_runs.at_once(context.world, 8)


@then("every stream says its own text, and has come to its end")
def own_text(context: Context) -> None:
    assert set(context.of_each) == set(ASK)
    for protocol, found in context.of_each.items():
        assert len(found) == 8, (protocol, found)
        for wanted, answer in found:
            assert (answer.text, answer.done) == (wanted, True), (protocol, wanted, answer)


@when("an answer streams in each protocol in turn, and its client closes it in the middle")
def close_in_turn(context: Context) -> None:
    context.idle_after = protocol_runs.closed_in_the_middle(context.world)


@then("each time the worker is idle within {seconds:d} s")
def idle_within(context: Context, seconds: int) -> None:
    assert set(context.idle_after) == set(ASK)
    assert max(context.idle_after.values()) < seconds, context.idle_after


@when("{name:w} asks in each protocol while its own task for {tokens:d} tokens streams")
def asks_too_much(context: Context, name: str, tokens: int) -> None:
    holder = context.holders[name]
    stream = holder.asks(tokens)
    stream.wait_for("token", within=30)
    context.refused = protocol_runs.refused(context.world, holder.key)
    holder.leaves()


@then("each is refused with {status:d}, and told when to try again where its package can tell")
def too_many(context: Context, status: int) -> None:
    assert set(context.refused) == set(ASK)
    for protocol, answer in context.refused.items():
        assert (answer.status, answer.text) == (status, ""), (protocol, answer)
        assert "laptop" in answer.error, (protocol, answer)
        is_typed = "rate_limit_error" in (answer.kind or answer.error)
        assert is_typed == (protocol != "Ollama's chat"), (protocol, answer)
    silent = {name for name, answer in context.refused.items() if answer.retry_after != "1"}
    assert silent == {"Ollama's chat"}, context.refused


@when("an answer streams in each protocol at once, and their worker is killed in the middle")
def killed(context: Context) -> None:
    worker = cluster.only_worker(context.world)
    process = cluster.process_at(context.world, worker["url"])
    context.worker_id = worker["id"]
    context.broken_off = protocol_runs.broken_off(context.world, process.kill)


@then("each has its beginning, no end, and an error that names the worker")
def names_worker(context: Context) -> None:
    assert set(context.broken_off) == set(ASK)
    for protocol, answer in context.broken_off.items():
        assert answer.text and not answer.done, (protocol, answer)
        assert context.worker_id in answer.error, (protocol, answer)


@when("each protocol is asked for {tokens:d} tokens, which its model can't end before")
def fills(context: Context, tokens: int) -> None:
    context.wrong = full_contexts.complaints(context.world, tokens)


@then("each says in its own words that the context was full")
def says_full(context: Context) -> None:
    assert not context.wrong, context.wrong


@then("each reads {most:d} turns, and says that one more is too many")
def most_turns(context: Context, most: int) -> None:
    """Nothing is answered: another field of the request is wrong."""
    for path, (name, wrong) in _TURNS.items():
        found = []
        for count in (most, most + 1):
            turns = [{"role": "user", "content": "a"}] * count
            body = {"model": "smollm2", name: turns, **wrong}
            reply = context.world.call("POST", context.world.queen_url + path, body, timeout=30)
            (error,) = replies.error_of(reply).details["errors"]
            found.append(error["field"].rpartition(".")[2])
        assert found == ["temperature", name], (path, found)
