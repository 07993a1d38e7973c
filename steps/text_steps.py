"""The text that a worker makes: chance, stop sequences, whole characters."""

from behave import then, when
from behave.runner import Context

from harness.watching import standalone_worker

_PROMPT = "Once upon a time"
_BEES = "🐝🦊"


@when("the same prompt is answered with temperature {heat:g} and the seeds {a:d}, {b:d} and {c:d}")
def with_seeds(context: Context, heat: float, a: int, b: int, c: int) -> None:
    context.texts = [_by_chance(context, heat, seed=seed) for seed in (a, b, c)]


@when("the same prompt is answered with temperature {heat:g} and no seed, three times")
def without_seed(context: Context, heat: float) -> None:
    context.texts = [_by_chance(context, heat) for _ in range(3)]


def _by_chance(context: Context, heat: float, **fields: object) -> str:
    stream = context.hand.answer(_PROMPT, 40, temperature=heat, cache_prompt=False, **fields)
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
    whole = context.hand.answer(_PROMPT, 40, cache_prompt=False)
    pieces = standalone_worker.pieces_of(whole)
    at = next(n for n in range(15, 30) if min(len(pieces[n]), len(pieces[n + 1])) >= 4)
    context.stop = pieces[at][-2:] + pieces[at + 1][:3]
    context.wanted = "".join(pieces).partition(context.stop)[0]
    assert context.stop not in pieces, "it must lie across tokens"
    context.stream = context.hand.answer(_PROMPT, 40, cache_prompt=False, stop=[context.stop])


@then("the text ends right before those words, with {reason:w}")
def ends_before(context: Context, reason: str) -> None:
    assert standalone_worker.text_of(context.stream) == context.wanted, (
        context.stop,
        context.wanted,
    )
    assert standalone_worker.done_of(context.stream)["stop_reason"] == reason


@then("no event held a part of them")
def held_back(context: Context) -> None:
    """All that was shown up to each event is the beginning of what may be shown."""
    shown = ""
    for piece in standalone_worker.pieces_of(context.stream):
        shown += piece
        assert context.wanted.startswith(shown), (shown, context.stop)


@when("a text is made with a stop sequence that begins like it and goes on otherwise")
def almost_stop(context: Context) -> None:
    context.wanted = standalone_worker.text_of(context.hand.answer(_PROMPT, 40, cache_prompt=False))
    last = context.wanted[-3:]
    context.stop = [context.wanted[20:25] + "§", last + "§"]
    context.stream = context.hand.answer(_PROMPT, 40, cache_prompt=False, stop=context.stop)


@then("the whole text is shown, with {reason:w}")
def whole_text(context: Context, reason: str) -> None:
    ends_before(context, reason)


@when("the worker is made to repeat emoji, {tokens:d} tokens of them")
def emoji(context: Context, tokens: int) -> None:
    context.stream = context.hand.answer(f"Bee and fox: {_BEES * 8}", tokens)


@then("fewer than half of the events hold text, as each emoji is several tokens")
def few_hold_text(context: Context) -> None:
    pieces = standalone_worker.pieces_of(context.stream)
    assert 0 < len([piece for piece in pieces if piece]) < len(pieces) / 2, pieces


@then("every event that holds text holds whole emoji")
def whole_emoji(context: Context) -> None:
    pieces = [piece for piece in standalone_worker.pieces_of(context.stream) if piece]
    assert set("".join(pieces)) <= set(_BEES), pieces
    assert len(pieces) >= 10, pieces
