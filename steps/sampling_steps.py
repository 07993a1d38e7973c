"""How a worker chooses its tokens, as the same model alone would have chosen them."""

import json

from behave import then, when
from behave.runner import Context

from harness.model_files.reference_decoder import TOLERANCE
from harness.watching import standalone_worker
from harness.world.http_client import EventStream

_PROMPT = "Once upon a time"
_TOKENS = 40
# Each run shall choose the same tokens.
_SEED = 3
# The model's own template, written out: it begins each message and ends it like this.
_TURN = "<|im_start|>{role}\n{content}<|im_end|>\n"
_ANSWER = "<|im_start|>assistant\n"


# One of the likeliest


@when("the same prompt is answered with temperature {heat:d} and each of these")
def each_way(context: Context, heat: int) -> None:
    names = ("top_k", "top_p", "min_p")
    context.streams = [
        _answer(
            context, temperature=heat, seed=_SEED, **{name: json.loads(row[name]) for name in names}
        )
        for row in context.table
    ]


@when("the same prompt is answered with the temperatures {one:g} and {other:g}")
def nearly_greedy(context: Context, one: float, other: float) -> None:
    context.streams = [_answer(context, temperature=heat, seed=_SEED) for heat in (one, other)]


@then("each of their tokens is the likeliest")
def the_likeliest(context: Context) -> None:
    teacher = context.model_files.reference_decoder
    for stream in context.streams:
        pieces = standalone_worker.pieces_of(stream)
        assert max(teacher.logit_gaps(_PROMPT, pieces)) <= TOLERANCE, pieces


@when("the same prompt is answered with top_k {count:d} and the temperatures {hot:g} and {cold:g}")
def hot_and_cold(context: Context, count: int, hot: float, cold: float) -> None:
    context.streams = [
        _answer(context, temperature=heat, top_k=count, top_p=1, min_p=0, seed=_SEED)
        for heat in (hot, cold)
    ]


@then("each of their tokens is one of the {count:d} likeliest")
def among_the_likeliest(context: Context, count: int) -> None:
    teacher = context.model_files.reference_decoder
    for stream in context.streams:
        ranks = teacher.ranks(_PROMPT, standalone_worker.pieces_of(stream))
        context.world.evidence.note(f"ranks: {ranks}")
        assert max(ranks) < count, ranks


@then("the first text has tokens that are not among the {count:d} likeliest")
def beyond_the_likeliest(context: Context, count: int) -> None:
    pieces = standalone_worker.pieces_of(context.streams[0])
    ranks = context.model_files.reference_decoder.ranks(_PROMPT, pieces)
    assert [rank for rank in ranks if rank >= count], ranks


@then("the first text is far from the likeliest tokens, and the second near")
def far_and_near(context: Context) -> None:
    teacher = context.model_files.reference_decoder
    far, near = (
        teacher.logit_gaps(_PROMPT, standalone_worker.pieces_of(stream))
        for stream in context.streams
    )
    means = sum(far) / len(far), sum(near) / len(near)
    context.world.evidence.note(f"{means[0]:.2f} and {means[1]:.2f} below the likeliest")
    assert 1.5 < means[0] < 50, far
    assert means[1] < 0.2, near


@when("the same prompt is answered with repeat_penalty {penalty:g}")
def penalized(context: Context, penalty: float) -> None:
    context.penalty = penalty
    context.stream = _answer(context, temperature=0, repeat_penalty=penalty)


@then("each token is the likeliest that is left when those before it count less")
def likeliest_left(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.stream)
    gaps = context.model_files.reference_decoder.logit_gaps(_PROMPT, pieces, context.penalty)
    assert max(gaps) <= TOLERANCE, (max(gaps), pieces)


@then("without that, some would not be the likeliest")
def not_the_likeliest(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.stream)
    gaps = context.model_files.reference_decoder.logit_gaps(_PROMPT, pieces)
    assert [gap for gap in gaps if gap > TOLERANCE], (gaps, pieces)


def _answer(context: Context, **fields: object) -> EventStream:
    stream: EventStream = context.standalone.answer(_PROMPT, _TOKENS, cache_prompt=False, **fields)
    return stream


# Its defaults


@when("it is answered with the seed {seed:d}, without the other fields and with their defaults")
def by_default(context: Context, seed: int) -> None:
    defaults = {"temperature": 0.7, "top_p": 0.95, "top_k": 40, "min_p": 0.05}
    fields = {"prompt": _PROMPT, "max_tokens": _TOKENS, "seed": seed, "cache_prompt": False}
    streams = [
        context.standalone.ask_with({**fields, **more})
        for more in ({}, {**defaults, "repeat_penalty": 1, "stop": [], "ignore_eos": False})
    ]
    context.texts = [standalone_worker.text_of(stream) for stream in streams]


@then("both texts are the same")
def both_the_same(context: Context) -> None:
    one, other = context.texts
    assert one == other != "", context.texts


# The end of the text


@when("a text is stopped at the first of four sequences, which is not the first of the list")
def first_of_four(context: Context) -> None:
    """Three of them are in the same token, and two of these begin at the same place."""
    whole = _answer(context, temperature=0)
    pieces = standalone_worker.pieces_of(whole)
    text = "".join(pieces)
    starts = [len("".join(pieces[:number])) for number in range(len(pieces))]
    number = next(
        number
        for number in range(8, 30)
        if len(piece := pieces[number]) >= 5
        and piece.isascii()
        and text.find(piece[1:3]) == starts[number] + 1
        and text.find(piece[3:5]) == starts[number] + 3
    )
    piece = pieces[number]
    context.stop = [text[-6:], piece[3:5], piece[1:3], piece[1:4]]
    context.wanted = text[: starts[number] + 1]
    context.stream = _answer(context, temperature=0, stop=context.stop)


@then("it is told which one ended it, the longest of those that begin there")
def which_stop(context: Context) -> None:
    done = standalone_worker.done_of(context.stream)
    assert done["stop_sequence"] == context.stop[-1], (done, context.stop)


# The model's template


@when("this conversation is answered, and then as a prompt in the words of the template")
def in_the_template(context: Context) -> None:
    messages = [{"role": row["role"], "content": row["content"]} for row in context.table]
    prompt = "".join(_TURN.format(**message) for message in messages) + _ANSWER
    context.streams = [
        context.standalone.ask_with({**fields, "max_tokens": _TOKENS, "temperature": 0})
        for fields in ({"messages": messages}, {"prompt": prompt})
    ]


@then("both answers are the same, and so is the number of tokens in the prompt")
def both_answers(context: Context) -> None:
    done = [standalone_worker.done_of(stream) for stream in context.streams]
    one, other = ([event.data for event in stream.named("token")] for stream in context.streams)
    assert one == other, (one, other)
    assert done[0]["prompt_tokens"] == done[1]["prompt_tokens"] > 0, done
    assert done[0]["stop_reason"] == done[1]["stop_reason"], done
