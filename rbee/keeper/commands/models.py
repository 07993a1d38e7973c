"""`rbee-keeper models …`: the models on a node, and those that it should get."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rbee.contract import endpoints as ep
from rbee.contract.advice import on_node
from rbee.contract.errors import InvalidModelRef, InvalidRequest, ModelNotFound, StreamTruncated
from rbee.contract.events import Download, Verify
from rbee.contract.models import Disk, NodeDownload, NodeModel, NodeModelRows
from rbee.keeper.commands.model_list import listing_of
from rbee.keeper.commands.runner import queen_command, queen_request
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import events_of, of_the_known_nodes
from rbee.runtime import safe_text
from rbee.runtime.listings import described, megabytes, usage
from rbee.runtime.screen import Screen


@queen_request(NodeDownload, keeps_queen=lambda request: request.detach)
async def download(queen: Queen, screen: Screen, request: NodeDownload) -> None:
    """Fetch a model and print its path. Detached, the queen is kept and goes on with it."""
    path = None
    async for event in events_of(queen, screen, ep.QUEEN_DOWNLOAD, request):
        if isinstance(event, Download) and event.stage == "complete":
            path = event.local_path
    screen.close()
    if path is not None:
        screen.result(path)
    elif request.detach:
        screen.note("The download goes on in the background. Follow it: rbee-keeper models list")
    else:
        raise StreamTruncated("The download ended without saying that it is complete.", tokens=0)


@queen_command
async def disk_usage(queen: Queen, screen: Screen, node: str | None) -> None:
    """Say how much the models take, the largest first, and how much is free."""
    found = await listing_of(queen, screen, node)
    screen.listing(found, "\n".join(_usage(found, disk) for disk in found.disks))


@queen_request(NodeModel)
async def info(queen: Queen, screen: Screen, request: NodeModel) -> None:
    """Describe one model, on the node or on the Hub."""
    found = await queen.client.call(ep.QUEEN_MODEL_INFO, request)
    screen.listing(found, described(found, "rbee-keeper models verify"))


@queen_request(NodeModel)
async def verify(queen: Queen, screen: Screen, request: NodeModel) -> None:
    """Check that a model's files are what the Hub sent."""
    done: Verify | None = None
    with _of_the_disk(request):
        async for event in events_of(queen, screen, ep.QUEEN_MODEL_VERIFY, request):
            if isinstance(event, Verify) and event.stage == "complete":
                done = event
    screen.close()
    if done is None:
        raise StreamTruncated("The verification ended without its result.", tokens=0)
    hashes = ", ".join(done.sha256 or [])
    outcome = "is whole" if done.compared else "had no known hash to compare with"
    screen.result(f"{request.model} {outcome}: sha256 {hashes}")


@queen_request(NodeModel)
async def delete(queen: Queen, screen: Screen, request: NodeModel) -> None:
    """Delete a model from the node."""
    with _of_the_disk(request):
        done = await queen.client.call(ep.QUEEN_MODEL_DELETE, request)
    screen.answer(done, done.message)


@contextlib.contextmanager
def _of_the_disk(request: NodeModel) -> Iterator[None]:
    """What is not on the node's disk is not to be looked for on the Hub, or a node to be added."""
    try:
        with of_the_known_nodes():
            yield
    except (ModelNotFound, InvalidModelRef, InvalidRequest) as error:
        if not error.details.get("near") and "hint" not in error.details:
            listing = f"rbee-keeper models list{on_node({'node': request.node})}"
            error.details["hint"] = f"See which models are there: {listing}"
        raise


def _usage(found: NodeModelRows, disk: Disk) -> str:
    rows = [row for row in found.models if row.node == disk.node]
    free, total = megabytes(disk.disk_free_bytes), megabytes(disk.disk_total_bytes)
    where = safe_text.line(f"{disk.node}: {free} of {total} are free at {disk.folder}")
    return f"{usage(rows)}\n{where}"
