"""The names that Tab completes."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from click.shell_completion import ShellComplete

from rbee.contract import endpoints as ep
from rbee.contract.models import NodeModelRow, NodeModelRows
from rbee.contract.proof import Proof, ProofWanted, proof_of
from rbee.contract.queue import TaskRow, TaskRows
from rbee.contract.registry import NodeRow, NodeRows
from rbee.contract.workers import NodeWorkerRow, NodeWorkerRows
from rbee.keeper.cli import main, shells
from rbee.keeper.commands import completion
from rbee.runtime.keyring import digest_of
from tests.certificates import pair
from tests.hostile import HOSTILE, unsafe

FakeQueen = Any
WORKER = NodeWorkerRow("worker-1", "attic", "idle", "hf:a/b", "http://a:1", "cpu", 0, 4, 4)
MODEL = NodeModelRow(
    node="attic",
    id=1,
    provider="hf",
    reference="hf:a/b/c.gguf",
    local_path="/c.gguf",
    size_bytes=1,
    downloaded_at_unix=1,
    quantization=None,
    sha256=None,
)


@pytest.fixture
def key(home: Path) -> Path:
    folder = home / ".rbee"
    folder.mkdir(mode=0o700)
    (folder / "api_key").write_text("k" * 43 + "\n")
    return folder / "api_key"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy the machine is does not decide what is suggested."""
    monkeypatch.setattr(completion, "_WITHIN_S", 20.0)


def names(kind: str, typed: str = "") -> list[str]:
    return [name for name, _ in completion.suggest(kind, typed)]


def test_nodes_are_those_of_queen_and_config_file(
    fake_queen: FakeQueen, key: Path, home: Path
) -> None:
    config = home / ".config" / "rbee" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[nodes.cellar]\nssh_host = "c"\n')
    fake_queen.on(ep.QUEEN_NODES, NodeRows([NodeRow(node_name="attic", ssh_host="a")]))
    assert names("nodes") == ["attic", "cellar", "localhost"]
    assert names("nodes", "a") == ["attic"]


def test_models_are_those_of_the_queen_and_the_aliases(fake_queen: FakeQueen, key: Path) -> None:
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([MODEL], []))
    assert {"hf:a/b/c.gguf", "tinyllama", "bundled:smollm2-135m-instruct"} <= set(names("models"))


def test_workers_are_described_by_their_model(fake_queen: FakeQueen, key: Path) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([WORKER]))
    assert completion.suggest("workers", "w") == [("worker-1", "hf:a/b on attic")]


def test_tasks_are_described_by_their_model_and_state(fake_queen: FakeQueen, key: Path) -> None:
    row = TaskRow(
        request_id="3f9c",
        state="waiting",
        key="laptop",
        model="hf:a/b",
        node=None,
        worker_id=None,
        position=1,
        since_unix=1.0,
        waited_s=2.0,
        reasons=[],
    )
    fake_queen.on(ep.QUEEN_QUEUE, TaskRows([row]))
    assert completion.suggest("tasks", "3") == [("3f9c", "hf:a/b, waiting")]


def test_without_a_key_the_queen_is_not_asked_and_no_key_is_created(
    fake_queen: FakeQueen, home: Path
) -> None:
    assert names("workers") == []
    assert fake_queen.asked == []
    assert not (home / ".rbee").exists()


def test_a_queen_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, key: Path
) -> None:
    monkeypatch.setattr(completion, "_WITHIN_S", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("RBEE_QUEEN_URL", f"http://127.0.0.1:{mute.getsockname()[1]}")
        began = time.monotonic()
        assert names("nodes") == ["localhost"]
        assert time.monotonic() - began < 3


def test_completion_works_with_an_invalid_config(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_PROT", "1")
    assert names("nodes") == ["localhost"]


def test_a_name_that_can_not_be_typed_is_not_suggested(fake_queen: FakeQueen, key: Path) -> None:
    rows = [NodeRow(node_name=name, ssh_host="a") for name in (HOSTILE, "a\tb", "attic")]
    fake_queen.on(ep.QUEEN_NODES, NodeRows(rows))
    assert names("nodes") == ["attic", "localhost"]


def test_a_description_is_a_line(fake_queen: FakeQueen, key: Path) -> None:
    row = msgspec.structs.replace(WORKER, model_ref=HOSTILE, node=HOSTILE)
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([row]))
    [(name, about)] = completion.suggest("workers", "")
    assert name == "worker-1" and "owned" in about
    assert unsafe(about) == set() and "\n" not in about


def suggested(words: str, typed: str = "") -> list[tuple[str, str]]:
    args = words.split()
    found = ShellComplete(main, {}, shells.PROGRAM, shells.VARIABLE).get_completions(args, typed)
    return [(each.type, each.value) for each in found]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("infer --prompt-file", "file"),
        ("infer -f", "file"),
        ("setup add-node --ssh-key", "file"),
        ("setup add-node --api-key-file", "file"),
        ("config set-ssh --key", "file"),
        ("install --system --root", "dir"),
    ],
)
def test_a_path_is_left_to_the_shell(home: Path, words: str, kind: str) -> None:
    assert suggested(words, "let") == [(kind, "let")]


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("setup remove-node --name", False),
        ("setup install --node", False),
        ("config remove-node --node", False),
        ("config set-ssh --node", False),
        ("hive status --node", True),
    ],
)
def test_this_machine_is_suggested_where_it_is_accepted(
    home: Path, words: str, there: bool
) -> None:
    assert (("plain", "localhost") in suggested(words)) is there


