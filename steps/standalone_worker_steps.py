"""One worker started by hand: its answers, their text and limits, and what it counts."""

from pathlib import Path

from behave import given, then, when
from behave.runner import Context

from harness.model_files.reference_decoder import TOLERANCE
from harness.watching import replies, standalone_worker
from harness.watching.replies import Metrics
from harness.watching.standalone_worker import StandaloneWorker
from harness.world.http_client import EventStream, call
from harness.world.waiting import wait_until

# Tokens that may be read again: the last one, whose logits are needed, and a few for whole blocks.
_A_FEW = 16
# What a busy machine takes to deliver a few events.
_LATE_S = 0.3
_TOKENS = 12
_PROMPT = "Once upon a time"
_BEES = "🐝🦊"


# The worker


@given("a standalone worker with `{flags}`")
def a_worker_with(context: Context, flags: str) -> None:
    _start(context, flags)


@given("a standalone worker for {name} in the models folder")
def a_worker_for_one_of_the_folder(context: Context, name: str) -> None:
    _start(context, "--slots 1", context.world.models / name)
    context.world.placeholders["standalone worker"] = str(context.standalone.process.pid)


@given("a standalone worker for {model} with `{flags}`")
def a_worker_for(context: Context, model: str, flags: str) -> None:
    _start(context, flags, context.model_files.named(model.strip("<>")))


def _start(context: Context, flags: str, model: Path | None = None) -> None:
    context.world.set("times", "grace_s", 2)
    context.standalone = StandaloneWorker(context.world, flags, model)
    context.worker = {"url": context.standalone.url}


# The prefix cache


@when("a prompt of {words:d} words is answered")
def a_long_prompt(context: Context, words: int) -> None:
    context.prompt = standalone_worker.prompt_of_words(words)
    context.answers = [context.standalone.answer(context.prompt, _TOKENS)]


@when("it is answered again")
def again(context: Context) -> None:
    context.answers.append(context.standalone.answer(context.prompt, _TOKENS))


@when("it is answered again with cache_prompt false")
def again_uncached(context: Context) -> None:
    stream = context.standalone.answer(context.prompt, _TOKENS, cache_prompt=False)
    context.answers.append(stream)


@then("none of it was cached")
def nothing_there(context: Context) -> None:
    done = standalone_worker.done_of(context.answers[-1])
    assert done["cached_tokens"] == 0 < done["prompt_tokens"], done


@then("the KV cache holds the prompt and the answer")
def cache_holds(context: Context) -> None:
    """But its last token: that takes a place only if another follows."""
    done = standalone_worker.done_of(context.answers[-1])
    wanted = done["prompt_tokens"] + done["total_tokens"] - 1
    assert _read(context).value("rbee_kv_cache_tokens") == wanted, done


@then("all but a few of its tokens were cached")
def all_there(context: Context) -> None:
    done = standalone_worker.done_of(context.answers[-1])
    left = done["prompt_tokens"] - done["cached_tokens"]
    assert 0 < left <= _A_FEW, done


@then("each token is still one that the model would have chosen")
def still_good(context: Context) -> None:
    _the_model_would_say_so(context, context.prompt)


@then("its first token came in less than half the time")
def sooner(context: Context) -> None:
    first, second = (standalone_worker.done_of(answer) for answer in context.answers)
    took, took_then = (done["time_to_first_token_ms"] for done in (second, first))
    assert took < took_then / 2, (took_then, took)


@when("a message of {words:d} words is answered")
def a_message(context: Context, words: int) -> None:
    context.messages = [{"role": "user", "content": standalone_worker.prompt_of_words(words)}]
    context.answers = [context.standalone.chat(context.messages, _TOKENS)]


@when('a conversation is sent whose user says "{words}"')
def conversation_of(context: Context, words: str) -> None:
    context.words = words
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": words}]
    context.answers = [context.standalone.chat(said, 1)]


@then("only the model's template has written control tokens into its prompt")
def only_the_template(context: Context) -> None:
    """The bundled model's is ChatML."""
    count = context.model_files.reference_decoder.tokens
    texts = ["system\nBe brief.", "\n", f"user\n{context.words}", "\n", "assistant\n"]
    wanted = 5 + sum(len(count(text, control=False)) for text in texts)
    done = standalone_worker.done_of(context.answers[0])
    assert done["prompt_tokens"] == wanted, (done, wanted)


