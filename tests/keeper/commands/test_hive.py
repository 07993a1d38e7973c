"""`rbee-keeper hive …`, and `pool …`, the older names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.daemons import Ack
from rbee.contract.errors import NodeNotFound, VersionMismatch
from rbee.contract.events import Narration
from rbee.contract.models import Disk, NodeModelRow, NodeModelRows
from rbee.contract.registry import HiveStatus, HiveStatuses, NodeRow, NodeRows
from rbee.contract.workers import WorkerRow

FakeQueen = Any
Keeper = Callable[..., Any]

URL = "http://10.0.0.2:9200"
WORKER = WorkerRow("worker-1", "http://10.0.0.2:8001", "hf:a/b", "cuda", 1, "busy", 1, 1, 4, 3)
RUNNING = HiveStatus(
    node="workstation",
    state="running",
    url=URL,
    version="0.1.0",
    backends=["cuda", "cpu"],
    workers=[WORKER],
)
STOPPED = HiveStatus(node="workstation", state="stopped")
UNREACHABLE = HiveStatus(node="mac", state="unreachable", error="SSH to mac:22 failed: timeout.")
TOLD = [Narration("queen-rbee", "starting rbee-hive on workstation", "c", "🐝")]
MISMATCH = VersionMismatch(
    program="rbee-hive", version="0.2.0", other_program="queen-rbee", other_version="0.1.0"
)


def test_a_started_hive_is_named_and_the_queen_is_kept(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_HIVE_START, TOLD)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING]))
    fake_queen.on(ep.QUEEN_KEEP, Ack("kept"))
    done = keeper("hive", "start", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (0, f"rbee-hive runs on workstation: {URL}\n")
    assert done.stderr == "[queen-rbee] 🐝 starting rbee-hive on workstation\n"
    assert fake_queen.body(ep.QUEEN_HIVE_START) == {"node": "workstation"}
    assert ep.QUEEN_KEEP.path in fake_queen.paths()


def test_a_hive_that_does_not_start_keeps_no_queen(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_HIVE_START, [*TOLD, MISMATCH.envelope()])
    done = keeper("hive", "start", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [VERSION_MISMATCH]: rbee-hive is 0.2.0, but queen-rbee is 0.1.0." in done.stderr
    assert fake_queen.paths() == [ep.QUEEN_HIVE_START.path]


def test_a_start_after_which_no_hive_runs_is_no_success(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_HIVE_START, TOLD)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([STOPPED]))
    done = keeper("hive", "start", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "rbee-hive did not start: it is stopped" in done.stderr
    assert ep.QUEEN_KEEP.path not in fake_queen.paths()


def test_a_stopped_hive_has_ended(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING]), HiveStatuses([STOPPED]))
    fake_queen.on(ep.QUEEN_HIVE_STOP, TOLD)
    done = keeper("hive", "stop", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (0, "The hive on workstation has ended.\n")
    assert done.stderr.startswith("[queen-rbee] 🐝 ")
    assert fake_queen.body(ep.QUEEN_HIVE_STOP) == {"node": "workstation"}


def test_no_hive_is_stopped_where_none_runs(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([STOPPED]))
    done = keeper("hive", "stop", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (0, "No hive runs on workstation.\n")
    assert fake_queen.paths() == [ep.QUEEN_HIVES.path]


def test_a_hive_that_runs_after_a_stop_is_another_one(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING]))
    fake_queen.on(ep.QUEEN_HIVE_STOP, TOLD)
    done = keeper("hive", "stop", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (0, "The hive on workstation has ended.\n")
    assert f"Requests that wait have started another one: {URL}" in done.stderr


AWAY = "mac does not answer at 10.0.0.3:22 after 3 attempts: timeout."


@pytest.mark.parametrize("before", ["running", "draining", "unreachable"])
def test_a_hive_that_is_out_of_reach_is_not_said_to_have_ended(
    fake_queen: FakeQueen, keeper: Keeper, before: str
) -> None:
    away = msgspec.structs.replace(UNREACHABLE, error=AWAY)
    fake_queen.on(
        ep.QUEEN_HIVES,
        HiveStatuses([msgspec.structs.replace(away, state=before)]),
        HiveStatuses([away]),
    )
    fake_queen.on(ep.QUEEN_HIVE_STOP, TOLD)
    done = keeper("hive", "stop", "--node", "mac")
    assert (done.exit_code, done.stdout) == (1, "")
    told = f"Error [CONNECTION_TIMEOUT]: It is not known whether a hive runs on mac: {AWAY}"
    assert told in done.stderr
    assert "→ Check that mac is switched on" in done.stderr


@pytest.mark.parametrize(("port", "code"), [(9200, 0), (22, 1)])
def test_a_hive_whose_own_address_refuses_has_ended(
    fake_queen: FakeQueen, keeper: Keeper, port: int, code: int
) -> None:
    said = f"mac does not answer at 10.0.0.2:{port}: refused."
    gone = msgspec.structs.replace(UNREACHABLE, error=said)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING]), HiveStatuses([gone]))
    fake_queen.on(ep.QUEEN_HIVE_STOP, TOLD)
    done = keeper("hive", "stop", "--node", "mac")
    told = "The hive on mac has ended.\n" if code == 0 else ""
    assert (done.exit_code, done.stdout) == (code, told)
    assert ("started another one" in done.stderr, said in done.stderr) == (False, code == 1)


def test_a_hive_that_nobody_saw_run_is_not_said_to_have_ended(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    stopped = msgspec.structs.replace(UNREACHABLE, state="stopped", error=None)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([UNREACHABLE]), HiveStatuses([stopped]))
    fake_queen.on(ep.QUEEN_HIVE_STOP, TOLD)
    done = keeper("hive", "stop", "--node", "mac")
    assert (done.exit_code, done.stdout) == (0, "No hive runs on mac.\n")


def test_all_hives_are_a_table_with_the_reasons_below(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING, UNREACHABLE]))
    done = keeper("hive", "status")
    assert done.exit_code == 0
    assert done.stdout == (
        "NODE         STATE        VERSION  URL                   BACKENDS  WORKERS\n"
        "workstation  running      0.1.0    http://10.0.0.2:9200  cuda,cpu  1\n"
        "mac          unreachable  -        -                     -         -\n"
    )
    assert done.stderr == "[queen-rbee] ⚠️ mac: SSH to mac:22 failed: timeout.\n"
    assert fake_queen.asked[-1][1] == {}


@pytest.mark.parametrize(
    ("state", "code"), [("running", 0), ("draining", 1), ("stopped", 1), ("unreachable", 1)]
)
def test_the_status_of_one_node_is_0_only_where_its_hive_runs(
    fake_queen: FakeQueen, keeper: Keeper, state: str, code: int
) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([msgspec.structs.replace(RUNNING, state=state)]))
    assert keeper("hive", "status", "--node", "workstation").exit_code == code
    assert fake_queen.asked[-1][1] == {"node": "workstation"}
    assert keeper("hive", "status").exit_code == 0


def test_hives_in_json_are_a_list(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING, UNREACHABLE]))
    done = keeper("hive", "status", "--json")
    assert msgspec.json.decode(done.stdout, type=list[HiveStatus]) == [RUNNING, UNREACHABLE]


@pytest.mark.parametrize("action", ["start", "stop", "status"])
def test_an_unknown_node_is_an_error_that_names_it(
    fake_queen: FakeQueen, keeper: Keeper, action: str
) -> None:
    unknown = NodeNotFound(node="nowhere")
    for endpoint in (ep.QUEEN_HIVES, ep.QUEEN_HIVE_START, ep.QUEEN_HIVE_STOP):
        fake_queen.on(endpoint, unknown)
    done = keeper("hive", action, "--node", "nowhere")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [NODE_NOT_FOUND]: There is no node named 'nowhere'." in done.stderr


ROWS = NodeRows(
    [
        NodeRow(node_name="other", ssh_host="workstation"),
        NodeRow(node_name="workstation", ssh_host="w.home.arpa"),
        NodeRow(node_name="attic", hive_url="http://a.home.arpa:9200"),
    ]
)


@pytest.mark.parametrize("action", ["health", "status"])
@pytest.mark.parametrize(
    ("host", "node"),
    [
        ("workstation", "workstation"),
        ("w.home.arpa", "workstation"),
        ("a.home.arpa", "attic"),
        ("localhost", "localhost"),
        ("nowhere", "nowhere"),
    ],
)
def test_pool_health_is_the_status_of_the_node_at_that_address(
    fake_queen: FakeQueen, keeper: Keeper, action: str, host: str, node: str
) -> None:
    fake_queen.on(ep.QUEEN_NODES, ROWS)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING]), HiveStatuses([STOPPED]))
    done = keeper("pool", action, "--host", host)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].split()[:2] == ["workstation", "running"]
    assert fake_queen.asked[-1][:2] == (ep.QUEEN_HIVES.path, {"node": node})
    assert keeper("pool", action, "--host", host).exit_code == 1


def test_pool_models_lists_the_models_of_the_node(fake_queen: FakeQueen, keeper: Keeper) -> None:
    row = NodeModelRow(
        id=1,
        provider="hf",
        reference="hf:a/b/m.gguf",
        local_path="/m",
        size_bytes=98_000_000,
        downloaded_at_unix=1,
        quantization="Q8_0",
        sha256=None,
        bytes_downloaded=98_000_000,
        node="workstation",
    )
    fake_queen.on(ep.QUEEN_NODES, ROWS)
    fake_queen.on(ep.QUEEN_MODELS, NodeModelRows([row], [Disk("workstation", "/m", 2, 1)]))
    done = keeper("pool", "models", "--host", "w.home.arpa")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].split()[0] == "hf:a/b/m.gguf"
    assert fake_queen.asked[-1][:2] == (ep.QUEEN_MODELS.path, {"node": "workstation"})


def test_pool_worker_lists_the_workers_of_the_node(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_NODES, ROWS)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([RUNNING]))
    done = keeper("pool", "worker", "--host", "w.home.arpa")
    assert done.exit_code == 0
    assert done.stdout == (
        "WORKER    MODEL   STATE  BACKEND  SLOTS FREE  URL\n"
        "worker-1  hf:a/b  busy   cuda:1   3 of 4      http://10.0.0.2:8001\n"
    )
    assert fake_queen.asked[-1][1] == {"node": "workstation"}
    done = keeper("pool", "worker", "--host", "workstation", "--json")
    assert msgspec.json.decode(done.stdout, type=list[WorkerRow]) == [WORKER]


def test_pool_worker_says_that_there_is_none(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_NODES, ROWS)
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([STOPPED]))
    done = keeper("pool", "worker", "--host", "workstation")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "No worker runs on workstation: its hive is stopped.\n"


def test_pool_git_installs_on_the_node(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_NODES, ROWS)
    fake_queen.on(ep.QUEEN_INSTALL, TOLD)
    done = keeper("pool", "git", "--host", "w.home.arpa")
    assert (done.exit_code, done.stdout) == (0, "rbee is installed on workstation.\n")
    asked = {"node_name": "workstation", "wheel": False, "backend": None}
    assert fake_queen.body(ep.QUEEN_INSTALL) == asked


@pytest.mark.parametrize("action", ["health", "status", "models", "worker", "git"])
def test_pool_needs_a_host(fake_queen: FakeQueen, keeper: Keeper, action: str) -> None:
    done = keeper("pool", action)
    assert done.exit_code == 2
    assert "--host" in done.stderr
    assert fake_queen.asked == []
