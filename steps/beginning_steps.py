"""What the worker had read already when it was asked."""

from behave import then, when
from behave.runner import Context

from harness.model_files import prompts
from harness.model_files.reference_decoder import TOLERANCE
from harness.watching import standalone_worker
from harness.world.waiting import wait_until

# What may be read again: the last token, whose logits are wanted, and a few for whole blocks.
_A_FEW = 16
_TOKENS = 12


@when("a prompt of {words:d} words is answered")
def a_long_prompt(context: Context, words: int) -> None:
    context.prompt = prompts.of_words(words)
    context.answers = [context.hand.answer(context.prompt, _TOKENS)]


@when("it is answered again")
def again(context: Context) -> None:
    context.answers.append(context.hand.answer(context.prompt, _TOKENS))


@when("it is answered again with cache_prompt false")
def again_uncached(context: Context) -> None:
    stream = context.hand.answer(context.prompt, _TOKENS, cache_prompt=False)
    context.answers.append(stream)


@then("none of it was there already")
def nothing_there(context: Context) -> None:
    done = standalone_worker.done_of(context.answers[-1])
    assert done["cached_tokens"] == 0 < done["prompt_tokens"], done


@then("all of it but a few tokens was there already")
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
    context.messages = [{"role": "user", "content": prompts.of_words(words)}]
    context.answers = [context.hand.chat(context.messages, _TOKENS)]


@when("the conversation goes on with another message")
def conversation(context: Context) -> None:
    said = standalone_worker.text_of(context.answers[0])
    context.messages += [
        {"role": "assistant", "content": said},
        {"role": "user", "content": "Say that again, in other words."},
    ]
    context.answers.append(context.hand.chat(context.messages, _TOKENS))


@then("all of the first message and its answer was there already")
def conversation_there(context: Context) -> None:
    first, second = (standalone_worker.done_of(answer) for answer in context.answers)
    known = first["prompt_tokens"] + first["total_tokens"]
    assert known - _A_FEW <= second["cached_tokens"] < second["prompt_tokens"], (first, second)


@when("a long answer to a prompt of {words:d} words is under way")
def long_answer(context: Context, words: int) -> None:
    context.prompt = prompts.of_words(words)
    context.long = context.hand.ask(context.prompt + " And then", 150)
    wait_until("tokens", lambda: len(standalone_worker.pieces_of(context.long)) >= 3, 60)


@when("another prompt with the same {words:d} words and other last words is answered")
def another_prompt(context: Context, words: int) -> None:
    context.other = context.prompt + " My name is"
    context.answers = [context.hand.answer(context.other, _TOKENS)]
    assert not context.long.named("done"), "the long answer was over already"


@then("those {words:d} words were there already")
def words_there(context: Context, words: int) -> None:
    done = standalone_worker.done_of(context.answers[-1])
    assert words - _A_FEW <= done["cached_tokens"] < done["prompt_tokens"], done


@then("the answer is that of the second prompt")
def answer_of_second(context: Context) -> None:
    _the_model_would_say_so(context, context.other)


def _the_model_would_say_so(context: Context, prompt: str) -> None:
    pieces = standalone_worker.pieces_of(context.answers[-1])
    assert max(context.shelf.teacher.shortfalls(prompt, pieces)) <= TOLERANCE, pieces


@then("the long answer goes on as if nothing had been")
def long_goes_on(context: Context) -> None:
    context.long.wait_for_end(within=60)
    pieces = standalone_worker.pieces_of(context.long)
    assert len(pieces) == 150, len(pieces)
    prompt = context.prompt + " And then"
    assert max(context.shelf.teacher.shortfalls(prompt, pieces)) <= TOLERANCE, pieces
