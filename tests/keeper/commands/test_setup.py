"""`rbee-keeper setup …`: what the queen is asked, what is said where, and the exit code."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidRequest, NodeNotFound, ProgramFailed, SshConnectionFailed
from rbee.contract.events import Narration
from rbee.contract.nodes import Detected
from rbee.contract.registry import NodeAdded, NodeChanged, NodeRow, NodeRows

FakeQueen = Any
Keeper = Callable[..., Any]

FINGERPRINT = "SHA256:" + "a" * 43
ADD = ("setup", "add-node", "--name", "workstation", "--ssh-host", "w.home.arpa")
CUDA = Detected(version="0.1.0", hardware=[], backends=["cuda", "cpu"], devices={"cuda": 1})
ADDED = NodeAdded(True, "workstation is added (w.home.arpa).", "workstation", "0.1.0", CUDA)
UNKNOWN_KEY = SshConnectionFailed(
    host="w.home.arpa",
    port=22,
    reason="the host key is not known",
    fingerprint=FINGERPRINT,
    key_type="ssh-ed25519",
)


def test_a_node_is_tested_and_added(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_ADD_NODE, ADDED)
    done = keeper(*ADD, "--ssh-user", "me", "--ssh-port", "2222")
    assert done.exit_code == 0
    assert done.stdout == "workstation is added (w.home.arpa).\n"
    assert done.stderr.splitlines() == [
        "[queen-rbee] 🔌 testing SSH to workstation (me@w.home.arpa:2222)",
        "[queen-rbee] ✅ workstation is reachable; rbee 0.1.0, cuda, cpu",
    ]
    asked = fake_queen.body(ep.QUEEN_ADD_NODE)
    assert (asked["node_name"], asked["ssh_host"]) == ("workstation", "w.home.arpa")
    assert (asked["ssh_user"], asked["ssh_port"]) == ("me", 2222)
    assert asked["accept_host_key"] is None


def test_every_flag_of_add_node_arrives(
    fake_queen: FakeQueen, keeper: Keeper, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    fake_queen.on(ep.QUEEN_ADD_NODE, ADDED)
    words = {
        "--ssh-key": "~/.ssh/a key",
        "--git-repo": "https://git.home.arpa/rbee.git",
        "--git-branch": "next",
        "--install-path": "~/my $(rbee)",
        "--hive-url": "http://w.home.arpa:9300",
        "--hive-port": "9300",
        "--api-key-file": "keys/w",
        "--mac": "3c:7c:3f:12:ab:9e",
        "--wake-address": "192.168.1.255",
        "--accept-host-key": FINGERPRINT,
    }
    flags = [word for pair in words.items() for word in pair]
    assert keeper(*ADD, *flags, "--tunnel", "--no-wake").exit_code == 0
    assert fake_queen.body(ep.QUEEN_ADD_NODE) == {
        "node_name": "workstation",
        "ssh_host": "w.home.arpa",
        "ssh_port": None,
        "ssh_user": None,
        "ssh_key_path": f"{home}/.ssh/a key",
        "git_repo_url": "https://git.home.arpa/rbee.git",
        "git_branch": "next",
        "install_path": "~/my $(rbee)",
        "hive_url": "http://w.home.arpa:9300",
        "hive_port": 9300,
        "api_key_file": f"{home}/keys/w",
        "tunnel": True,
        "mac": "3c:7c:3f:12:ab:9e",
        "wake": False,
        "wake_address": "192.168.1.255",
        "accept_host_key": FINGERPRINT,
    }


def test_a_hive_that_a_person_started_is_named_by_its_url(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_ADD_NODE, ADDED)
    done = keeper("setup", "add-node", "--name", "attic", "--hive-url", "http://a.home.arpa:9200")
    assert done.exit_code == 0
    first = done.stderr.splitlines()[0]
    assert first == "[queen-rbee] 🔌 testing the hive of attic (http://a.home.arpa:9200)"


def test_a_node_without_rbee_is_added_with_a_note(fake_queen: FakeQueen, keeper: Keeper) -> None:
    install = "workstation is added: rbee-keeper setup install --node workstation"
    fake_queen.on(ep.QUEEN_ADD_NODE, NodeAdded(True, install, "workstation"))
    done = keeper(*ADD)
    assert (done.exit_code, done.stdout) == (0, f"{install}\n")
    assert done.stderr.endswith("✅ workstation is reachable; rbee is not installed there yet\n")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--name", "n"), "--ssh-host"),
        (("--ssh-host", "h"), "--name"),
        (("--name", "x; touch pwned", "--ssh-host", "h"), "--name"),
        (("--name", "n" * 64, "--ssh-host", "h"), "--name"),
        (("--name", "", "--ssh-host", "h"), "--name"),
        (("--name", "localhost", "--ssh-host", "h"), "--name"),
        (("--name", "n", "--ssh-host", "-oProxyCommand=x"), "--ssh-host"),
        (("--name", "n", "--ssh-host", "a b"), "--ssh-host"),
        (("--name", "n", "--ssh-host", "h", "--ssh-port", "0"), "--ssh-port"),
        (("--name", "n", "--ssh-host", "h", "--ssh-port", "65536"), "--ssh-port"),
        (("--name", "n", "--ssh-host", "h", "--ssh-user", "a\nb"), "--ssh-user"),
        (("--name", "n", "--ssh-host", "h", "--ssh-key", "~nobody-here/k"), "--ssh-key"),
        (("--name", "n", "--ssh-host", "h", "--git-repo", "-u"), "--git-repo"),
        (("--name", "n", "--ssh-host", "h", "--install-path", "a\nb"), "--install-path"),
        (("--name", "n", "--ssh-host", "h", "--install-path", "~"), "--install-path"),
        (("--name", "n", "--ssh-host", "h", "--accept-host-key", "MD5:00"), "--accept-host-key"),
    ],
)
def test_wrong_usage_names_the_flag_and_asks_nobody(
    fake_queen: FakeQueen, keeper: Keeper, words: tuple[str, ...], flag: str
) -> None:
    done = keeper("setup", "add-node", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    told = done.stderr.splitlines()[-2 if "Error [" in done.stderr else -1]
    assert flag in told
    assert "regex" not in done.stderr
    assert fake_queen.asked == []


def test_a_token_in_an_address_is_refused(fake_queen: FakeQueen, keeper: Keeper) -> None:
    done = keeper(*ADD, "--git-repo", "https://s3cret@git.home.arpa/rbee.git")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--git-repo must be an address without a password or token" in done.stderr
    assert "deploy key" in done.stderr and "s3cret" not in done.stderr
    assert fake_queen.asked == []


def test_a_node_that_ssh_does_not_reach_is_an_error(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_ADD_NODE, SshConnectionFailed(host="w", port=22, reason="timeout"))
    done = keeper(*ADD)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [SSH_CONNECTION_FAILED]: SSH to w:22 failed: timeout." in done.stderr
    assert "✅" not in done.stderr
    assert "--accept-host-key" not in done.stderr


def test_without_a_terminal_an_unknown_host_key_is_refused_with_the_flag_that_accepts_it(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_ADD_NODE, UNKNOWN_KEY, ADDED)
    done = keeper(*ADD)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"--accept-host-key {FINGERPRINT}" in done.stderr
    assert "[y/N]" not in done.stderr
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path]


SEEN = datetime.datetime(2026, 11, 21, 20, 15, 59)
ROWS = [
    NodeRow(
        node_name="workstation",
        ssh_host="w.home.arpa",
        ssh_user="me",
        ssh_port=2222,
        status="reachable",
        install_path="~/rbee",
        last_connected_unix=int(SEEN.timestamp()),
        backends=["cuda", "cpu"],
    ),
    NodeRow(node_name="mac", ssh_host="m", status="unreachable", last_error="timeout"),
    NodeRow(node_name="attic", hive_url="http://a:9200"),
]


@pytest.mark.parametrize("group", ["setup", "config"])
def test_nodes_are_listed_as_a_table(fake_queen: FakeQueen, keeper: Keeper, group: str) -> None:
    fake_queen.on(ep.QUEEN_NODES, NodeRows(ROWS))
    done = keeper(group, "list-nodes")
    assert done.exit_code == 0
    assert done.stdout == (
        "NODE         HOST                 STATUS       LAST CONNECTION   INSTALL PATH  BACKENDS\n"
        "workstation  me@w.home.arpa:2222  reachable    2026-11-21 20:15  ~/rbee        cuda,cpu\n"
        "mac          m                    unreachable  never             -             -\n"
        "attic        http://a:9200        unknown      never             -             -\n"
    )
    assert done.stderr == "[queen-rbee] ⚠️ mac: timeout\n"


@pytest.mark.parametrize("group", ["setup", "config"])
def test_nodes_in_json_are_the_rows(fake_queen: FakeQueen, keeper: Keeper, group: str) -> None:
    fake_queen.on(ep.QUEEN_NODES, NodeRows(ROWS))
    done = keeper(group, "list-nodes", "--json")
    assert msgspec.json.decode(done.stdout, type=list[NodeRow]) == ROWS


def test_without_nodes_a_note_says_how_to_add_one(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_NODES, NodeRows([]))
    done = keeper("setup", "list-nodes")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "rbee-keeper setup add-node" in done.stderr
    assert keeper("setup", "list-nodes", "--json").stdout == "[]\n"


@pytest.mark.parametrize("name", ["workstation", "w.home.arpa"])
def test_a_removed_node_is_named_as_the_queen_names_it(
    fake_queen: FakeQueen, keeper: Keeper, name: str
) -> None:
    fake_queen.on(ep.QUEEN_REMOVE_NODE, NodeChanged(True, "workstation is removed."))
    done = keeper("setup", "remove-node", "--name", name)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "workstation is removed.\n", "")
    assert fake_queen.body(ep.QUEEN_REMOVE_NODE) == {"node_name": name}


@pytest.mark.parametrize("words", [("setup", "remove-node"), ("config", "remove-node")])
def test_the_help_says_that_the_hive_of_a_removed_node_ends(
    keeper: Keeper, words: tuple[str, str]
) -> None:
    assert "A hive that the queen has started there ends" in keeper(*words, "--help").stdout


def test_a_node_of_the_config_file_is_not_added(fake_queen: FakeQueen, keeper: Keeper) -> None:
    told, hint = "workstation stands in the config file", "rbee-keeper config set-ssh --node …"
    refused = InvalidRequest.of("node_name", "not configured", told, "workstation", hint=hint)
    fake_queen.on(ep.QUEEN_ADD_NODE, refused)
    done = keeper(*ADD)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == [
        f"Error [INVALID_REQUEST]: --name: {told}.",
        f"→ {hint}",
    ]


def test_a_node_of_the_config_file_is_not_removed(fake_queen: FakeQueen, keeper: Keeper) -> None:
    told = (
        "workstation stands in the config file: rbee-keeper config remove-node --node workstation"
    )
    fake_queen.on(
        ep.QUEEN_REMOVE_NODE, InvalidRequest.of("node_name", "a node", told, "workstation")
    )
    done = keeper("setup", "remove-node", "--name", "workstation")
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr


def test_removing_a_node_that_is_not_there_says_which_are(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_REMOVE_NODE, NodeNotFound(node="attic"))
    done = keeper("setup", "remove-node", "--name", "attic")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [NODE_NOT_FOUND]: There is no node named 'attic'." in done.stderr
    assert "add-node" not in done.stderr
    assert "rbee-keeper setup list-nodes" in done.stderr


STEPS: list[Any] = [
    Narration("queen-rbee", "cloning on workstation", "c", "📦"),
    Narration("queen-rbee", "complete on workstation", "c", "✅"),
]


def test_an_installation_is_shown_step_by_step(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_INSTALL, STEPS)
    done = keeper("setup", "install", "--node", "workstation", "--wheel", "--backend", "cuda")
    assert (done.exit_code, done.stdout) == (0, "rbee is installed on workstation.\n")
    assert done.stderr.splitlines() == [
        "[queen-rbee] 📦 cloning on workstation",
        "[queen-rbee] ✅ complete on workstation",
    ]
    asked = {"node_name": "workstation", "wheel": True, "backend": "cuda"}
    assert fake_queen.body(ep.QUEEN_INSTALL) == asked
    keeper("setup", "install", "--node", "workstation")
    assert fake_queen.body(ep.QUEEN_INSTALL) == {**asked, "wheel": False, "backend": None}


def test_an_installation_that_fails_shows_the_error_of_the_node(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    failed = ProgramFailed("git on workstation: no such branch", program="git", reason="128")
    fake_queen.on(ep.QUEEN_INSTALL, [STEPS[0], failed.envelope()])
    done = keeper("setup", "install", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [PROGRAM_FAILED]: git on workstation: no such branch" in done.stderr


def test_an_unknown_backend_is_wrong_usage(fake_queen: FakeQueen, keeper: Keeper) -> None:
    done = keeper("setup", "install", "--node", "workstation", "--backend", "abacus")
    assert done.exit_code == 2
    assert "--backend" in done.stderr
    assert fake_queen.asked == []


def test_a_queen_elsewhere_that_does_not_answer_is_an_error(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_URL", "http://192.0.2.1:8080")
    monkeypatch.setenv("RBEE_TIMES_CONNECT_S", "0.2")
    done = keeper("setup", "list-nodes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [CONNECTION_TIMEOUT]" in done.stderr
