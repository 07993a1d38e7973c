"""Many streams at one worker, and embeddings."""

import json
import statistics

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import bundled_path
from harness.model_files.reference_decoder import TOLERANCE
from harness.watching import replies, standalone_worker
from harness.watching.concurrent_clients import ConcurrentClients, client_plans
from harness.watching.standalone_worker import StandaloneWorker
from harness.world.http_client import EventStream
from harness.world.waiting import wait_until

_PATH = "/v1/embeddings"
_PROMPTS = [
    "The history of bread begins",
    "My grandmother's garden was full of",
    "In the deep sea there live",
    "def fibonacci(n):\n    ",
    "The best way to learn chess is",
    "Dear Sir, I am writing to complain about",
    "On Mars, the first settlers",
    "A recipe for tomato soup: first",
]
# 100 requests that each kept 64 KB. The allocator keeps less than that after such a run.
_MEMORY_MB = 6.4
_CROWD_TOKENS = 10
_SHORT = 5
# Tokens that prompts may share by chance, or that their end costs to read again.
_FEW = 5
# Of the bundled model, for one token: keys and values in 30 layers, 3 heads of 64 halves each.
_KV_BYTES = 2 * 30 * 3 * 64 * 2


@when("these texts are embedded")
def embed(context: Context) -> None:
    context.texts = [row["text"] for row in context.table]
    context.vectors = replies.embeddings(context.standalone.post(_PATH, {"input": context.texts}))


@then("there is a vector of {width:d} numbers for each, in order, each of length 1")
def lengths(context: Context, width: int) -> None:
    assert context.vectors.matrix.shape == (len(context.texts), width)
    assert context.vectors.indices == list(range(len(context.texts)))
    assert all(abs(length - 1) < 1e-3 for length in context.vectors.norms())


@then("the worker was busy meanwhile, with one of its {slots:d} slots")
def busy_meanwhile(context: Context, slots: int) -> None:
    def told() -> list[tuple[str, int]]:
        events = context.standalone.status.named("status")[-2:]
        return [(event.data["state"], event.data["slots_available"]) for event in events]

    wanted = [("busy", slots - 1), ("idle", slots)]
    wait_until("a worker that was busy", told, 5, lambda found: found == wanted)


@then("the first and the last are the same")
def equal_texts(context: Context) -> None:
    assert context.vectors.greatest_difference(0, -1) < 1e-3


@then("the second is nearer to the first than the third is")
def nearer(context: Context) -> None:
    near, far = context.vectors.cosine(0, 1), context.vectors.cosine(0, 2)
    assert far < near < 0.9999, (near, far)


@then("the usage counts the tokens of all four")
def usage(context: Context) -> None:
    counted = sum(len(context.model_files.reference_decoder.tokens(text)) for text in context.texts)
    assert context.vectors.usage == {"prompt_tokens": counted, "total_tokens": counted}


@when('the text "{text}" is embedded, alone and in a list')
def alone(context: Context, text: str) -> None:
    answers = [context.standalone.post(_PATH, {"input": given}) for given in (text, [text])]
    context.both = [replies.embeddings(answer) for answer in answers]


@then("both times there is one vector, and it is the same")
def the_same(context: Context) -> None:
    first, second = (found.matrix for found in context.both)
    assert first.shape == second.shape == (1, first.shape[1])
    assert abs(first - second).max() < 1e-3


@when("each of these is embedded")
def bad_inputs(context: Context) -> None:
    given = [json.loads(row["input"]) for row in context.table]
    context.replies = [(value, context.standalone.post(_PATH, {"input": value})) for value in given]


@then('each is answered with {status:d} and {code:w}, which names the field "{field}"')
def bad_answers(context: Context, status: int, code: str, field: str) -> None:
    for given, reply in context.replies:
        assert reply.status == status, (given, reply.status, reply.body[:200])
        refusal = replies.error_of(reply)
        assert refusal.code == code, (given, refusal)
        fields = [error["field"] for error in refusal.details["errors"]]
        assert len(fields) == 1, fields
        assert fields[0].startswith(field), (given, fields)


@when("{count:d} texts are embedded, one after the other")
def embed_many(context: Context, count: int) -> None:
    context.began = standalone_worker.now()
    for number in range(count):
        replies.embeddings(
            context.standalone.post(_PATH, {"input": f"Text number {number} about bees."})
        )
    context.ended = standalone_worker.now()
    assert not context.stream.named("done"), "the answer was over already"


