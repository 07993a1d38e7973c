"""A model that other nodes have: from them as long as they send what they should, else the Hub."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from rbee.contract import events as ev
from rbee.contract.errors import ChecksumMismatch, DownloadFailed
from rbee.contract.model_ref import parse
from rbee.contract.models import ModelSource, SharedFile, SharedModel
from rbee.hive.models import offers
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import PROGRESS_BYTES, FileStream, Hub
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.node_source import NodeSource
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.hive.models.transfer import ModelTransfer, TransferSettings

DATA = bytes(range(256)) * (2 * PROGRESS_BYTES // 256)
SUM = hashlib.sha256(DATA).hexdigest()
REF = parse("hf:owner/repo/m.gguf")
MODEL = RemoteModel(REF, "c0ffee", (RemoteFile("m.gguf", len(DATA), SUM),))
EAGER = TransferSettings(report_every_s=0.0)
PIECE = 1 << 16


class Source:
    """Sends `data`, and breaks off at each of the bytes `breaks`."""

    def __init__(self, node: str, data: bytes = DATA, *breaks: int) -> None:
        self.node = node
        self.stall_s = 1.0
        self.starts: list[int] = []
        self._data = data
        self._breaks = list(breaks)

    @contextlib.contextmanager
    def stream(self, _: RemoteModel, __: RemoteFile, start: int) -> Iterator[FileStream]:
        self.starts.append(start)
        yield FileStream(start, self._pieces(start), None)

    def _pieces(self, start: int) -> Iterator[bytes]:
        end = self._breaks.pop(0) if self._breaks else None
        for at in range(start, len(self._data) if end is None else end, PIECE):
            yield self._data[at : min(at + PIECE, end or len(self._data))]
        if end is not None:
            raise TransientError("Connection reset")


class Fetched:
    def __init__(self, root: Path, hub: Source, *nodes: Source) -> None:
        self.events: list[ev.Download] = []
        self.said: list[str] = []
        self.path = root / "owner/repo/m.gguf"
        self._transfer = lambda: ModelTransfer(
            cast(Hub, hub),
            Folder(root),
            MODEL,
            self.events.append,
            EAGER,
            cast(list[NodeSource], nodes),
            lambda _, __, text: self.said.append(text.removeprefix("model provisioning: ")),
        )

    async def run(self) -> None:
        async with asyncio.timeout(20):
            assert await self._transfer().run() == [SUM]
        assert self.path.read_bytes() == DATA

    @property
    def came_from(self) -> list[str | None]:
        """Each source of the progress once, in order."""
        names = [event.from_node for event in self.events if event.stage == "downloading"]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


@pytest.fixture
def hub() -> Source:
    return Source("")


async def test_a_node_that_has_it_all_is_enough(tmp_path: Path, hub: Source) -> None:
    fetched = Fetched(tmp_path, hub, left := Source("left"), right := Source("right"))
    await fetched.run()
    assert (left.starts, right.starts, hub.starts) == ([0], [], [])
    assert fetched.came_from == ["left"]
    assert fetched.said == []


async def test_the_next_node_goes_on_and_then_the_hub(tmp_path: Path, hub: Source) -> None:
    left, right = Source("left", DATA, 1000), Source("right", DATA, 2000)
    fetched = Fetched(tmp_path, hub, left, right)
    await fetched.run()
    assert (left.starts, right.starts, hub.starts) == ([0], [1000], [2000])
    assert fetched.came_from == ["left", "right", None]
    assert fetched.said == [
        "the node left broke off (Connection reset): continuing from the node right",
        "the node right broke off (Connection reset): continuing from the Hub",
    ]


async def test_a_node_that_has_brought_a_megabyte_is_asked_again(
    tmp_path: Path, hub: Source
) -> None:
    left = Source("left", DATA, PROGRESS_BYTES, PROGRESS_BYTES + 1)
    await Fetched(tmp_path, hub, left).run()
    assert (left.starts, hub.starts) == ([0, PROGRESS_BYTES], [PROGRESS_BYTES + 1])


async def test_a_node_with_another_content_is_not_believed(tmp_path: Path, hub: Source) -> None:
    wrong = Source("left", DATA[:-1] + b"?")
    fetched = Fetched(tmp_path, hub, wrong)
    await fetched.run()
    assert (wrong.starts, hub.starts) == ([0], [0])
    assert fetched.said == [
        "the node left broke off (its sha256 is wrong): continuing from the Hub"
    ]


async def test_a_wrong_beginning_from_a_node_costs_the_hub_one_transfer_more(
    tmp_path: Path, hub: Source
) -> None:
    wrong = Source("left", b"?" + DATA[1:], 500)
    fetched = Fetched(tmp_path, hub, wrong)
    await fetched.run()
    assert hub.starts == [500, 0]
    assert fetched.said[-1] == "what other nodes sent was wrong: continuing from the Hub"


async def test_a_hub_whose_content_is_wrong_is_not_asked_twice(tmp_path: Path) -> None:
    hub = Source("", DATA[:-1] + b"?")
    with pytest.raises(ChecksumMismatch):
        await Fetched(tmp_path, hub).run()
    assert hub.starts == [0]


async def test_without_the_hub_what_the_nodes_sent_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Source("", DATA, *[1000] * 6)
    fetched = Fetched(tmp_path, hub, Source("left", DATA, 1000))
    with pytest.raises(DownloadFailed) as failed:
        await fetched.run()
    assert failed.value.details["bytes_downloaded"] == 1000


# What they offer


def offer(
    reference: str = str(REF), name: str = "m.gguf", size: int = len(DATA), sha256: str = SUM
) -> ModelSource:
    shared = SharedModel(reference, [SharedFile(name, size, sha256)], "t" * 43, 60)
    return ModelSource("left", "http://192.0.2.1:9200", None, shared)


def test_an_offer_is_the_model_that_was_asked_for() -> None:
    found = offers.offered(offer(), parse("hf:Owner/repo"))
    assert found is not None
    assert (found.reference, found.files) == (REF, MODEL.files)


def test_the_file_of_an_offer_is_in_the_folder_that_the_reference_names() -> None:
    found = offers.offered(
        offer("hf:owner/repo/q8/m-Q8_0.gguf", "m-Q8_0.gguf"), parse("hf:owner/repo:Q8_0")
    )
    assert found is not None
    assert [file.path for file in found.files] == ["q8/m-Q8_0.gguf"]


@pytest.mark.parametrize(
    "other",
    [
        offer("hf:owner/other/m.gguf"),
        offer("hf:owner/repo@v2/m.gguf"),
        offer("hf:owner/repo/n.gguf", "n.gguf"),
        offer(name="n.gguf"),
        offer("hf:owner/repo"),
        offer("file:/m.gguf"),
        offer("no reference"),
    ],
)
def test_an_offer_of_something_else_is_none(other: ModelSource) -> None:
    assert offers.offered(other, REF) is None
    assert offers.first([other], REF) is None


@pytest.mark.parametrize("other", [offer(size=5), offer(sha256="0" * 64)])
def test_a_node_with_another_content_than_the_hub_has_now_is_not_asked(other: ModelSource) -> None:
    assert offers.agreeing(MODEL, [other, offer()], REF) == [offer()]


def test_a_hash_that_the_hub_does_not_know_is_that_of_the_node() -> None:
    unknown = RemoteModel(REF, "c0ffee", (RemoteFile("m.gguf", len(DATA), None),))
    assert offers.agreeing(unknown, [offer()], REF) == [offer()]
    assert offers.with_hashes(unknown, offer(), REF).files[0].sha256 == SUM
    assert offers.with_hashes(MODEL, offer(sha256="0" * 64), REF) == MODEL