@then("a raw prompt of the same words has control tokens")
def raw_has_control(context: Context) -> None:
    done = standalone_worker.done_of(context.standalone.answer(context.words, 1))
    count = context.model_files.reference_decoder.tokens
    wanted, plain = len(count(context.words)), len(count(context.words, control=False))
    assert done["prompt_tokens"] == wanted < plain, (done, wanted, plain)


@when("the conversation goes on with another message")
def conversation(context: Context) -> None:
    words = standalone_worker.text_of(context.answers[0])
    context.messages += [
        {"role": "assistant", "content": words},
        {"role": "user", "content": "Say that again, in other words."},
    ]
    context.answers.append(context.standalone.chat(context.messages, _TOKENS))


@then("the first message and its answer were cached")
def conversation_there(context: Context) -> None:
    first, second = (standalone_worker.done_of(answer) for answer in context.answers)
    known = first["prompt_tokens"] + first["total_tokens"]
    assert known - _A_FEW <= second["cached_tokens"] < second["prompt_tokens"], (first, second)


@when("a long answer to a prompt of {words:d} words is under way")
def long_answer(context: Context, words: int) -> None:
    context.prompt = standalone_worker.prompt_of_words(words)
    context.long = context.standalone.ask(context.prompt + " And then", 150)
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(context.long)) >= 3, 60)


@when("another prompt with the same {words:d} words and a different ending is answered")
def another_prompt(context: Context, words: int) -> None:
    context.other = context.prompt + " My name is"
    context.answers = [context.standalone.answer(context.other, _TOKENS)]
    assert not context.long.named("done"), "the long answer was over already"


@then("those {words:d} words were cached")
def words_there(context: Context, words: int) -> None:
    done = standalone_worker.done_of(context.answers[-1])
    assert words - _A_FEW <= done["cached_tokens"] < done["prompt_tokens"], done


@then("the answer is that of the second prompt")
def answer_of_second(context: Context) -> None:
    _the_model_would_say_so(context, context.other)


def _the_model_would_say_so(context: Context, prompt: str) -> None:
    pieces = standalone_worker.pieces_of(context.answers[-1])
    assert max(context.model_files.reference_decoder.logit_gaps(prompt, pieces)) <= TOLERANCE, (
        pieces
    )


@then("the long answer continues undisturbed")
def long_goes_on(context: Context) -> None:
    context.long.wait_for_end(within=60)
    pieces = standalone_worker.pieces_of(context.long)
    assert len(pieces) == 150, len(pieces)
    prompt = context.prompt + " And then"
    assert max(context.model_files.reference_decoder.logit_gaps(prompt, pieces)) <= TOLERANCE, (
        pieces
    )


# Its metrics


@when("three answers are made, one is canceled, and one is refused")
def five_requests(context: Context) -> None:
    worker = context.standalone
    context.streams = [worker.answer(f"Story {number}: once", 10 + number) for number in range(3)]
    canceled = worker.ask("Once upon a time", 1000)
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(canceled)) >= 3, 30)
    refused = worker.ask("word " * 9000, 5).refused
    assert refused is not None
    assert refused.status == 400, refused
    assert worker.delete(canceled.named("accepted")[0].data["request_id"]).status == 204
    canceled.wait_for_end(within=10)
    context.canceled = canceled
    context.metrics = _read(context)


@when("an answer is under way")
def under_way(context: Context) -> None:
    context.prompt = "Once upon a time"
    context.stream = context.standalone.ask(context.prompt, 300)
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(context.stream)) >= 3, 30)


def _read(context: Context) -> Metrics:
    reply = context.standalone.get("/metrics")
    assert reply.status == 200, reply
    assert reply.headers.get_content_type() == "text/plain", reply.headers
    return Metrics(reply.body.decode())