@then("at least {count:d} tokens came in between")
def tokens_between(context: Context, count: int) -> None:
    found = standalone_worker.tokens_between(context.stream, context.began, context.ended)
    assert found >= count, found


@then("the answer is still that of its prompt")
def still_its_own(context: Context) -> None:
    context.stream.wait_for_end(within=60)
    pieces = standalone_worker.pieces_of(context.stream)
    assert len(pieces) == 300, len(pieces)
    assert (
        max(context.model_files.reference_decoder.logit_gaps(context.prompt, pieces)) <= TOLERANCE
    )


@when("eight different prompts are answered at once, {tokens:d} tokens each")
def eight(context: Context, tokens: int) -> None:
    context.streams = [context.standalone.ask(prompt, tokens) for prompt in _PROMPTS]
    for stream in context.streams:
        assert stream.refused is None, stream.refused
        stream.wait_for_end(within=60)
    context.pieces = [standalone_worker.pieces_of(stream) for stream in context.streams]
    assert [len(pieces) for pieces in context.pieces] == [tokens] * 8, context.pieces


@then("all eight were under way at the same time")
def at_the_same_time(context: Context) -> None:
    firsts = [stream.named("token")[0].at for stream in context.streams]
    lasts = [stream.named("token")[-1].at for stream in context.streams]
    assert max(firsts) < min(lasts), (firsts, lasts)


@then("each token is one that the model alone would have chosen")
def judged_good(context: Context) -> None:
    teacher = context.model_files.reference_decoder
    for prompt, pieces, stream in zip(_PROMPTS, context.pieces, context.streams, strict=True):
        assert standalone_worker.done_of(stream)["prompt_tokens"] == len(teacher.tokens(prompt))
        worst = max(teacher.logit_gaps(prompt, pieces))
        context.world.evidence.note(f"a shortfall of at most {worst:.3f}: {prompt!r}")
        assert worst <= TOLERANCE, (prompt, worst, pieces)


@then("with another stream's prompt the check fails")
def judged_with_another(context: Context) -> None:
    for number in (0, 4):
        worst = max(
            context.model_files.reference_decoder.logit_gaps(
                _PROMPTS[number + 1], context.pieces[number]
            )
        )
        assert worst > TOLERANCE, (number, worst)


