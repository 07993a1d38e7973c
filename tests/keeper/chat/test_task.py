"""A task: asked again while all slots are busy, and kept as far as it came when it breaks off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    AllSlotsBusy,
    ConnectionTimeout,
    QueueFull,
    RbeeError,
    TooManyRequests,
)
from rbee.contract.events import Accepted, Done, Started, Token
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import NodeWorkerRow, NodeWorkerRows
from rbee.keeper.chat.answer import BUSY_PAUSES_S, waiting
from rbee.keeper.chat.task import Task, save_partial_answer
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import of
from rbee.runtime import settings
from rbee.runtime.screen import Screen

FakeQueen = Any

BUSY = AllSlotsBusy(slots_total=1, slots_busy=1, waiting=0)
LIMIT = TooManyRequests(key="laptop", limit=1)
GONE = ConnectionTimeout(host="127.0.0.1", port=1, attempts=1)
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=3)
ANSWER = [Accepted("r"), Token("Once", 0), Done(True, 1, 5.0, 1, 0, 1.0, 9.0, "EOS")]


class Pauses:
    """Waits for no time, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[int] = []

    async def __call__(self, seconds: int, text: Callable[[int], str]) -> None:
        turn = len(self.seconds) + 1
        assert text(seconds) == waiting(turn, BUSY_PAUSES_S[turn - 1])
        self.seconds.append(seconds)


def asked(pauses: Pauses) -> Done:
    """Ask the queen once, from beginning to end."""

    async def ask() -> Done:
        queen = Queen(of(settings.load()))
        try:
            await queen.reach()
            return await Task(queen, TaskRequest(prompt="hi"), Screen(), pauses).run()
        finally:
            await queen.release()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("busy", "advice"),
    [
        (BUSY, "use another node (--node NODE); rbee-keeper setup list-nodes"),
        (FULL, "use another node (--node NODE); rbee-keeper setup list-nodes"),
        (LIMIT, "Wait until one of them has ended"),
    ],
    ids=["busy", "full", "limit"],
)
def test_it_is_given_up_after_three_waits(
    busy: RbeeError, advice: str, fake_queen: FakeQueen
) -> None:
    pauses = Pauses()
    fake_queen.on(ep.QUEEN_TASKS, busy)
    with pytest.raises(type(busy), match=r"Given up after 3 retries\.") as caught:
        asked(pauses)
    assert pauses.seconds == [1, 2, 4]
    assert fake_queen.paths().count(ep.QUEEN_TASKS.path) == 4
    assert caught.value.exit_code == 1
    assert advice in caught.value.advice


def test_a_slot_that_is_free_after_a_wait_is_taken(
    fake_queen: FakeQueen, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses = Pauses()
    fake_queen.on(ep.QUEEN_TASKS, BUSY, FULL, ANSWER)
    assert asked(pauses).total_tokens == 1
    assert (pauses.seconds, capsys.readouterr().out) == ([1, 2], "Once")


def test_a_queen_that_has_just_gone_is_looked_for_three_times(fake_queen: FakeQueen) -> None:
    fake_queen.on(ep.QUEEN_TASKS, GONE, GONE, GONE, ANSWER)
    assert asked(Pauses()).total_tokens == 1


def test_a_queen_that_goes_again_and_again_is_told(fake_queen: FakeQueen) -> None:
    fake_queen.on(ep.QUEEN_TASKS, GONE)
    with pytest.raises(ConnectionTimeout):
        asked(Pauses())
    assert fake_queen.paths().count(ep.QUEEN_TASKS.path) == 4


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_worker_that_stays_is_not_waited_for_long(state: str, fake_queen: FakeQueen) -> None:
    """As with a key of the role `use`, whose `--keep-alive` counts for nothing."""
    row = NodeWorkerRow("w", "localhost", state, "hf:o/r/m.gguf", "http://x:1", "cpu", 0, 4, 4)  # type: ignore[arg-type]
    answer = [Accepted("r"), Started("r", "hf:o/r/m.gguf", "w", "localhost"), *ANSWER[1:]]
    fake_queen.on(ep.QUEEN_TASKS, answer)
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([row]))

    async def ask() -> float:
        queen = Queen(of(settings.load()))
        try:
            await queen.reach()
            task = Task(queen, TaskRequest(prompt="hi", keep_alive=0), Screen(), Pauses())
            await task.run()
            began = time.monotonic()
            await task.wait_until_unloaded()
            return time.monotonic() - began
        finally:
            await queen.release()

    assert asyncio.run(ask()) < 4


def test_a_partial_answer_is_saved_under_the_id_of_its_request(tmp_path: Path) -> None:
    path = save_partial_answer("r-1", "Es wär einmal\n🐝", tmp_path)
    assert path == tmp_path / "rbee-partial-r-1.txt"
    assert path.read_text(encoding="utf-8") == "Es wär einmal\n🐝"


def test_only_its_owner_can_read_a_partial_answer(tmp_path: Path) -> None:
    path = save_partial_answer("r-1", "words", tmp_path)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_answer_is_not_saved(tmp_path: Path) -> None:
    assert save_partial_answer("r-1", "", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rbee-partial-r-1.txt").write_text("of somebody else")
    assert save_partial_answer("r-1", "words", tmp_path) is None
    assert (tmp_path / "rbee-partial-r-1.txt").read_text() == "of somebody else"


def test_a_link_that_someone_planted_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "rbee-partial-r-1.txt").symlink_to(tmp_path / "precious")
    assert save_partial_answer("r-1", "words", tmp_path) is None
    assert not (tmp_path / "precious").exists()


def test_without_a_folder_nothing_is_saved_and_nothing_fails(tmp_path: Path) -> None:
    assert save_partial_answer("r-1", "words", tmp_path / "none") is None
