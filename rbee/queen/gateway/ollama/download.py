"""Our download as Ollama tells of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from rbee.contract.events import Download, Event
from rbee.contract.ollama import OllamaProgress
from rbee.queen.gateway.ollama.listing import digest_of


async def progress(
    events: AsyncIterator[Event | None], model: str
) -> AsyncGenerator[OllamaProgress, None]:
    """The steps, the last of them a success. What is fetched has a digest of the model's name: its
    own is known only when it is there. A reader that leaves closes `events`."""
    digest = f"sha256:{digest_of(model, None)}"
    fetched = False
    yield OllamaProgress("pulling manifest")
    try:
        async for event in events:
            if isinstance(event, Download) and event.bytes_total is not None:
                fetched = True
                there = event.bytes_downloaded or 0
                yield OllamaProgress(f"pulling {model}", digest, event.bytes_total, there)
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
    if fetched:
        yield OllamaProgress("verifying sha256 digest")
        yield OllamaProgress("writing manifest")
    yield OllamaProgress("success")
