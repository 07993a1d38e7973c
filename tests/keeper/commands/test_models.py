"""`rbee-keeper models …`: what is said on stdout, what on stderr, and the exit code."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, cast

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import ChecksumMismatch, DiskFull, ModelInUse, RbeeError
from rbee.contract.events import Download, Event, Narration, Verify
from rbee.contract.models import (
    Deleted,
    Disk,
    ModelDetails,
    NodeDownload,
    NodeModel,
    NodeModelRow,
    NodeModelRows,
    Offered,
)
from rbee.keeper.commands import models
from rbee.keeper.session import session
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.screen import Screen

MB = 1_000_000
MODEL = NodeModel("hf:owner/repo")
SETTINGS = cast(KeeperSettings, None)


class FakeQueen:
    """Answers every call with `reply`, every stream with `events`."""

    def __init__(self) -> None:
        self.reply: Any = None
        self.events: list[Event] = []
        self.error: RbeeError | None = None
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.kept: bool | None = None
        self.released = False
        self.client = self

    async def reach(self, keep: bool = False) -> None:
        self.kept = keep

    async def release(self) -> None:
        self.released = True

    async def call(
        self, endpoint: Endpoint[Any, Any], message: Any = None, within_s: float = 0, **names: str
    ) -> Any:
        self.asked.append((endpoint.path, message, names))
        if self.error is not None:
            raise self.error
        return self.reply

    @contextlib.asynccontextmanager
    async def stream(
        self, endpoint: Endpoint[Any, Any], message: Any
    ) -> AsyncIterator[AsyncIterator[Event]]:
        self.asked.append((endpoint.path, message, {}))

        async def told() -> AsyncIterator[Event]:
            for event in self.events:
                yield event
            if self.error is not None:
                raise self.error

        yield told()


@pytest.fixture
def queen(monkeypatch: pytest.MonkeyPatch) -> FakeQueen:
    one = FakeQueen()
    monkeypatch.setattr(session, "Queen", lambda _: one)
    return one


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], queen: FakeQueen) -> Any:
    async def run(command: Coroutine[Any, Any, int]) -> Ran:
        code = await command
        assert queen.released
        return Ran(code, *capsys.readouterr())

    return run


def row(reference: str, size: int, **changes: Any) -> NodeModelRow:
    given = {
        "id": 1,
        "provider": "hf",
        "reference": reference,
        "local_path": f"/models/{reference}",
        "size_bytes": size,
        "downloaded_at_unix": 5,
        "quantization": "Q8_0",
        "sha256": None,
        "bytes_downloaded": size,
        "node": "localhost",
        **changes,
    }
    return NodeModelRow(**given)


DISK = Disk("localhost", "/models", 500_000 * MB, 120_000 * MB)
SMALL = row("hf:a/a/m.gguf", 98 * MB)
LARGE = row("hf:b/b/m.gguf", 40_000 * MB, quantization=None)
HALF = row("hf:c/c/m.gguf", 200 * MB, id=None, state="partial", bytes_downloaded=99 * MB)


async def test_a_download_says_the_path_alone_on_stdout(queen: FakeQueen, ran: Any) -> None:
    queen.events = [
        Narration("model-provisioner", "model provisioning: fetching", "c", "⬇️"),
        Download("downloading", 5, 10, 1.0),
        Download("complete", 10, 10, local_path="/models/m.gguf"),
    ]
    done = await ran(models.download(SETTINGS, Screen(), NodeDownload("hf:owner/repo", "n1")))
    assert (done.code, done.out) == (0, "/models/m.gguf\n")
    assert "[model-provisioner] ⬇️ model provisioning: fetching" in done.err
    assert queen.asked == [("/v2/models/download", NodeDownload("hf:owner/repo", "n1"), {})]
    assert queen.kept is False


async def test_a_download_in_json_says_events_alone(queen: FakeQueen, ran: Any) -> None:
    queen.events = [Download("complete", local_path="/models/m.gguf")]
    asked = NodeDownload("hf:owner/repo")
    done = await ran(models.download(SETTINGS, Screen(as_json=True), asked))
    assert msgspec.json.decode(done.out) == {
        "event": "download",
        "data": {"stage": "complete", "local_path": "/models/m.gguf"},
    }


async def test_a_download_that_fails_says_why_and_what_to_do(queen: FakeQueen, ran: Any) -> None:
    queen.error = DiskFull(required=9, available=1, path="/models")
    done = await ran(models.download(SETTINGS, Screen(), NodeDownload("hf:owner/repo")))
    assert (done.code, done.out) == (1, "")
    assert "Error [DISK_FULL]: " in done.err
    assert "→ See what takes space with `rbee-keeper models disk-usage`" in done.err


async def test_detached_a_queen_is_made_to_last_and_it_is_said_where_to_look(
    queen: FakeQueen, ran: Any
) -> None:
    asked = NodeDownload("hf:owner/repo", None, True)
    done = await ran(models.download(SETTINGS, Screen(), asked))
    assert (done.code, done.out) == (0, "")
    assert "rbee-keeper models list" in done.err
    assert queen.kept is True


async def test_a_list_is_a_table(queen: FakeQueen, ran: Any) -> None:
    queen.reply = NodeModelRows([SMALL, LARGE, HALF], [DISK])
    done = await ran(models.listing(SETTINGS, Screen(), None))
    assert done.out.splitlines() == [
        "REFERENCE      QUANTIZATION  SIZE     STATE",
        "hf:a/a/m.gguf  Q8_0          98 MB    ready",
        "hf:b/b/m.gguf  unknown       40.0 GB  ready",
        "hf:c/c/m.gguf  Q8_0          200 MB   partial, 49 %",
    ]
    assert queen.asked == [(ep.QUEEN_MODELS.path, None, {})]


async def test_a_list_of_several_nodes_names_them(queen: FakeQueen, ran: Any) -> None:
    other = msgspec.structs.replace(DISK, node="n1")
    queen.reply = NodeModelRows([SMALL, msgspec.structs.replace(LARGE, node="n1")], [DISK, other])
    done = await ran(models.listing(SETTINGS, Screen(), None))
    assert [line.split()[0] for line in done.out.splitlines()] == ["NODE", "localhost", "n1"]


async def test_a_list_of_one_node_asks_for_it(queen: FakeQueen, ran: Any) -> None:
    queen.reply = NodeModelRows([SMALL], [DISK])
    await ran(models.listing(SETTINGS, Screen(), "n1"))
    assert queen.asked == [(ep.QUEEN_MODELS.path, None, {"node": "n1"})]


async def test_an_empty_list_says_how_to_get_a_model(queen: FakeQueen, ran: Any) -> None:
    queen.reply = NodeModelRows([], [DISK])
    done = await ran(models.listing(SETTINGS, Screen(), None))
    assert (done.code, done.out) == (0, "")
    assert "rbee-keeper models download" in done.err


@pytest.mark.parametrize("rows", [[], [SMALL, HALF]])
async def test_a_list_in_json_is_one_array(
    queen: FakeQueen, ran: Any, rows: list[NodeModelRow]
) -> None:
    queen.reply = NodeModelRows(rows, [DISK])
    done = await ran(models.listing(SETTINGS, Screen(as_json=True), None))
    assert msgspec.json.decode(done.out, type=list[NodeModelRow]) == rows


async def test_disk_usage_goes_from_large_to_small_with_its_sum(queen: FakeQueen, ran: Any) -> None:
    queen.reply = NodeModelRows([SMALL, LARGE, HALF], [DISK])
    done = await ran(models.disk_usage(SETTINGS, Screen(), None))
    assert done.out.splitlines() == [
        "SIZE     REFERENCE",
        "40.0 GB  hf:b/b/m.gguf",
        "99 MB    hf:c/c/m.gguf",
        "98 MB    hf:a/a/m.gguf",
        "40.2 GB  total",
        "localhost: 120.0 GB of 500.0 GB are free at /models",
    ]


async def test_disk_usage_counts_each_node_by_itself(queen: FakeQueen, ran: Any) -> None:
    other = msgspec.structs.replace(DISK, node="n1")
    queen.reply = NodeModelRows([SMALL, msgspec.structs.replace(HALF, node="n1")], [DISK, other])
    done = await ran(models.disk_usage(SETTINGS, Screen(), None))
    sums = [line.split()[0] for line in done.out.splitlines() if line.endswith("total")]
    assert sums == ["98", "99"]


DETAILS = ModelDetails(
    reference="hf:owner/repo/m-Q8_0.gguf",
    state="not on this node",
    size_bytes=98 * MB,
    local_path=None,
    sha256=None,
    architecture="llama",
    quantization="Q8_0",
    layers=30,
    context_length=2048,
    vocabulary_size=49_152,
    required_bytes=118 * MB,
    memory_total_bytes=16_000 * MB,
    memory_free_bytes=8_000 * MB,
    offered=[
        Offered("hf:owner/repo/m-Q8_0.gguf", "Q8_0", 98 * MB, True),
        Offered("hf:owner/repo/m.gguf", None, 40_000 * MB, False),
    ],
)


async def test_info_is_lines_of_keys_and_what_else_there_is(queen: FakeQueen, ran: Any) -> None:
    queen.reply = DETAILS
    done = await ran(models.info(SETTINGS, Screen(), MODEL))
    facts, offered = done.out.split("\n\n")
    told = dict(line.split(": ", 1) for line in facts.splitlines())
    assert told["reference"] == "hf:owner/repo/m-Q8_0.gguf"
    assert told["state"] == "not on this node"
    assert told["layers"] == "30"
    assert told["memory needed"] == "118 MB (8000 MB of 16.0 GB are free)"
    assert offered.splitlines() == [
        "In the same repository:",
        "QUANTIZATION  SIZE     FITS",
        "Q8_0          98 MB    yes",
        "unknown       40.0 GB  no",
    ]
    assert queen.asked == [("/v2/models/info", MODEL, {})]


async def test_info_of_a_model_that_is_here_offers_nothing_else(queen: FakeQueen, ran: Any) -> None:
    queen.reply = msgspec.structs.replace(DETAILS, offered=[], sha256="ab", local_path="/m.gguf")
    done = await ran(models.info(SETTINGS, Screen(), MODEL))
    assert "In the same" not in done.out
    assert "sha256: ab" in done.out
    assert "path: /m.gguf" in done.out


@pytest.mark.parametrize(("compared", "words"), [(True, "is whole"), (False, "had no known hash")])
async def test_verify_says_the_sums(queen: FakeQueen, ran: Any, compared: bool, words: str) -> None:
    queen.events = [
        Verify("hashing", "/m", 5, 10),
        Verify("complete", sha256=["ab", "cd"], compared=compared),
    ]
    done = await ran(models.verify(SETTINGS, Screen(), MODEL))
    assert done.code == 0
    assert done.out.startswith(f"hf:owner/repo {words}")
    assert done.out.endswith(": sha256 ab, cd\n")


async def test_a_file_that_is_not_what_it_was_is_an_error(queen: FakeQueen, ran: Any) -> None:
    kept = "hf:owner/repo/m.gguf"
    queen.error = ChecksumMismatch(file="/m", expected="a", actual="b", kept=kept)
    done = await ran(models.verify(SETTINGS, Screen(), MODEL))
    assert (done.code, done.out) == (1, "")
    assert "Error [CHECKSUM_MISMATCH]: The sha256 of /m is b; expected a." in done.err
    assert f"→ Download it again: rbee-keeper models delete {kept}" in done.err


async def test_delete_says_what_is_free_again(queen: FakeQueen, ran: Any) -> None:
    queen.reply = Deleted("m is deleted: 98 MB are free again", 98 * MB)
    done = await ran(models.delete(SETTINGS, Screen(), MODEL))
    assert (done.code, done.out) == (0, "m is deleted: 98 MB are free again\n")
    done = await ran(models.delete(SETTINGS, Screen(as_json=True), MODEL))
    assert msgspec.json.decode(done.out)["freed_bytes"] == 98 * MB


async def test_a_model_in_use_is_not_deleted_and_says_so(queen: FakeQueen, ran: Any) -> None:
    queen.error = ModelInUse("m is in memory: worker-1 holds it.", model="m", workers=["worker-1"])
    done = await ran(models.delete(SETTINGS, Screen(), MODEL))
    assert (done.code, done.out) == (1, "")
    assert "Error [MODEL_IN_USE]: m is in memory: worker-1 holds it." in done.err
