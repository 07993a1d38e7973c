"""Phase 8: the answer of one worker, relayed as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rbee.contract import endpoints as ep
from rbee.contract.embeddings import EmbeddingRequest
from rbee.contract.errors import StreamTruncated, WorkerCrashed
from rbee.contract.events import Accepted, Done, Prefill, Started, Token
from rbee.contract.texts import DetokenizeRequest, TokenizeRequest
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.worker_start import crashed
from rbee.queen.tasks.sessions import Place
from rbee.queen.tasks.task import CountRequest, Task, TextRequest, VectorRequest, size_of
from rbee.runtime.client import Client
from rbee.runtime.concurrency import finish

_REFUSED_WITHIN_S = 0.5


async def relay_answer(
    task: Task, hive: Hive, worker: WorkerRow, on_accepted: Callable[[], None] = lambda: None
) -> None:
    """Up to `done`. `on_accepted` is called when the worker has taken the request. Raises
    ALL_SLOTS_BUSY, STREAM_TRUNCATED if the answer broke off, and what the worker itself raises."""
    async with hive.worker_client(worker.url) as client:
        task.is_sent = True
        if isinstance(task.request, TextRequest):
            await _read_text(task, task.request, client)
        elif isinstance(task.request, CountRequest):
            asked = task.request.inference(task.id)
            task.reply = await client.call(ep.WORKER_PROMPT, asked)
        else:
            await _relay(task, hive, worker, client, on_accepted)


def broken_off(
    task: Task, hive: Hive, worker: WorkerRow, why: str, gone: WorkerGone | None = None
) -> WorkerCrashed:
    """The error for a worker that ended during the answer. `why` is the reason if its hive did not
    say how it ended."""
    tokens, wanted = task.tokens, task.request.max_tokens
    when = f"after {tokens} of {wanted} tokens"
    if isinstance(task.request, VectorRequest | TextRequest):
        when = f"while it read {size_of(task.request)}"
    return crashed(hive, worker.id, when, why, gone, tokens=tokens, max_tokens=wanted)


async def _relay(
    task: Task,
    hive: Hive,
    worker: WorkerRow,
    client: Client,
    on_accepted: Callable[[], None],
) -> None:
    request = task.request
    assert not isinstance(request, TextRequest)  # it was answered above
    if isinstance(request, VectorRequest):
        await _call(task, request, client, on_accepted)
        return
    done = False
    async with client.stream(ep.WORKER_INFERENCE, request.inference(task.id)) as events:
        try:
            async for event in events:
                if isinstance(event, Accepted):
                    on_accepted()
                    task.session.place = Place(hive.node, worker.id)
                    about = worker.model_ref, worker.id, hive.node, event.prompt_tokens
                    task.tell(Started(task.id, *about))
                elif isinstance(event, Prefill | Token | Done):
                    if isinstance(event, Token):
                        task.tokens = max(task.tokens, event.index + 1)
                    task.has_begun = not isinstance(event, Prefill)
                    done = isinstance(event, Done)
                    if isinstance(event, Done):
                        task.tokens_read = event.prompt_tokens - event.cached_tokens
                    await task.events.put(event)
        except asyncio.CancelledError:
            # Closing the connection would do, but a proxy between may keep it open.
            await finish(client.call(ep.WORKER_CANCEL, within_s=1, request_id=task.id))
            raise
    if not done:
        raise StreamTruncated(tokens=task.tokens)


async def _read_text(task: Task, request: TextRequest, client: Client) -> None:
    asked = request.asked
    if isinstance(asked, TokenizeRequest):
        task.reply = await client.call(ep.WORKER_TOKENIZE, asked)
    elif isinstance(asked, DetokenizeRequest):
        task.reply = await client.call(ep.WORKER_DETOKENIZE, asked)
    else:
        task.reply = await client.call(ep.WORKER_WRITE_PROMPT, asked)


async def _call(
    task: Task, request: VectorRequest, client: Client, on_accepted: Callable[[], None]
) -> None:
    """A worker refuses at once; what it has not refused soon, it has accepted. It gives up if the
    connection closes."""
    accepting = asyncio.get_running_loop().call_later(_REFUSED_WITHIN_S, on_accepted)
    try:
        if isinstance(request.texts, EmbeddingRequest):
            task.reply = await client.call(ep.WORKER_EMBEDDINGS, request.texts)
        else:
            task.reply = await client.call(ep.WORKER_RERANK, request.texts)
        task.tokens_read = task.reply.usage.prompt_tokens
    finally:
        accepting.cancel()