@then("its token counters are the sums of what the streams reported")
def token_counters(context: Context) -> None:
    """The canceled answer may have a few tokens that its reader did not see."""
    done = [standalone_worker.done_of(stream) for stream in context.streams]
    made = sum(one["total_tokens"] for one in done) + len(
        standalone_worker.pieces_of(context.canceled)
    )
    counted = context.metrics.value("rbee_tokens_generated_total")
    assert made <= counted <= made + 3, (made, counted)
    cached = sum(one["cached_tokens"] for one in done)
    assert context.metrics.value("rbee_tokens_cached_total") >= cached
    prompts = sum(one["prompt_tokens"] for one in done) + len(
        context.model_files.reference_decoder.tokens("Once upon a time")
    )
    read_or_cached = sum(
        context.metrics.value(f"rbee_tokens_{what}_total") for what in ("read", "cached")
    )
    assert read_or_cached == prompts, (read_or_cached, prompts)


@then("it has counted every request by its outcome")
def outcomes(context: Context) -> None:
    counted = context.metrics.by_label("rbee_requests_total", "outcome")
    assert counted == {"done": 3, "canceled": 1, "refused": 1}, counted


@then("its histograms agree with the number and the times of the first tokens")
def histograms(context: Context) -> None:
    name = "rbee_time_to_first_token_seconds"
    assert context.metrics.value(f"{name}_count") == 4
    assert context.metrics.value(f"{name}_bucket", le="+Inf") == 4
    reported = [
        standalone_worker.done_of(stream)["time_to_first_token_ms"] for stream in context.streams
    ]
    first_s = context.metrics.value(f"{name}_sum")
    assert first_s > sum(reported) / 1000 * 0.99, reported
    streams = [*context.streams, context.canceled]
    assert first_s < sum(_waited(stream) for stream in streams) + _LATE_S, first_s
    for bound in (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0):
        # The canceled one tells no time, and each is counted a moment after it was told.
        counted = context.metrics.value(f"{name}_bucket", le=str(bound))
        most = sum(ms / 1000 <= bound for ms in reported) + 1
        least = sum(ms / 1000 + _LATE_S <= bound for ms in reported)
        assert least <= counted <= most, (bound, counted, reported)
    name = "rbee_time_per_token_seconds"
    made = context.metrics.value("rbee_tokens_generated_total")
    assert context.metrics.value(f"{name}_count") == made - 4, made
    took = sum(_decoded(stream) for stream in streams)
    next_s = context.metrics.value(f"{name}_sum")
    assert 0.9 * took - _LATE_S <= next_s <= 1.1 * took + _LATE_S, (next_s, took)


def _waited(stream: EventStream) -> float:
    """How long the first token took, once the request was accepted."""
    return stream.named("token")[0].at - stream.named("accepted")[0].at


def _decoded(stream: EventStream) -> float:
    """How long it took from the first token to the last."""
    tokens = stream.named("token")
    return tokens[-1].at - tokens[0].at


@then("it reports {total:d} slots, of which {busy:d} are busy")
@then("it reports {total:d} slots, of which {busy:d} is busy")
def slots(context: Context, total: int, busy: int) -> None:
    metrics = _read(context)
    found = metrics.value("rbee_slots"), metrics.value("rbee_slots_busy")
    assert found == (total, busy), found


@then("it has counted {count:d} requests as {outcome:w}")
def counted_as(context: Context, count: int, outcome: str) -> None:
    counted = _read(context).by_label("rbee_requests_total", "outcome")
    assert counted == {outcome: count}, counted


@when("it is asked to shut down unless it answers")
def unless_it_answers(context: Context) -> None:
    context.answer = replies.error_of(context.standalone.post("/v1/admin/shutdown-if-idle", None))


@then("a request that finds no slot is counted as refused")
def no_slot(context: Context) -> None:
    """The second one takes the last slot."""
    second, third = (context.standalone.ask(context.prompt, 300) for _ in range(2))
    assert second.refused is None, second.refused
    assert third.refused is not None and third.refused.status == 503, third.refused
    counted = _read(context).by_label("rbee_requests_total", "outcome")
    assert counted == {"refused": 1}, counted


@then("its memory is that of the process")
def memory(context: Context) -> None:
    reported = _read(context).value("rbee_memory_bytes") / 1_000_000
    is_so = context.standalone.memory_mb()
    assert abs(reported - is_so) < is_so * 0.1, (reported, is_so)


