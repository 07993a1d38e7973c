"""`rbee-keeper models …`: what is said on stdout, what on stderr, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import (
    ChecksumMismatch,
    DiskFull,
    InvalidModelRef,
    InvalidRequest,
    ModelInUse,
    ModelNotFound,
    NodeNotFound,
    RbeeError,
)
from rbee.contract.events import Download, Narration, Verify
from rbee.contract.models import (
    Deleted,
    Disk,
    FoundRepositories,
    FoundRepository,
    ModelDetails,
    NodeModelRow,
    NodeModelRows,
    Offered,
)
from rbee.contract.registry import NodeChanged

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
        "explain": False,
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
    models, _, aliases = done.stdout.partition("\n\n")
    assert models.splitlines() == [
        "REFERENCE                      QUANTIZATION  SIZE     STATE",
        "hf:a/a/m.gguf                  Q8_0          98 MB    ready",
        "hf:b/b/m.gguf                  unknown       40.0 GB  ready",
        "hf:c/c/m.gguf                  Q8_0          200 MB   partial, 49 %",
        "bundled:smollm2-135m-instruct  Q4_1          98 MB    ready",
    ]
    assert aliases.splitlines() == [
        "ALIAS      MODEL",
        "qwen-0.5b  hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF",
        "smollm2    bundled:smollm2-135m-instruct",
        "tinyllama  hf:TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
    ]
    assert fake_queen.asked[-1] == (ep.QUEEN_MODELS.path, {}, None)


def test_a_list_of_several_nodes_names_them(fake_queen: FakeQueen, keeper: Keeper) -> None:
    other = msgspec.structs.replace(DISK, node="n1")
    fake_queen.on(
        ep.QUEEN_MODELS,
        NodeModelRows([SMALL, msgspec.structs.replace(LARGE, node="n1")], [DISK, other]),
    )
    done = keeper("models", "list")
    rows = done.stdout.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in rows] == ["NODE", "localhost", "n1", "localhost"]


def test_a_list_of_one_node_asks_for_it(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([SMALL], [DISK]))
    assert "bundled" not in keeper("models", "list", "--node", "n1").stdout
    assert fake_queen.asked[-1] == (ep.QUEEN_MODELS.path, {"node": "n1"}, None)


def test_an_empty_list_says_how_to_get_a_model(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([], [DISK]))
    done = keeper("models", "list")
    assert (done.exit_code, "hf:a" in done.stdout) == (0, False)
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


def test_without_a_queen_this_machines_models_are_listed_all_the_same(
    home: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_PORT", "1")
    config = tmp_path / "config.toml"
    config.write_text('[models.aliases]\nmine = "hf:a/a"\n[nodes.attic]\nssh_host = "a"\n')
    monkeypatch.setenv("RBEE_CONFIG", str(config))
    placed = home / ".local/share/rbee/models/a/a/m-Q8_0.gguf"
    placed.parent.mkdir(parents=True)
    placed.write_bytes(b"GGUF")
    done = keeper("models", "list")
    assert done.exit_code == 0, done.stderr
    assert "hf:a/a/m-Q8_0.gguf" in done.stdout and "mine" in done.stdout
    assert "attic is not listed: no queen runs. Ask it: --node attic" in done.stderr
    assert not list(home.rglob("queen*")) and not list(home.rglob("beehives.db"))
    [row] = msgspec.json.decode(keeper("models", "list", "--json").stdout, type=list[NodeModelRow])
    assert (row.node, row.reference) == ("localhost", "hf:a/a/m-Q8_0.gguf")
    assert "attic" not in keeper("models", "list", "--node", "localhost").stderr


def test_a_queen_of_another_machine_is_not_replaced(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_URL", "http://192.0.2.1:8080")
    monkeypatch.setenv("RBEE_TIMES_CONNECT_S", "0.1")
    assert "No queen answers at" in keeper("models", "list").stderr


def test_a_search_names_each_model_so_that_it_can_be_pulled(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    offered = [
        Offered("hf:a/b/b-Q4_0.gguf", "Q4_0", 98 * MB, True),
        Offered("hf:a/b/b-Q8_0.gguf", "Q8_0", 150 * MB, True),
        Offered("hf:a/b/x/b-Q8_0.gguf", "Q8_0", 0, False),
        Offered("hf:a/b/b.gguf", None, 40_000 * MB, False),
    ]
    found = [FoundRepository("a/b", 7, False, offered), FoundRepository("c/d", 0, True, None)]
    fake_queen.on(ep.QUEEN_MODEL_SEARCH, FoundRepositories(found))
    done = keeper("search", "hf:a", "b", "--limit", "5", "--node", "attic")
    assert done.stdout.splitlines() == [
        "MODEL                 SIZE     FITS     DOWNLOADS",
        "hf:a/b:Q4_0           98 MB    yes      7",
        "hf:a/b/b-Q8_0.gguf    150 MB   yes      7",
        "hf:a/b/x/b-Q8_0.gguf  unknown  no       7",
        "hf:a/b/b.gguf         40.0 GB  no       7",
        "hf:c/d                unknown  unknown  0",
    ]
    assert "c/d is gated" in done.stderr
    asked = fake_queen.body(ep.QUEEN_MODEL_SEARCH)
    assert asked == {"words": "a b", "limit": 5, "node": "attic"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("search",), "Missing argument 'WORDS...'"),
        (("search", ""), "WORDS must be a text"),
        (("search", "x" * 201), "WORDS must be a text of at most 200 characters"),
        (("search", "x", "--limit", "0"), "--limit must be a whole number from 1 to 50, got 0"),
    ],
)
def test_a_search_that_can_not_be_asked_is_told_in_the_command_lines_words(
    keeper: Keeper, words: tuple[str, ...], told: str
) -> None:
    done = keeper(*words)
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("verb", ["delete", "verify"])
@pytest.mark.parametrize(
    "error",
    [
        ModelNotFound(model="hf:a/b", near=[]),
        InvalidModelRef(value="nope", forms=[]),
        InvalidRequest.of("model", "a model of the models folder", "elsewhere", "file:/m"),
    ],
)
def test_a_model_that_is_not_there_is_looked_for_in_the_list(
    fake_queen: FakeQueen, keeper: Keeper, verb: str, error: RbeeError
) -> None:
    for endpoint in (ep.QUEEN_MODEL_DELETE, ep.QUEEN_MODEL_VERIFY):
        fake_queen.on(endpoint, error)
    done = keeper("models", verb, "hf:a/b", "--node", "n1")
    assert "→ See which models are there: rbee-keeper models list --node n1" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("models", "delete", "hf:a/b", "--node", "n1"),
        ("models", "verify", "hf:a/b", "--node", "n1"),
        ("hive", "stop", "--node", "n1"),
        ("logs", "--node", "n1"),
        ("setup", "remove-node", "--name", "n1"),
        ("config", "remove-node", "--node", "n1"),
    ],
)
def test_an_unknown_node_from_which_something_is_taken_is_not_to_be_added(
    fake_queen: FakeQueen, keeper: Keeper, words: tuple[str, ...]
) -> None:
    unknown = NodeNotFound(node="n1")
    for endpoint in (
        ep.QUEEN_MODEL_DELETE,
        ep.QUEEN_MODEL_VERIFY,
        ep.QUEEN_HIVES,
        ep.QUEEN_HIVE_STOP,
        ep.QUEEN_LOGS,
        ep.QUEEN_REMOVE_NODE,
    ):
        fake_queen.on(endpoint, unknown)
    fake_queen.on(ep.QUEEN_RELOAD_NODES, NodeChanged(True, "again"))
    done = keeper(*words)
    assert done.exit_code == 1
    assert "→ To see the known nodes: rbee-keeper setup list-nodes" in done.stderr
    assert "add-node" not in done.stderr
