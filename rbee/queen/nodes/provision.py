"""A model on a node: asked for at its hive, and watched until it is there."""

from __future__ import annotations

from collections.abc import Callable

from rbee.contract import endpoints as ep
from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Download
from rbee.contract.models import DownloadReply, DownloadRequest
from rbee.runtime.client import Client
from rbee.runtime.narration import Say

# The Hub may be slow to answer, or not answer, and is asked up to six times.
ASKED_WITHIN_S = 180.0
_PROVISIONER = "model-provisioner"


async def provide(
    hive: Client, request: DownloadRequest, tell: Callable[[Download], None], say: Say
) -> DownloadReply:
    """Wait until the model is on the node, telling each step. Detached, it is not waited for.
    Raises why it can't come.

    The hive tells on its own events what it does before; how it ended is said here, where it can't
    come too late.
    """
    reply = await hive.call(ep.HIVE_DOWNLOAD, request, within_s=ASKED_WITHIN_S)
    if reply.local_path is not None:
        say(_PROVISIONER, "📦", f"model provisioning: {reply.reference} is on disk")
    elif not request.detach:
        done = await _watch(hive, reply.download_id, tell)
        told = f"{done.local_path} is whole ({done.checked} checked)"
        say(_PROVISIONER, "✅", f"model provisioning: {told}")
    return reply


async def _watch(hive: Client, download_id: str, tell: Callable[[Download], None]) -> Download:
    """The last word of a download: that it is complete. Without that, it is none."""
    async with hive.stream(ep.HIVE_DOWNLOAD_PROGRESS, id=download_id) as events:
        async for event in events:
            if isinstance(event, Download):
                tell(event)
                if event.stage == "complete":
                    return event
    raise StreamTruncated("The hive told no end of the download.", tokens=0)