@when("its metrics are asked for without a key")
def without_key(context: Context) -> None:
    context.answer = replies.error_of(call("GET", f"{context.standalone.url}/metrics"))


# The text


@when("the same prompt is answered with temperature {heat:g} and the seeds {a:d}, {b:d} and {c:d}")
def with_seeds(context: Context, heat: float, a: int, b: int, c: int) -> None:
    context.texts = [_by_chance(context, heat, seed=seed) for seed in (a, b, c)]


@when("the same prompt is answered with temperature {heat:g} and no seed, three times")
def without_seed(context: Context, heat: float) -> None:
    context.texts = [_by_chance(context, heat) for _ in range(3)]


def _by_chance(context: Context, heat: float, **fields: object) -> str:
    stream = context.standalone.answer(_PROMPT, 40, temperature=heat, cache_prompt=False, **fields)
    assert standalone_worker.done_of(stream)["cached_tokens"] == 0
    return standalone_worker.text_of(stream)


@then("the first two texts are the same and the third is another")
def same_by_seed(context: Context) -> None:
    first, second, third = context.texts
    assert first == second != third, context.texts


@then("at least two of the texts differ")
def differ(context: Context) -> None:
    assert len(set(context.texts)) > 1, context.texts


@when("a text is stopped at words that begin in one of its tokens and end in the next")
def stop_across_tokens(context: Context) -> None:
    whole = context.standalone.answer(_PROMPT, 40, cache_prompt=False)
    pieces = standalone_worker.pieces_of(whole)
    at = next(n for n in range(15, 30) if min(len(pieces[n]), len(pieces[n + 1])) >= 4)
    context.stop = pieces[at][-2:] + pieces[at + 1][:3]
    context.wanted = "".join(pieces).partition(context.stop)[0]
    assert context.stop not in pieces, "it must lie across tokens"
    context.stream = context.standalone.answer(_PROMPT, 40, cache_prompt=False, stop=[context.stop])


@then("the text ends right before those words, with {reason:w}")
def ends_before(context: Context, reason: str) -> None:
    assert standalone_worker.text_of(context.stream) == context.wanted, (
        context.stop,
        context.wanted,
    )
    assert standalone_worker.done_of(context.stream)["stop_reason"] == reason


@then("no event has a part of them")
def held_back(context: Context) -> None:
    """The text up to each event is a beginning of the text that may be shown."""
    shown = ""
    for piece in standalone_worker.pieces_of(context.stream):
        shown += piece
        assert context.wanted.startswith(shown), (shown, context.stop)


@when("a text is made with stop sequences that begin like parts of it and then differ")
def almost_stop(context: Context) -> None:
    context.wanted = standalone_worker.text_of(
        context.standalone.answer(_PROMPT, 40, cache_prompt=False)
    )
    last = context.wanted[-3:]
    context.stop = [context.wanted[20:25] + "§", last + "§"]
    context.stream = context.standalone.answer(_PROMPT, 40, cache_prompt=False, stop=context.stop)


@then("the whole text is shown, with {reason:w}")
def whole_text(context: Context, reason: str) -> None:
    ends_before(context, reason)


@when("the worker is made to repeat emoji, {tokens:d} tokens of them")
def emoji(context: Context, tokens: int) -> None:
    context.stream = context.standalone.answer(f"Bee and fox: {_BEES * 8}", tokens)


@then("fewer than half of the events hold text, as each emoji is several tokens")
def few_hold_text(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.stream)
    assert 0 < len([piece for piece in pieces if piece]) < len(pieces) / 2, pieces


@then("every event that holds text holds whole emoji")
def whole_emoji(context: Context) -> None:
    pieces = [piece for piece in standalone_worker.pieces_of(context.stream) if piece]
    assert set("".join(pieces)) <= set(_BEES), pieces
    assert len(pieces) >= 10, pieces


@then("cut after any number of its tokens, it is whole emoji too")
def cut_emoji(context: Context) -> None:
    """Each is of several tokens, so some of these cuts are within one."""
    for tokens in range(8, 14):
        stream = context.standalone.answer(f"Bee and fox: {_BEES * 8}", tokens)
        text = standalone_worker.text_of(stream)
        assert text and set(text) <= set(_BEES), (tokens, text)
