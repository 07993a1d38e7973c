"""A chat: what is sent to the queen, what the person sees, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import NodeNotFound, PromptTooLong
from rbee.contract.events import Accepted, Done, Event, Narration, Started, StopReason, Token
from rbee.contract.tasks import Message, TaskRequest
from rbee.keeper.chat.chat import Chat
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import of
from rbee.runtime import settings
from rbee.runtime.command import Interrupts
from rbee.runtime.debug_trace import traced
from rbee.runtime.screen import Screen

FakeQueen = Any
Talk = Callable[..., "Typed"]


class Typed:
    """Lines that a person types: a text, or what a key raises."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        self._lines = list(lines)
        self.remembered: list[str] = []

    async def read(self) -> str:
        line = self._lines.pop(0) if self._lines else EOFError
        if isinstance(line, str):
            return line
        raise line

    def remember(self, line: str) -> None:
        self.remembered.append(line)


def answer(*words: str, reason: StopReason = "EOS", node: str = "attic") -> list[Event]:
    tokens = [Token(word, number) for number, word in enumerate(words)]
    started = Started("r-1", "m", "w", node)
    told = Narration("queen-rbee", "words", "c")
    done = Done(True, len(words), 5.0, 1, 0, 1.0, 9.0, reason)
    return [Accepted("r-1"), told, started, *tokens, done]


@pytest.fixture
def talk(fake_queen: FakeQueen) -> Talk:
    """A whole chat: the lines that are typed, and a question of the command line."""

    async def run(lines: Typed, first: str | None, system: str | None) -> None:
        queen = Queen(of(settings.load()))
        said = [] if system is None else [Message("system", system)]
        request = TaskRequest(messages=said, max_tokens=100)
        try:
            await queen.reach()
            await Chat(queen, request, Screen(), Interrupts(), lines).run(first)
        finally:
            await queen.release()

    def talk(*lines: Any, first: str | None = None, system: str | None = None) -> Typed:
        typed = Typed(*lines)
        asyncio.run(run(typed, first, system))
        return typed

    return talk


def sent(fake_queen: FakeQueen) -> list[list[tuple[str, str]]]:
    """The messages of each task."""
    bodies = [body for path, _, body in fake_queen.asked if path == ep.QUEEN_TASKS.path]
    return [[(each["role"], each["content"]) for each in body["messages"]] for body in bodies]


def test_each_question_is_sent_with_the_conversation_so_far(
    fake_queen: FakeQueen, talk: Talk
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("one"), answer("t", "wo"), answer("three"))
    talk("b", ' """\nc\nd\n"""', first="a", system="s")
    assert sent(fake_queen) == [
        [("system", "s"), ("user", "a")],
        [("system", "s"), ("user", "a"), ("assistant", "one"), ("user", "b")],
        [
            ("system", "s"),
            ("user", "a"),
            ("assistant", "one"),
            ("user", "b"),
            ("assistant", "two"),
            ("user", "c\nd"),
        ],
    ]


def test_the_question_of_the_command_line_is_shown_and_remembered(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("one"))
    assert talk(first="a").remembered == ["a"]
    assert capsys.readouterr().out == "> a\none\n\n"


def test_narration_stops_once_the_model_is_loaded(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(
        ep.QUEEN_TASKS, answer("one"), answer("two"), NodeNotFound(node="attic"), answer("x")
    )
    talk("a", "b", "c", "d")
    assert capsys.readouterr().err.count("[queen-rbee] words") == 2


def test_the_same_node_is_asked_until_it_fails(fake_queen: FakeQueen, talk: Talk) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("one"), NodeNotFound(node="attic"), answer("three"))
    talk("a", "b", "c")
    nodes = [body["node"] for path, _, body in fake_queen.asked if path == ep.QUEEN_TASKS.path]
    assert nodes == [None, "attic", None]


def test_a_chat_goes_on_after_an_error(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, NodeNotFound(node="attic"), answer("two"))
    talk("a", "b")
    assert "NODE_NOT_FOUND" in capsys.readouterr().err
    assert sent(fake_queen) == [[("user", "a")], [("user", "b")]]


def test_an_error_of_this_machine_has_no_id_of_an_earlier_question(
    fake_queen: FakeQueen, talk: Talk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("one"))
    (home / ".rbee").mkdir(exist_ok=True)
    (home / ".rbee" / "chats").write_text("")
    with traced(lambda _: None) as trace:
        trace.heard = True  # as after the question before
        talk("a", "/save bees")
    err = capsys.readouterr().err
    assert "Error [STATE_NOT_WRITABLE]" in err
    assert "correlation id" not in err


def test_commands_are_not_sent_to_the_queen(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("x"))
    talk("/retry", "", "a", "/retry", "/help", "/nonsense", "/clear", "/etc/passwd?", "/exit", "b")
    assert sent(fake_queen) == [[("user", "a")], [("user", "a")], [("user", "/etc/passwd?")]]
    err = capsys.readouterr().err
    assert "No question has been asked yet." in err
    assert "ask the last question again" in err
    assert "Unknown command /nonsense" in err
    assert "forgotten" in err


def test_ctrl_c_at_an_empty_prompt_says_how_to_end(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("x"))
    talk(KeyboardInterrupt, "a")
    assert "Ctrl+D or /exit" in capsys.readouterr().err
    assert sent(fake_queen) == [[("user", "a")]]


def test_turns_that_no_longer_fit_are_dropped_with_a_note(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"field": "prompt", "constraint": "at most 99 tokens", "message": "m", "value": 120}
    too_long = PromptTooLong("no", errors=[wrong])
    fake_queen.on(ep.QUEEN_TASKS, answer("one"), answer("two"), too_long, answer("three"))
    talk("a" * 50, "b" * 50, "c")
    assert [len(messages) for messages in sent(fake_queen)] == [1, 3, 5, 1]
    err = capsys.readouterr().err
    assert "left out" in err
    assert "PROMPT_TOO_LONG" not in err


def test_a_question_that_is_too_long_by_itself_is_an_error(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"field": "prompt", "constraint": "at most 99 tokens", "message": "m", "value": 120}
    fake_queen.on(ep.QUEEN_TASKS, PromptTooLong("no", errors=[wrong]))
    talk("a")
    assert "PROMPT_TOO_LONG" in capsys.readouterr().err
    assert len(sent(fake_queen)) == 1


def test_an_answer_that_fills_the_context_comes_with_a_note(
    fake_queen: FakeQueen, talk: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, answer("one", reason="CONTEXT_FULL"))
    talk("a")
    assert "The context is full: the answer stops here" in capsys.readouterr().err
