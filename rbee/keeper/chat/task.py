"""A task: one question to the queen and its answer, shown as it comes and proven at its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    AllSlotsBusy,
    ConnectionTimeout,
    QueueFull,
    RbeeError,
    ShuttingDown,
    StreamTruncated,
    TooManyRequests,
)
from rbee.contract.events import Done, Narration
from rbee.contract.tasks import TaskRequest, keep_alive_s
from rbee.keeper.chat.answer import BUSY_PAUSES_S, Answer, waiting
from rbee.keeper.session.queen import Queen
from rbee.keeper.terminal.countdown import count_down
from rbee.runtime import files
from rbee.runtime.screen import Screen

_RESTARTS = 3
_UNLOADED_WITHIN_S, _ENDS_WITHIN_S, _POLL_S = 5.0, 1.0, 0.05

Pause: TypeAlias = Callable[[int, Callable[[int], str]], Awaitable[None]]


class Task:
    """Asks until there is an answer, or an error that asking again does not fix. `pause` waits for
    a number of seconds."""

    def __init__(
        self, queen: Queen, request: TaskRequest, screen: Screen, pause: Pause = count_down
    ) -> None:
        self._queen = queen
        self._request = request
        self._screen = screen
        self._pause = pause
        self._answer = Answer()
        self._narrated: set[tuple[str, str]] = set()

    @property
    def answer(self) -> Answer:
        """What has come so far."""
        return self._answer

    async def run(self) -> Done:
        """Ask; returns the proof that the answer is complete."""
        retries = restarts = 0
        while True:
            try:
                return await self._ask()
            except (AllSlotsBusy, QueueFull, TooManyRequests) as busy:
                if retries == len(BUSY_PAUSES_S):
                    text = f"{busy.message} Given up after {retries} retries."
                    raise type(busy)(text, **busy.details) from None
                retries += 1
                self._screen.close()
                pause_s = BUSY_PAUSES_S[retries - 1]
                await self._pause(pause_s, functools.partial(waiting, retries))
            except (ShuttingDown, ConnectionTimeout) as error:
                restarts += 1
                if self._answer.request_id is not None or restarts > _RESTARTS:
                    raise
                # The queen that was found was just ending: wait for its end, and start again.
                if isinstance(error, ShuttingDown):
                    await self._queen.wait_until_gone()
                await self._queen.reach()

    async def cancel(self) -> None:
        """Tell the queen to stop the work, and wait for the confirmation for at most 5 s."""
        if self._answer.request_id is not None and self._answer.done is None:
            with contextlib.suppress(RbeeError):
                await self._queen.client.call(ep.QUEEN_CANCEL, request_id=self._answer.request_id)

    async def wait_until_unloaded(self) -> None:
        """If the answer's worker was to end at once, wait until it is gone. If another request uses
        it, or has asked for another time, or this key may not end it, don't wait long."""
        keep_alive, worker_id = self._request.keep_alive, self._answer.worker_id
        if keep_alive is None or keep_alive_s(keep_alive) != 0 or self._queen.started_here:
            return
        with contextlib.suppress(RbeeError, TimeoutError):
            async with asyncio.timeout(_UNLOADED_WITHIN_S):
                stays = 0
                while (state := await self._state_of(worker_id)) is not None:
                    # The queen learns a moment after the answer that a worker ends.
                    stays += state in ("busy", "idle")
                    if stays * _POLL_S > _ENDS_WITHIN_S:
                        return
                    await asyncio.sleep(_POLL_S)

    async def _state_of(self, worker_id: str | None) -> str | None:
        rows = (await self._queen.client.call(ep.QUEEN_WORKERS)).workers
        return next((row.state for row in rows if row.worker_id == worker_id), None)

    def save(self) -> None:
        """Keep the text of an answer that broke off, and say where."""
        answer = self._answer
        path = save_partial_answer(answer.request_id or "", answer.text)
        if path is not None:
            of = f"{answer.tokens} of {self._request.max_tokens} tokens"
            self._screen.note(f"Partial text saved at {path} ({of}).")

    async def _ask(self) -> Done:
        answer = self._answer = Answer()
        before = frozenset(self._narrated)
        async with self._queen.client.stream(ep.QUEEN_TASKS, self._request) as events:
            try:
                async for event in events:
                    answer.take(event)
                    # A retry does not repeat the narration of the attempt before it.
                    line = (event.actor, event.text) if isinstance(event, Narration) else None
                    if line not in before or self._screen.as_json:
                        self._screen.show(event)
                    if line is not None:
                        self._narrated.add(line)
            except StreamTruncated as error:
                text = f"{error.message} {answer.tokens} tokens had come."
                raise StreamTruncated(text, tokens=answer.tokens) from None
        return answer.proof()


def save_partial_answer(request_id: str, text: str, folder: Path | None = None) -> Path | None:
    """Write `text` to `rbee-partial-<request_id>.txt` in `folder`, or else the temporary folder,
    with mode 0600. Returns None if there is nothing to keep, or no place to keep it."""
    import tempfile

    path = (folder or Path(tempfile.gettempdir())) / f"rbee-partial-{request_id}.txt"
    with contextlib.suppress(OSError):
        if text:
            with os.fdopen(files.create(path), "w", encoding="utf-8") as file:
                file.write(text)
            return path
    return None
