"""What a person types in a chat that is not a question."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import Message, TaskRequest
from rbee.keeper.chat.commands import Commands, is_command
from rbee.keeper.chat.saved_chats import SavedChats
from rbee.keeper.chat.state import PARAMETERS, ChatState, parameter
from rbee.keeper.commands.infer import _in_the_chat
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import of
from rbee.runtime import settings
from rbee.runtime.screen import Screen


@pytest.fixture
def state() -> ChatState:
    return ChatState(TaskRequest(messages=[Message("system", "Be brief.")], node="attic"))


@pytest.fixture
def typed(state: ChatState, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Type a command; gives the lines that it shows."""
    saved = SavedChats(tmp_path / "chats")
    commands = Commands(state, Queen(of(settings.load())), Screen(), saved, _in_the_chat)

    async def run(line: str) -> list[str]:
        await commands.run(line)
        return capsys.readouterr().err.splitlines()

    return run


def answered(state: ChatState, question: str = "One?", answer: str = "1.") -> None:
    state.conversation.ask(question)
    state.conversation.answer(answer)


@pytest.mark.parametrize("text", ["/", "/clear", "/clear now", "/nope", "/Set x", "/?"])
def test_a_slash_and_a_word_is_a_command(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize("text", ["/etc/hosts", "/etc/hosts is what?", "a /clear", "", "//"])
def test_a_path_is_a_question(text: str) -> None:
    assert not is_command(text)


@pytest.mark.parametrize(
    "line",
    [
        "/",
        "/clear now",
        "/help me",
        "/nope",
        "/show modelfile",
        "/SET temperature 1",
        "/" + "x" * 99,
    ],
)
async def test_what_is_unknown_is_told_and_changes_nothing(
    typed: Any, state: ChatState, line: str
) -> None:
    answered(state)
    before = state.saved()
    [told] = await typed(line)
    assert told.startswith(f"Unknown command {line[:50]}")
    assert told.endswith(" See /help.")
    assert len(told) < 100
    assert state.saved() == before


@pytest.mark.parametrize(
    ("line", "field", "value", "shown"),
    [
        ("temperature 0.5", "temperature", 0.5, "temperature: 0.5"),
        ("parameter top_k 7", "top_k", 7, "top_k: 7"),
        ("num_ctx 4096", "context", 4096, "context: 4096"),
        ("parameter num_predict 9", "max_tokens", 9, "max_tokens: 9"),
        ("max-tokens 9", "max_tokens", 9, "max_tokens: 9"),
        ("seed 3", "seed", 3, "seed: 3"),
        ("seed -1", "seed", None, "seed: default"),
        ('stop "a b" c', "stop", ["a b", "c"], "stop: 'a b' 'c'"),
        ("keep_alive 10m", "keep_alive", "10m", "keep_alive: 10m"),
        ("keep_alive -1", "keep_alive", "-1", "keep_alive: -1"),
    ],
)
async def test_a_parameter_is_set_and_can_be_taken_back(
    typed: Any, state: ChatState, line: str, field: str, value: object, shown: str
) -> None:
    assert await typed(f"/set {line}") == [shown]
    assert getattr(state.question(), field) == value
    await typed(f"/set {field} default")
    assert getattr(state.question(), field) == getattr(TaskRequest(prompt="?"), field)
    assert state.question().node == "attic"


async def test_switches_of_ollama(typed: Any, state: ChatState) -> None:
    await typed("/set nothink")
    await typed("/set format json")
    await typed("/set verbose")
    asked = state.question()
    assert asked.think is False
    assert asked.response_format is not None and asked.response_format.type == "json_object"
    assert state.shows_figures
    await typed("/set think")
    await typed("/set noformat")
    await typed("/set quiet")
    assert (state.question().think, state.question().response_format) == (True, None)
    assert not state.shows_figures


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("temperature 9", "temperature must be a number from 0 to 5, got 9."),
        ("temperature hot", "temperature must be a number, got 'hot'."),
        ("context 1", "context must be a whole number from 64 to 16777216, got 1."),
        ("warmth 3", "warmth can't be set. To see what can be: /set"),
        ("parameter", "This can't be set. To see what can be: /set"),
        ('stop "a', 'The quotes do not match: stop "a'),
    ],
)
async def test_what_can_not_be_set_is_told(
    typed: Any, state: ChatState, line: str, told: str
) -> None:
    before = state.request
    assert await typed(f"/set {line}") == [told]
    assert state.request == before


