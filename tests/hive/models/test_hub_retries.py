"""Asking again: how often, after what pauses, and what is reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rbee.contract.errors import DownloadFailed, ModelGated
from rbee.contract.events import Download
from rbee.contract.model_ref import parse
from rbee.hive.models.hub import with_retries
from rbee.hive.models.hub_errors import TransientError

REF = parse("hf:owner/repo/m.gguf")
MB = 1 << 20


class Line:
    """What happens attempt by attempt: so many bytes come, then it fails, or is done with None.
    `slept` are the pauses, which nobody waits for."""

    def __init__(self, *turns: tuple[int, Exception | None]) -> None:
        self.turns = list(turns)
        self.there = 0
        self.reported: list[Download] = []
        self.slept: list[float] = []

    async def attempt(self) -> str:
        came, error = self.turns.pop(0)
        self.there += came
        if error is not None:
            raise error
        return "whole"

    async def run(self) -> str:
        return await with_retries(
            REF, self.attempt, self.reported.append, lambda: self.there, 100 * MB, self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


RESET = TransientError("Connection reset")


async def test_what_works_at_once_is_not_talked_about() -> None:
    line = Line((9, None))
    assert await line.run() == "whole"
    assert (line.slept, line.reported) == ([], [])


async def test_the_pauses_double_from_100_ms() -> None:
    line = Line(*[(0, RESET)] * 5, (9, None))
    assert await line.run() == "whole"
    assert line.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert [event.delay_ms for event in line.reported] == [100, 200, 400, 800, 1600]
    assert [event.attempt for event in line.reported] == [2, 3, 4, 5, 6]


async def test_each_retry_is_reported_with_its_reason_and_how_far_it_is() -> None:
    line = Line((500, RESET), (0, None))
    await line.run()
    assert line.reported == [
        Download(
            "retrying",
            bytes_downloaded=500,
            bytes_total=100 * MB,
            attempt=2,
            attempts=6,
            delay_ms=100,
            reason="Connection reset",
        )
    ]
    assert len(line.slept) == 1


async def test_after_six_attempts_it_has_failed() -> None:
    line = Line((0, TransientError("HTTP 503")), *[(100, RESET)] * 5, (0, None))
    with pytest.raises(DownloadFailed) as caught:
        await line.run()
    assert caught.value.details == {
        "model": "hf:owner/repo/m.gguf",
        "attempts": 6,
        "bytes_downloaded": 500,
        "bytes_total": 100 * MB,
        "reason": "Connection reset",
    }
    assert len(line.turns) == 1
    assert len(line.slept) == 5


async def test_an_attempt_that_brought_a_megabyte_sets_the_count_back() -> None:
    line = Line(*[(0, RESET)] * 4, (MB, RESET), *[(0, RESET)] * 4, (0, None))
    assert await line.run() == "whole"
    assert [event.attempt for event in line.reported] == [2, 3, 4, 5, 2, 3, 4, 5, 6]
    assert line.slept[4] == pytest.approx(0.1)


async def test_a_byte_less_does_not() -> None:
    line = Line(*[(0, RESET)] * 4, (MB - 1, RESET), (0, RESET))
    with pytest.raises(DownloadFailed):
        await line.run()


async def test_what_came_before_an_attempt_is_not_what_it_brought() -> None:
    line = Line((50 * MB, RESET), *[(0, RESET)] * 5)
    with pytest.raises(DownloadFailed) as caught:
        await line.run()
    assert caught.value.details["bytes_downloaded"] == 50 * MB
    assert len(line.slept) == 5


@pytest.mark.parametrize(
    ("asked", "pause"), [(7.0, 7.0), (0.05, 0.1), (60.0, 60.0), (3600.0, 60.0)]
)
async def test_the_pause_that_the_hub_asks_for_is_kept_up_to_a_minute(
    asked: float, pause: float
) -> None:
    line = Line((0, TransientError("HTTP 429", asked)), (0, None))
    await line.run()
    assert line.slept == pytest.approx([pause])
    assert line.reported[0].delay_ms == round(pause * 1000)


@pytest.mark.parametrize(
    "make", [lambda: ModelGated(model="m", url="u"), lambda: ValueError("a fault of ours")]
)
async def test_what_does_not_pass_is_not_tried_again(make: Callable[[], Exception]) -> None:
    error = make()
    line = Line((0, error))
    with pytest.raises(type(error)):
        await line.run()
    assert line.slept == []