def test_a_queen_over_https_is_asked_if_its_certificate_is_trusted(
    monkeypatch: pytest.MonkeyPatch, key: Path, tmp_path: Path
) -> None:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            found: object = NodeWorkerRows([WORKER])
            if path == ep.PROOF.path:
                wanted = msgspec.convert(dict(parse_qsl(query)), ProofWanted)
                digest = digest_of(key.read_text().strip())
                found = Proof("queen-rbee", True, proof_of(digest, "queen-rbee", wanted))
            body = msgspec.json.encode(found)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    cert, cert_key = pair(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, cert_key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as queen:
        queen.socket = tls.wrap_socket(queen.socket, server_side=True)
        queen.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that breaks off
        threading.Thread(target=queen.serve_forever, daemon=True).start()
        monkeypatch.setenv("RBEE_QUEEN_URL", f"https://127.0.0.1:{queen.server_port}")
        assert names("workers") == []
        monkeypatch.setenv("RBEE_QUEEN_CA", str(cert))
        assert names("workers") == ["worker-1"]
        queen.shutdown()


def write_databases(home: Path, model: Path) -> None:
    folder = home / ".rbee"
    folder.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "models.db")) as catalog, catalog:
        catalog.execute("CREATE TABLE models (reference TEXT, local_path TEXT)")
        rows = [("hf:a/here/m.gguf", str(model)), ("hf:a/gone/m.gguf", f"{model}.gone")]
        catalog.executemany("INSERT INTO models VALUES (?, ?)", rows)
    with contextlib.closing(sqlite3.connect(folder / "beehives.db")) as registry, registry:
        registry.execute("CREATE TABLE beehives (node_name TEXT, status TEXT)")
        registry.execute("INSERT INTO beehives VALUES ('barn', 'unreachable')")


def test_without_a_queen_models_and_nodes_are_those_on_disk(home: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.touch()
    write_databases(home, model)
    before = sorted(home.rglob("*"))
    assert names("models", "hf:a/") == ["hf:a/here/m.gguf"]
    assert completion.suggest("nodes", "b") == [("barn", "unreachable")]
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("content", ["no database", ""])
def test_a_database_that_can_not_be_read_does_not_get_in_the_way(home: Path, content: str) -> None:
    (home / ".rbee").mkdir()
    for name in ("models.db", "beehives.db"):
        (home / ".rbee" / name).write_text(content)
    assert names("models", "smol") == ["smollm2"]
    assert names("nodes") == ["localhost"]


def test_paths_of_models_are_completed(home: Path, tmp_path: Path) -> None:
    for name in ("a b.gguf", "B.GGUF", "notes.txt", ".hidden.gguf", "sub/c.gguf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    at = f"file:{tmp_path}"
    assert names("models", f"{at}/") == [f"{at}/B.GGUF", f"{at}/a b.gguf", f"{at}/sub/"]
    assert names("models", f"{at}/s") == [f"{at}/sub/"]
    assert names("models", f"{at}/sub/") == [f"{at}/sub/c.gguf"]
    assert names("models", f"{at}/.h") == [f"{at}/.hidden.gguf"]
    assert names("models", f"{at}/nowhere/x") == []
    assert names("models", "file:relative") == []


@pytest.mark.parametrize("words", ["infer --backend", "run --backend", "worker start --backend"])
def test_backends_are_completed(home: Path, words: str) -> None:
    assert [value for _, value in suggested(words, "c")] == ["cpu", "cuda"]