async def test_what_can_be_set_is_listed(typed: Any) -> None:
    text = "\n".join(await typed("/set"))
    assert all(name in text for name in PARAMETERS)


async def test_the_system_text_is_replaced_and_survives_forgetting(
    typed: Any, state: ChatState
) -> None:
    assert await typed("/system") == ["Be brief."]
    await typed('/set system "Speak French."')
    answered(state)
    await typed("/clear")
    assert state.conversation.messages == [Message("system", "Speak French.")]


async def test_another_model_may_be_on_another_node(typed: Any, state: ChatState) -> None:
    state.node = "cellar"
    assert await typed("/model qwen-0.5b") == ["The next question goes to qwen-0.5b."]
    assert (state.question().model, state.question().node) == ("qwen-0.5b", "attic")
    assert await typed("/model") == ["model: qwen-0.5b"]


async def test_a_chat_is_saved_and_loaded_with_all_that_belongs_to_it(
    typed: Any, state: ChatState, tmp_path: Path
) -> None:
    assert await typed("/save bees") == ["Nothing has been answered yet."]
    answered(state)
    answered(state, "Two?", "2.")
    await typed("/set temperature 0")
    await typed("/model qwen-0.5b")
    await typed("/save bees")
    file = tmp_path / "chats" / "bees.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = state.question()
    await typed("/clear")
    await typed("/set temperature 1")
    await typed("/model other")
    await typed("/system Other.")
    assert await typed("/load bees") == ["The conversation goes on after 2 questions."]
    assert state.question() == before
    assert state.conversation.again() == "Two?"


@pytest.mark.parametrize("name", ["../bees", ".bees", "a/b", "x" * 65, "a b"])
async def test_a_name_can_not_lead_out_of_the_folder(
    typed: Any, state: ChatState, tmp_path: Path, name: str
) -> None:
    answered(state)
    for command in ("/save", "/load"):
        [told] = await typed(f"{command} {name}")
        assert "up to 64 letters" in told
    assert [each.name for each in tmp_path.rglob("*.json")] == []


async def test_what_can_not_be_loaded_is_told(typed: Any, state: ChatState, tmp_path: Path) -> None:
    assert await typed("/load bees") == [
        "No chat is saved as bees. Saved chats: none. To ask another model: /model MODEL"
    ]
    answered(state)
    await typed("/save wasps")
    assert await typed("/load") == ["To go on with a conversation: /load NAME. Saved chats: wasps."]
    (tmp_path / "chats" / "wasps.json").write_text('{"messages": 3}')
    [told] = await typed("/load wasps")
    assert "does not hold a chat" in told


async def test_a_folder_that_can_not_be_written_is_an_error(
    typed: Any, state: ChatState, tmp_path: Path
) -> None:
    answered(state)
    (tmp_path / "chats").write_text("")
    told = await typed("/save bees")
    assert told[0].startswith("Error [STATE_NOT_WRITABLE]")


async def test_everything_is_shown(typed: Any, state: ChatState) -> None:
    answered(state)
    told = await typed("/show")
    assert told[:4] == [
        "model: the default",
        "node: attic",
        "system: Be brief.",
        "questions so far: 1",
    ]
    assert [line.split(":")[0] for line in told[4:]] == list(PARAMETERS)
    assert await typed("/show system") == ["Be brief."]
    assert await typed("/show parameters") == told[4:]
    assert "/model MODEL" in (await typed("/show info"))[0]


def test_every_parameter_is_a_field_of_a_task() -> None:
    assert set(PARAMETERS) <= set(TaskRequest.__struct_fields__)
    with pytest.raises(ValueError):
        parameter("prompt", ["x"])


def test_a_refused_change_changes_nothing(state: ChatState) -> None:
    before = msgspec.json.encode(state.request)
    with pytest.raises(InvalidRequest):
        state.change(top_p=7)
    assert msgspec.json.encode(state.request) == before