@then("with a token missing in the middle the check fails")
def judged_with_a_gap(context: Context) -> None:
    for number in (0, 4):
        pieces = list(context.pieces[number])
        del pieces[len(pieces) // 2]
        worst = max(context.model_files.reference_decoder.logit_gaps(_PROMPTS[number], pieces))
        assert worst > TOLERANCE, (number, worst)


@when("a hundred streams have come and gone, every third canceled on the way")
def a_hundred(context: Context) -> None:
    """The clients come once before the measurement, so that everything made at first use exists."""
    warm_up = ConcurrentClients(context.standalone, _CROWD_TOKENS)
    warm_up.run(client_plans(24, _CROWD_TOKENS, seed=1), at_once=8)
    context.standalone.wait_for_free(8, within=10)
    context.memory_mb = context.standalone.memory_mb()
    context.crowd = ConcurrentClients(context.standalone, _CROWD_TOKENS)
    context.crowd.run(client_plans(100, _CROWD_TOKENS, seed=2), at_once=8)


@then("every stream went as it should, and most of that third were cut short")
def all_as_planned(context: Context) -> None:
    assert not context.crowd.failures, context.crowd.failures
    assert context.crowd.cut_short > 20, context.crowd.cut_short


@then("all {slots:d} slots are free within {seconds:d} s")
def all_free_within(context: Context, slots: int, seconds: int) -> None:
    context.standalone.wait_for_free(slots, seconds)


@then("the worker needs no more memory than before")
def memory_flat(context: Context) -> None:
    """But for the prompts that it keeps on purpose."""
    kept_mb = _metrics(context).value("rbee_prompt_cache_bytes") / 1e6
    grown = context.standalone.memory_mb() - context.memory_mb - kept_mb
    context.world.evidence.note(f"memory grew by {grown:.2f} MB of {context.memory_mb:.0f}")
    assert grown <= _MEMORY_MB, f"{grown:.2f} MB more"


@when("a client goes away in the middle of an answer")
def goes_away(context: Context) -> None:
    stream = _under_way(context.standalone, tokens=2000)
    assert context.standalone.free_slots() == 7, context.standalone.status.events
    stream.close()


@then("the worker is alive and answers the next prompt")
def answers_the_next(context: Context) -> None:
    stream = context.standalone.answer("Bees are", 5)
    assert standalone_worker.done_of(stream)["total_tokens"] == 5
    assert context.standalone.run.running


@when("five answers are deleted, each in the middle")
def delete_five(context: Context) -> None:
    context.streams, context.took = [], []
    for _ in range(5):
        stream = _under_way(context.standalone, tokens=2000)
        context.streams.append(stream)
        began = standalone_worker.now()
        assert context.standalone.delete(_id_of(stream)).status == 204
        context.took.append(context.standalone.wait_for_free(8, within=10) - began)


@then("the slot was free within {quick:d} ms at best, and within {always:d} s in every case")
def freed_quickly(context: Context, quick: int, always: int) -> None:
    context.world.evidence.note(f"the slots were free after {context.took} s")
    assert min(context.took) * 1000 <= quick, context.took
    assert max(context.took) <= always, context.took


@then("each of them ended with {code:w}")
def each_ended_with(context: Context, code: str) -> None:
    for stream in context.streams:
        assert replies.error_of_stream(stream, within=5).code == code
        assert [event.name for event in stream.events[-2:]] == ["error", "[DONE]"]
        assert not stream.named("done"), stream.events[-3:]


@then("deleting one of them again, or one that never existed, is answered with {status:d}")
def delete_again(context: Context, status: int) -> None:
    assert context.standalone.delete(_id_of(context.streams[0])).status == status
    assert context.standalone.delete("never-was").status == status


@when("three prompts of {words:d} words are deleted, each while it is read")
def delete_while_read(context: Context, words: int) -> None:
    context.streams, context.took = [], []
    for number in range(3):
        stream = context.standalone.ask(f"{number} " + "word " * words, 10)
        context.streams.append(stream)
        request_id = stream.wait_for("accepted", within=10).data["request_id"]
        assert context.standalone.free_slots() == 7, context.standalone.status.events
        context.standalone.wait_for_computing(cpu_s=1)
        began = standalone_worker.now()
        assert context.standalone.delete(request_id).status == 204
        context.took.append(context.standalone.wait_for_free(8, within=60) - began)


@then(
    "the slot was free within {quick:d} ms in two of three cases, and within {always:d} s in every"
    " case"
)
def freed_quickly_mostly(context: Context, quick: int, always: int) -> None:
    context.world.evidence.note(f"the slots were free after {context.took} s")
    assert statistics.median(context.took) * 1000 <= quick, context.took
    assert max(context.took) <= always, context.took


@then("each of them ended with {code:w}, and no token had come")
def ended_without_tokens(context: Context, code: str) -> None:
    each_ended_with(context, code)
    assert not any(stream.named("token") for stream in context.streams)


@when("three streams are under way, and a prompt of {words:d} words comes in")
def long_prompt_comes(context: Context, words: int) -> None:
    context.streams = [_under_way(context.standalone, tokens=1000) for _ in range(3)]
    context.long = context.standalone.ask("word " * words, 2)
    context.long.wait_for("token", within=60)


@then("each of the three gets at least {count:d} tokens while that is read")
def tokens_meanwhile(context: Context, count: int) -> None:
    accepted = context.long.named("accepted")[0].at
    first = context.long.named("token")[0].at
    came = [standalone_worker.tokens_between(stream, accepted, first) for stream in context.streams]
    context.world.evidence.note(f"in {first - accepted:.2f} s they got {came} tokens")
    assert min(came) >= count, came


@when("the worker is told to shut down while a short and a long answer are under way")
def shut_down(context: Context) -> None:
    context.long = _under_way(context.standalone, tokens=4000)
    context.short = context.standalone.ask("Bees are", _SHORT)
    context.short.wait_for("accepted", within=10)
    context.asked_at = standalone_worker.now()
    assert context.standalone.post("/v1/admin/shutdown", None).status == 202


@then("the short one is whole")
def short_is_whole(context: Context) -> None:
    context.short.wait_for_end(within=10)
    assert standalone_worker.done_of(context.short)["total_tokens"] == _SHORT
    assert context.short.events[-1].name == "[DONE]", context.short.events[-3:]


@then("the long one ended with {code:w} after the grace of {seconds:d} s")
def long_was_cut(context: Context, code: str, seconds: int) -> None:
    context.streams = [context.long]
    each_ended_with(context, code)
    took = context.long.named("error")[0].at - context.asked_at
    assert seconds * 0.9 <= took <= seconds + 3, took


@then("the worker exited with {code:d}")
def worker_exited(context: Context, code: int) -> None:
    assert context.standalone.run.wait(within=10) == code, context.standalone.run.stderr.text


def _under_way(worker: StandaloneWorker, tokens: int) -> EventStream:
    stream = worker.ask("Once upon a time", tokens)
    assert stream.refused is None, stream.refused
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(stream)) >= 3, 30)
    return stream


