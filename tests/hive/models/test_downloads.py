"""Downloads that run: one of each model, as long as somebody wants it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import select
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from rbee.contract import events as ev
from rbee.contract.errors import DiskFull, Internal, ModelGated, RequestCanceled, ShuttingDown
from rbee.contract.model_ref import parse
from rbee.hive.models.downloads import WATCHED_WITHIN_S, Download, Downloads
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import FileStream, Hub
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.hive.models.transfer import TransferSettings

DATA = b"GGUF and what follows"
HALF = len(DATA) // 2
EAGER = TransferSettings(buffer_bytes=1, report_every_s=0.0, look_again_s=0.001)


class FakeHub:
    """Sends half of a file, and the other half when `go` is set; `error` is raised in between."""

    stall_s = 30.0

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[tuple[str, int]] = []
        self.error: Exception | None = None
        self.open = 0

    @contextlib.contextmanager
    def stream(self, _: RemoteModel, file: RemoteFile, start: int) -> Iterator[FileStream]:
        self.asked.append((file.path, start))
        self.open += 1
        near, far = socket.socketpair()
        try:
            with near, far:
                yield FileStream(start, self._pieces(start, near), near)
        finally:
            self.open -= 1

    def _pieces(self, start: int, near: socket.socket) -> Iterator[bytes]:
        if start < HALF:
            yield DATA[start:HALF]
        while not self.go.wait(0.005):
            if select.select([near], [], [], 0)[0]:  # it is cut
                raise TransientError("Connection closed early")
        if self.error is not None:
            raise self.error
        yield DATA[max(start, HALF) :]


def remote(*paths: str) -> RemoteModel:
    total = hashlib.sha256(DATA).hexdigest()
    files = tuple(RemoteFile(path, len(DATA), total) for path in paths)
    return RemoteModel(parse(f"hf:owner/repo/{paths[0]}"), "c0ffee", files)


MODEL = remote("m.gguf")


class Made:
    def __init__(self, root: Path, watched_within_s: float = WATCHED_WITHIN_S) -> None:
        self.hub = FakeHub()
        self.folder = Folder(root)
        self.arrived: list[tuple[str, Path, list[str]]] = []
        self.error: Exception | None = None
        hub = cast(Hub, self.hub)
        self.downloads = Downloads(hub, self.folder, self._arrive, EAGER, watched_within_s)

    async def _arrive(self, model: RemoteModel, path: Path, _: str | None, sums: list[str]) -> None:
        if self.error is not None:
            raise self.error
        self.arrived.append((str(model.reference), path, sums))

    def lying(self) -> list[str]:
        return sorted(path.name for path in self.folder.root.rglob("*") if path.is_file())


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    one = Made(tmp_path / "models")
    async with asyncio.timeout(10):
        yield one
        await one.downloads.end_all()


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Made]:
    """Ends a download that nobody watches within 10 ms, where the hive waits for 10 s."""
    one = Made(tmp_path / "models", watched_within_s=0.01)
    async with asyncio.timeout(10):
        yield one
        await one.downloads.end_all()


async def heard(download: Download) -> list[ev.Download]:
    async with asyncio.timeout(10):
        return [event async for event in download.watch() if event is not None]


async def half_there(download: Download) -> AsyncIterator[ev.Download | None]:
    """Somebody who watches, and has heard that the first half has come."""
    watching = download.watch()
    async with asyncio.timeout(10):
        async for event in watching:
            if event is not None and event.bytes_downloaded == HALF:
                break
    return watching


async def left(watching: AsyncIterator[ev.Download | None]) -> None:
    await watching.aclose()  # type: ignore[attr-defined]


async def test_a_watcher_hears_how_far_it_is_up_to_the_whole_file(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    made.hub.go.set()
    reported = await heard(download)
    path = made.folder.root / "owner/repo/m.gguf"
    size = len(DATA)
    assert reported[-1] == ev.Download(
        "complete", size, size, local_path=str(path), checked="sha256"
    )
    assert [event.bytes_downloaded for event in reported[:-1]] == sorted(
        event.bytes_downloaded or 0 for event in reported[:-1]
    )
    assert {event.bytes_total for event in reported} == {size}
    assert path.read_bytes() == DATA


async def test_what_has_arrived_is_known_with_its_sum_before_anyone_hears_of_it(
    made: Made,
) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    made.hub.go.set()
    async for event in download.watch():
        assert made.arrived == [] or (event is not None and event.stage != "retrying")
        if event is not None and event.stage == "complete":
            assert made.arrived != []
    [(reference, path, sums)] = made.arrived
    assert (reference, path) == ("hf:owner/repo/m.gguf", download.path)
    assert sums == [hashlib.sha256(DATA).hexdigest()]


@pytest.mark.behaviour("B2.3")
async def test_two_clients_that_want_one_model_share_one_download(made: Made) -> None:
    one = made.downloads.begin(MODEL, detach=False)
    other = made.downloads.begin(MODEL, detach=False)
    assert one is other
    both = asyncio.gather(heard(one), heard(other))
    await asyncio.sleep(0)
    made.hub.go.set()
    for reported in await both:
        assert reported[-1].stage == "complete"
    assert made.hub.asked == [("m.gguf", 0)]


async def test_another_model_has_another_download(made: Made) -> None:
    one = made.downloads.begin(MODEL, detach=False)
    other = made.downloads.begin(remote("n.gguf"), detach=False)
    assert one.id != other.id
    assert made.downloads.sizes() == {one.path: len(DATA), other.path: len(DATA)}


async def test_when_the_last_watcher_leaves_it_ends_and_what_came_stays(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    await left(await half_there(download))
    await download.ended()
    assert made.hub.open == 0
    [part] = made.lying()
    assert part.endswith(".part")
    assert made.downloads.of(download.path) is None
    with pytest.raises(RequestCanceled):
        await heard(download)
    assert made.arrived == []


@pytest.mark.behaviour("B2.3")
async def test_what_stayed_is_gone_on_with(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    await left(await half_there(download))
    await download.ended()
    made.hub.go.set()
    assert (await heard(made.downloads.begin(MODEL, detach=False)))[-1].stage == "complete"
    assert made.hub.asked == [("m.gguf", 0), ("m.gguf", HALF)]


async def test_while_one_still_watches_it_goes_on(made: Made) -> None:
    one = made.downloads.begin(MODEL, detach=False)
    other = made.downloads.begin(MODEL, detach=False)
    leaving, staying = await half_there(one), asyncio.create_task(heard(other))
    await asyncio.sleep(0)
    await left(leaving)
    made.hub.go.set()
    assert (await staying)[-1].stage == "complete"


async def test_a_client_that_has_just_asked_keeps_it_going(made: Made) -> None:
    one = made.downloads.begin(MODEL, detach=False)
    leaving = await half_there(one)
    other = made.downloads.begin(MODEL, detach=False)
    await left(leaving)
    assert made.downloads.of(one.path) is other
    made.hub.go.set()
    assert (await heard(other))[-1].stage == "complete"


async def test_detached_it_goes_on_without_anybody(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=True)
    await left(await half_there(download))
    assert made.downloads.of(download.path) is download
    made.hub.go.set()
    await download.ended()
    assert len(made.arrived) == 1


async def test_detached_by_a_later_asker_it_goes_on_too(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    made.downloads.begin(MODEL, detach=True)
    made.downloads.begin(MODEL, detach=False)
    for watching in [await half_there(download) for _ in range(3)]:
        await left(watching)
    made.hub.go.set()
    await download.ended()
    assert len(made.arrived) == 1


async def test_it_ends_if_nobody_watches_in_time(impatient: Made) -> None:
    assert WATCHED_WITHIN_S == 10.0
    download = impatient.downloads.begin(MODEL, detach=False)
    await download.ended()
    with pytest.raises(RequestCanceled, match="no client was waiting"):
        await heard(download)


async def test_a_watcher_that_comes_in_time_may_watch_for_longer(impatient: Made) -> None:
    download = impatient.downloads.begin(MODEL, detach=False)
    watching = await half_there(download)
    await asyncio.sleep(0.03)
    assert impatient.downloads.of(download.path) is download
    await left(watching)


async def test_a_late_watcher_gets_the_latest_at_once(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    early = await half_there(download)
    late = download.watch()
    event = await anext(late)
    assert event is not None
    assert (event.stage, event.bytes_downloaded, event.bytes_total) == (
        "downloading",
        HALF,
        len(DATA),
    )
    await left(late)
    await left(early)


async def test_after_its_end_it_is_still_known_by_its_id(made: Made) -> None:
    download = made.downloads.begin(MODEL, detach=False)
    made.hub.go.set()
    await heard(download)
    found = made.downloads.find(download.id)
    assert found is download
    assert [event.stage for event in await heard(found)] == ["complete"]
    assert made.downloads.find("of another hive") is None


async def test_only_the_last_256_are_remembered(made: Made) -> None:
    first = made.downloads.done(MODEL.reference, Path("/m.gguf"))
    for _ in range(255):
        made.downloads.done(MODEL.reference, Path("/m.gguf"))
    assert made.downloads.find(first.id) is first
    made.downloads.done(MODEL.reference, Path("/m.gguf"))
    assert made.downloads.find(first.id) is None


@pytest.mark.behaviour("B2.3")
async def test_a_model_that_is_there_is_complete_at_once(made: Made) -> None:
    done = made.downloads.done(MODEL.reference, Path("/m.gguf"))
    assert await heard(done) == [ev.Download("complete", local_path="/m.gguf")]
    assert made.hub.asked == []
    assert made.downloads.sizes() == {}


async def test_a_failure_is_reported_to_all(made: Made) -> None:
    made.hub.error = ModelGated(model="hf:owner/repo", url="https://hub/owner/repo")
    download = made.downloads.begin(MODEL, detach=False)
    watching = [asyncio.create_task(heard(download)) for _ in range(3)]
    await asyncio.sleep(0)
    made.hub.go.set()
    for each in watching:
        with pytest.raises(ModelGated):
            await each
    with pytest.raises(ModelGated):
        await heard(download)
    assert made.downloads.of(download.path) is None


@pytest.mark.parametrize(
    ("error", "reported"),
    [(DiskFull(required=2, available=1, path="/m"), DiskFull), (ValueError("ours"), Internal)],
)
async def test_a_model_that_is_whole_but_can_not_be_kept_has_failed(
    made: Made, error: Exception, reported: type[Exception]
) -> None:
    made.error = error
    download = made.downloads.begin(MODEL, detach=False)
    made.hub.go.set()
    with pytest.raises(reported):
        await heard(download)


async def test_the_parts_of_a_split_model_are_one_download(made: Made) -> None:
    names = [f"m-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    made.hub.go.set()
    reported = await heard(made.downloads.begin(remote(*names), detach=False))
    assert made.hub.asked == [(name, 0) for name in names]
    assert made.lying() == names
    sizes = [event.bytes_downloaded or 0 for event in reported]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 3 * len(DATA)
    assert {event.bytes_total for event in reported} == {3 * len(DATA)}
    assert reported[-1].local_path == str(made.folder.root / "owner/repo" / names[0])
    assert len(made.arrived[0][2]) == 3


async def test_a_line_that_breaks_is_reported_and_tried_again(made: Made) -> None:
    made.hub.error = TransientError("Connection reset")
    made.hub.go.set()
    download = made.downloads.begin(MODEL, detach=False)
    reported = []
    async for event in download.watch():
        if event is not None and event.stage == "retrying":
            reported.append(event)
            made.hub.error = None
    assert [(event.attempt, event.delay_ms, event.reason) for event in reported] == [
        (2, 100, "Connection reset")
    ]
    assert reported[0].bytes_downloaded == HALF
    assert made.hub.asked == [("m.gguf", 0), ("m.gguf", HALF)]


async def test_a_file_that_another_hive_fetches_is_waited_for(made: Made) -> None:
    other = Made(made.folder.root)
    theirs = other.downloads.begin(MODEL, detach=True)
    watching = await half_there(theirs)
    ours = await half_there(made.downloads.begin(MODEL, detach=False))
    other.hub.go.set()
    async with asyncio.timeout(10):
        reported = [event async for event in ours if event is not None]
    assert reported[-1].stage == "complete"
    assert made.hub.asked == []
    assert len(made.arrived) == 1
    await left(watching)
    await theirs.ended()


async def test_all_end_with_the_hive_and_what_came_stays(made: Made) -> None:
    one = made.downloads.begin(MODEL, detach=True)
    other = made.downloads.begin(remote("n.gguf"), detach=False)
    watching = [await half_there(one), await half_there(other)]
    await made.downloads.end_all()
    for each in watching:
        with pytest.raises(ShuttingDown):
            await anext(each)
            await anext(each)
            await anext(each)
    assert made.downloads.sizes() == {}
    assert len(made.lying()) == 2
    assert all(name.endswith(".part") for name in made.lying())
    assert made.arrived == []
