"""One question and its answer: asked of the queen, shown as it comes, believed with its proof."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Set

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    AllSlotsBusy,
    ConnectionTimeout,
    QueueFull,
    RbeeError,
    ShuttingDown,
    StreamTruncated,
)
from rbee.contract.events import Done, Event, Narration
from rbee.contract.tasks import TaskRequest
from rbee.keeper.chat import partial_answer as partial
from rbee.keeper.chat.answer import BUSY_PAUSES_S, Answer, waiting
from rbee.keeper.session.queen import Queen
from rbee.keeper.terminal.countdown import count_down
from rbee.runtime.screen import Screen

_CANCELED_WITHIN_S = 5.0
_FRESH_STARTS = 3


class Asking:
    """Asks until there is an answer, or an error that trying again does not mend."""

    def __init__(self, queen: Queen, request: TaskRequest, screen: Screen) -> None:
        self._queen = queen
        self._request = request
        self._screen = screen
        self._answer = Answer()
        self._told: set[tuple[str, str]] = set()

    @property
    def answer(self) -> Answer:
        """What has come so far."""
        return self._answer

    async def run(self) -> Done:
        """The proof of the whole answer. What came of one that broke off is saved and named."""
        retries = fresh = 0
        while True:
            try:
                return await self._once()
            except (AllSlotsBusy, QueueFull) as busy:
                if retries == len(BUSY_PAUSES_S):
                    tried = f"{busy.message} Given up after {retries} retries."
                    raise type(busy)(tried, **busy.details) from None
                retries += 1
                self._screen.close()
                await count_down(BUSY_PAUSES_S[retries - 1], functools.partial(waiting, retries))
            except (ShuttingDown, ConnectionTimeout) as ending:
                fresh += 1
                if self._answer.request_id is not None or fresh > _FRESH_STARTS:
                    raise
                # The queen that was found was just ending: wait for that, and start afresh.
                if isinstance(ending, ShuttingDown):
                    await self._queen.wait_until_gone()
                await self._queen.reach()

    async def cancel(self) -> None:
        """Tell the queen to stop the work, and wait for the word, for 5 s at most."""
        if self._answer.request_id is not None and self._answer.done is None:
            with contextlib.suppress(RbeeError):
                await self._queen.client.call(
                    ep.QUEEN_CANCEL,
                    within_s=_CANCELED_WITHIN_S,
                    request_id=self._answer.request_id,
                )

    def save(self) -> None:
        """Keep what has come of an answer that broke off, and say where."""
        answer = self._answer
        path = partial.save(answer.request_id or "", answer.text)
        if path is not None:
            of = f"{answer.tokens} of {self._request.max_tokens} tokens"
            self._screen.note(f"Partial text saved at {path} ({of}).")

    async def _once(self) -> Done:
        answer = self._answer = Answer()
        before = frozenset(self._told)
        async with self._queen.client.stream(ep.QUEEN_TASKS, self._request) as events:
            try:
                async for event in events:
                    answer.take(event)
                    if not _is_of(before, event) or self._screen.as_json:
                        self._screen.show(event)
                    if isinstance(event, Narration):
                        self._told.add((event.actor, event.text))
            except StreamTruncated as error:
                told = f"{error.message} {answer.tokens} tokens had come."
                raise StreamTruncated(told, tokens=answer.tokens) from None
        return answer.proof()


def _is_of(told: Set[tuple[str, str]], event: Event) -> bool:
    """Whether a try before this one has told the very same."""
    return isinstance(event, Narration) and (event.actor, event.text) in told