def _id_of(stream: EventStream) -> str:
    return str(stream.named("accepted")[0].data["request_id"])


@then("the reply names the model")
def names_the_model(context: Context) -> None:
    assert context.vectors.model == f"file:{bundled_path()}", context.vectors.model


@when("a text of {words:d} words is embedded")
def embed_long(context: Context, words: int) -> None:
    context.long_text = standalone_worker.prompt_of_words(words)
    context.vectors = replies.embeddings(
        context.standalone.post(_PATH, {"input": context.long_text})
    )


@then("its vector is the mean of those that the model makes of its tokens")
def mean_of_tokens(context: Context) -> None:
    wanted = context.model_files.reference_decoder.mean_vector(context.long_text)
    near = float(context.vectors.matrix[0] @ wanted)
    assert 0.999 < near < 1.001, near


@when(
    "{count:d} prompts of {words:d} words are answered one after the other, "
    "and all of them once more"
)
def twice(context: Context, count: int, words: int) -> None:
    context.prompts = [standalone_worker.prompt_of_words(words, seed) for seed in range(count)]
    rounds = [
        [context.standalone.answer(prompt, _SHORT) for prompt in context.prompts] for _ in range(2)
    ]
    context.first_answers, context.answers = rounds


@then("the first time at most a few of their tokens were cached, and the second time all but a few")
def cached_the_second_time(context: Context) -> None:
    _hardly_any_was_cached(context.first_answers)
    for answer in context.answers:
        done = standalone_worker.done_of(answer)
        assert 1 <= done["prompt_tokens"] - done["cached_tokens"] <= _FEW, done


@then("both times at most a few of their tokens were cached")
def never_cached(context: Context) -> None:
    _hardly_any_was_cached([*context.first_answers, *context.answers])


@then("the metrics count the tokens that are kept, and the memory that they take")
def kept_in_memory(context: Context) -> None:
    """All but the last prompt's, which are in the KV cache; and of each answer all but the last
    token, which was never computed."""
    kept = [standalone_worker.done_of(answer) for answer in context.answers[:-1]]
    tokens = sum(done["prompt_tokens"] + done["total_tokens"] - 1 for done in kept)
    metrics = _metrics(context)
    assert metrics.value("rbee_prompt_cache_tokens") == tokens, kept
    least = tokens * _KV_BYTES
    assert least <= metrics.value("rbee_prompt_cache_bytes") <= 1.05 * least, least


@then("the metrics tell of at most {most:d} MB, and of more than {least:d}")
def kept_within(context: Context, most: int, least: int) -> None:
    kept = _metrics(context).value("rbee_prompt_cache_bytes") / 1e6
    assert least < kept <= most, kept


@then("each second answer is one that the model would have given")
def as_the_model(context: Context) -> None:
    for prompt, answer in zip(context.prompts, context.answers, strict=True):
        pieces = standalone_worker.pieces_of(answer)
        gaps = context.model_files.reference_decoder.logit_gaps(prompt, pieces)
        assert max(gaps) <= TOLERANCE, pieces


def _metrics(context: Context) -> replies.Metrics:
    return replies.Metrics(context.standalone.get("/metrics").body.decode())


def _hardly_any_was_cached(answers: list[EventStream]) -> None:
    for answer in answers:
        done = standalone_worker.done_of(answer)
        assert done["cached_tokens"] <= _FEW < done["prompt_tokens"], done
