"""A task's events as the pieces of Ollama's answers."""

from __future__ import annotations

from rbee.contract.events import Call, Done, Event, LikelyToken, Started, Token, TokenLogprob
from rbee.queen.gateway.ollama.conversation import Turn
from rbee.queen.gateway.ollama.parts import ChatParts, GenerateParts
from rbee.queen.gateway.ollama.pieces import Piece, Pieces, gathered

DONE = Done(True, 2, 12.0, 7, 3, 4.0, 250.0, "EOS")


def pieces(*events: Event, times: tuple[float, ...] = (0.0, 0.0, 0.0)) -> list[Piece]:
    clock = iter(times)
    found = Pieces(lambda: next(clock))
    return [piece for event in events for piece in found.take(event)]


def call(text: str, index: int = 0, name: str | None = None) -> Token:
    return Token(text, 0, "tool_call", Call(index, "c-1" if name else None, name))


def test_text_and_reasoning_are_two_things() -> None:
    found = pieces(Token("hm", 0, "reasoning"), Token("", 1), Token("a", 2), DONE)
    assert [(each.text, each.thinking) for each in found] == [("", "hm"), ("a", ""), ("", "")]
    part = ChatParts("m")(gathered(found))
    assert (part.message.content, part.message.thinking) == ("a", "hm")
    generated = GenerateParts("m", None)(found[0])
    assert (generated.response, generated.thinking) == ("", "hm")


def test_calls_come_whole_and_with_objects() -> None:
    events = [call("", 0, "f"), call('{"a":', 0), call(" 1}", 0), call("", 1, "g"), Token("b", 9)]
    found = pieces(*events, DONE)
    calls = [(each.function.name, each.function.arguments) for p in found for each in p.calls]
    assert calls == [("f", {"a": 1}), ("g", {})]
    assert [each.text for each in found] == ["", "", "b", ""]
    assert [each.function.index for piece in found for each in piece.calls] == [0, 1]


def test_a_call_whose_arguments_are_no_object_is_text() -> None:
    for written in ('{"a": ', "[1]", "[" * 5000):
        found = pieces(call("", 0, "f"), call(written), DONE)
        assert found[0].text == f'{{"name": "f", "arguments": {written}}}'
        assert not found[0].calls


def test_the_last_part_has_the_figures_in_nanoseconds() -> None:
    *_, last = pieces(Started("r", "m", "w", "n"), DONE, times=(10.0, 11.0, 12.5))
    part = ChatParts("name")(last)
    assert (part.done, part.done_reason, part.model) == (True, "stop", "name")
    assert (part.total_duration, part.load_duration) == (2_500_000_000, 1_000_000_000)
    assert (part.prompt_eval_count, part.eval_count) == (7, 2)
    assert (part.prompt_eval_duration, part.eval_duration) == (4_000_000, 8_000_000)


def test_an_answer_that_was_cut_off_says_so() -> None:
    for reason in ("MAX_TOKENS", "CONTEXT_FULL"):
        (last,) = pieces(Done(True, 2, 12.0, 7, 3, 4.0, 250.0, reason))  # type: ignore[arg-type]
        assert last.last is not None and last.last.reason == "length"


def test_likelihoods_go_with_the_next_text_or_the_end() -> None:
    likely = TokenLogprob("a", [97], -0.5, [LikelyToken("b", [98], -1.5)])
    held = Token("", 0, logprob=likely)
    found = pieces(held, Token("ab", 1, logprob=likely), held, DONE)
    assert [len(each.logprobs) for each in found] == [2, 1]
    assert found[0].logprobs[0].top_logprobs[0].token == "b"


def test_the_context_is_what_was_asked_and_said() -> None:
    parts = GenerateParts("m", [Turn("user", "Hi")])
    *_, last = [parts(piece) for piece in pieces(Token("Hel", 0), Token("lo", 1), DONE)]
    assert bytes(last.context) == (  # type: ignore[arg-type]
        b'[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]'
    )
