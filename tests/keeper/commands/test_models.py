"""`rbee-keeper models …`: what is said on stdout, what on stderr, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import ChecksumMismatch, DiskFull, ModelInUse, ModelNotFound
from rbee.contract.events import Download, Narration, Verify
from rbee.contract.models import (
    Deleted,
    Disk,
    ModelDetails,
    NodeModelRow,
    NodeModelRows,
    Offered,
)

MB = 1_000_000
MODEL = "hf:owner/repo"
FakeQueen = Any
Keeper = Callable[..., Any]


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


def test_a_download_prints_only_the_path(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(
        ep.QUEEN_DOWNLOAD,
        [
            Narration("model-provisioner", "model provisioning: fetching", "c", "⬇️"),
            Download("downloading", 5, 10, 1.0),
            Download("complete", 10, 10, local_path="/models/m.gguf"),
        ],
    )
    done = keeper("models", "download", MODEL, "--node", "n1")
    assert (done.exit_code, done.stdout) == (0, "/models/m.gguf\n")
    assert "[model-provisioner] ⬇️ model provisioning: fetching" in done.stderr
    assert fake_queen.paths() == [ep.QUEEN_DOWNLOAD.path]  # and the queen is not kept
    assert fake_queen.body(ep.QUEEN_DOWNLOAD) == {
        "model": "hf:owner/repo",
        "node": "n1",
        "detach": False,
    }


def test_a_download_in_json_prints_only_events(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_DOWNLOAD, [Download("complete", local_path="/models/m.gguf")])
    done = keeper("models", "download", MODEL, "--json")
    assert msgspec.json.decode(done.stdout) == {
        "event": "download",
        "data": {"stage": "complete", "local_path": "/models/m.gguf"},
    }


def test_a_download_that_fails_says_why_and_what_to_do(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_DOWNLOAD, DiskFull(required=9, available=1, path="/models"))
    done = keeper("models", "download", MODEL)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [DISK_FULL]: " in done.stderr
    assert "→ See what takes space with `rbee-keeper models disk-usage`" in done.stderr


def test_a_detached_download_keeps_the_queen_and_says_where_to_look(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_KEEP, {"message": "kept"})
    fake_queen.on(ep.QUEEN_DOWNLOAD, [])
    done = keeper("models", "download", MODEL, "--detach")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "rbee-keeper models list" in done.stderr
    assert fake_queen.paths() == [ep.QUEEN_KEEP.path, ep.QUEEN_DOWNLOAD.path]
    assert fake_queen.body(ep.QUEEN_DOWNLOAD)["detach"] is True


def test_a_list_is_a_table(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([SMALL, LARGE, HALF], [DISK]))
    done = keeper("models", "list")
    assert done.stdout.splitlines() == [
        "REFERENCE      QUANTIZATION  SIZE     STATE",
        "hf:a/a/m.gguf  Q8_0          98 MB    ready",
        "hf:b/b/m.gguf  unknown       40.0 GB  ready",
        "hf:c/c/m.gguf  Q8_0          200 MB   partial, 49 %",
    ]
    assert fake_queen.asked[-1] == (ep.QUEEN_MODELS.path, {}, None)


def test_a_list_of_several_nodes_names_them(fake_queen: FakeQueen, keeper: Keeper) -> None:
    other = msgspec.structs.replace(DISK, node="n1")
    fake_queen.on(
        ep.QUEEN_MODELS,
        NodeModelRows([SMALL, msgspec.structs.replace(LARGE, node="n1")], [DISK, other]),
    )
    done = keeper("models", "list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["NODE", "localhost", "n1"]


def test_a_list_of_one_node_asks_for_it(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([SMALL], [DISK]))
    keeper("models", "list", "--node", "n1")
    assert fake_queen.asked[-1] == (ep.QUEEN_MODELS.path, {"node": "n1"}, None)


def test_an_empty_list_says_how_to_get_a_model(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([], [DISK]))
    done = keeper("models", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "rbee-keeper models download" in done.stderr


@pytest.mark.parametrize("rows", [[], [SMALL, HALF]])
def test_a_list_in_json_is_one_array(
    fake_queen: FakeQueen, keeper: Keeper, rows: list[NodeModelRow]
) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows(rows, [DISK]))
    done = keeper("models", "list", "--json")
    assert msgspec.json.decode(done.stdout, type=list[NodeModelRow]) == rows


def test_disk_usage_goes_from_large_to_small_with_its_sum(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([SMALL, LARGE, HALF], [DISK]))
    done = keeper("models", "disk-usage")
    assert done.stdout.splitlines() == [
        "SIZE     REFERENCE",
        "40.0 GB  hf:b/b/m.gguf",
        "99 MB    hf:c/c/m.gguf",
        "98 MB    hf:a/a/m.gguf",
        "40.2 GB  total",
        "localhost: 120.0 GB of 500.0 GB are free at /models",
    ]


def test_disk_usage_counts_each_node_by_itself(fake_queen: FakeQueen, keeper: Keeper) -> None:
    other = msgspec.structs.replace(DISK, node="n1")
    fake_queen.on(
        ep.QUEEN_MODELS,
        NodeModelRows([SMALL, msgspec.structs.replace(HALF, node="n1")], [DISK, other]),
    )
    done = keeper("models", "disk-usage")
    sums = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("total")]
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


def test_info_describes_the_model_and_the_other_files(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_MODEL_INFO, DETAILS)
    done = keeper("models", "info", MODEL)
    facts, offered = done.stdout.split("\n\n")
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
    assert fake_queen.body(ep.QUEEN_MODEL_INFO) == {"model": MODEL, "node": None}


def test_info_of_a_local_model_lists_no_other_files(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(
        ep.QUEEN_MODEL_INFO,
        msgspec.structs.replace(DETAILS, offered=[], sha256="ab", local_path="/m.gguf"),
    )
    done = keeper("models", "info", MODEL)
    assert "In the same" not in done.stdout
    assert "sha256: ab" in done.stdout
    assert "path: /m.gguf" in done.stdout


@pytest.mark.parametrize(("compared", "words"), [(True, "is whole"), (False, "had no known hash")])
def test_verify_prints_the_hashes(
    fake_queen: FakeQueen, keeper: Keeper, compared: bool, words: str
) -> None:
    fake_queen.on(
        ep.QUEEN_MODEL_VERIFY,
        [
            Verify("hashing", "/m", 5, 10),
            Verify("complete", sha256=["ab", "cd"], compared=compared),
        ],
    )
    done = keeper("models", "verify", MODEL)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"hf:owner/repo {words}")
    assert done.stdout.endswith(": sha256 ab, cd\n")


def test_a_corrupt_file_is_an_error(fake_queen: FakeQueen, keeper: Keeper) -> None:
    kept = "hf:owner/repo/m.gguf"
    fake_queen.on(
        ep.QUEEN_MODEL_VERIFY, ChecksumMismatch(file="/m", expected="a", actual="b", kept=kept)
    )
    done = keeper("models", "verify", MODEL)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [CHECKSUM_MISMATCH]: The sha256 of /m is b; expected a." in done.stderr
    assert f"→ Download it again: rbee-keeper models delete {kept}" in done.stderr


def test_delete_says_how_much_is_free_again(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODEL_DELETE, Deleted("m is deleted: 98 MB are free again", 98 * MB))
    done = keeper("models", "delete", MODEL)
    assert (done.exit_code, done.stdout) == (0, "m is deleted: 98 MB are free again\n")
    done = keeper("models", "delete", MODEL, "--json")
    assert msgspec.json.decode(done.stdout)["freed_bytes"] == 98 * MB


def test_a_model_in_use_is_not_deleted(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(
        ep.QUEEN_MODEL_DELETE,
        ModelInUse("m is in memory: worker-1 holds it.", model="m", workers=["worker-1"]),
    )
    done = keeper("models", "delete", MODEL)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [MODEL_IN_USE]: m is in memory: worker-1 holds it." in done.stderr


@pytest.mark.parametrize(
    ("words", "endpoint"),
    [("delete", ep.QUEEN_MODEL_DELETE), ("verify", ep.QUEEN_MODEL_VERIFY)],
)
def test_what_is_not_on_the_disk_is_not_looked_for_on_the_hub(
    fake_queen: FakeQueen, keeper: Keeper, words: str, endpoint: Endpoint[Any, Any]
) -> None:
    fake_queen.on(endpoint, ModelNotFound(model="hf:a/b", near=[]))
    done = keeper("models", words, "hf:a/b", "--node", "attic")
    assert done.exit_code == 1
    assert "→ See which models are there: rbee-keeper models list --node attic" in done.stderr
    assert "token" not in done.stderr
