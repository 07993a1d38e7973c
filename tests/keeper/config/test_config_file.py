"""`rbee-keeper config …`: the file is written as a whole or not at all, and the queen reads it."""

from __future__ import annotations

import os
import stat
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ConfigInvalid, NodeNotFound, StateNotWritable
from rbee.contract.registry import NodeChanged, NodeRow, NodeRows
from rbee.keeper.config import config_file
from rbee.runtime import settings

FakeQueen = Any
Keeper = Callable[..., Any]

SET = ("config", "set-ssh", "--node", "workstation", "--host", "w.home.arpa")
TEXT = """# mine
[queen]
queue_limit = 8 # few

# the big one
[nodes.big]
ssh_host = "b" # upstairs

# about models
[models]
default = "smollm2"
"""


@pytest.fixture
def file(home: Path) -> Path:
    """Where the person's config file is, or would be."""
    return home / ".config" / "rbee" / "config.toml"


@pytest.fixture
def written(file: Path) -> Path:
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    return file


@pytest.fixture
def reloading(fake_queen: FakeQueen) -> FakeQueen:
    """A queen that has read the file that the keeper writes."""
    fake_queen.on(ep.QUEEN_RELOAD_NODES, NodeChanged(True, "read"))
    fake_queen.on(
        ep.QUEEN_NODES, NodeRows([NodeRow(node_name="workstation", ssh_host="w.home.arpa")])
    )
    fake_queen.on(ep.QUEEN_REMOVE_NODE, NodeChanged(True, "workstation is removed."))
    return fake_queen


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_set_ssh_writes_the_file_and_tells_the_queen(
    reloading: FakeQueen, keeper: Keeper, file: Path, home: Path
) -> None:
    row = NodeRow(
        node_name="workstation",
        ssh_host="w.home.arpa",
        ssh_user="me",
        ssh_key_path=f"{home}/.ssh/k",
        ssh_port=2222,
    )
    reloading.on(ep.QUEEN_NODES, NodeRows([row]))
    done = keeper(*SET, "--user", "me", "--key", "~/.ssh/k", "--port", "2222")
    assert done.exit_code == 0
    assert done.stdout == f"workstation is written to {file}.\n"
    assert file.read_text() == (
        "[nodes.workstation]\n"
        'ssh_host = "w.home.arpa"\n'
        'ssh_user = "me"\n'
        f'ssh_key_path = "{home}/.ssh/k"\n'
        "ssh_port = 2222\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert reloading.paths() == [ep.QUEEN_RELOAD_NODES.path, ep.QUEEN_NODES.path]
    assert settings.load().nodes["workstation"].ssh_port == 2222


def test_only_what_was_given_is_written(reloading: FakeQueen, keeper: Keeper, file: Path) -> None:
    assert keeper(*SET).exit_code == 0
    assert tomllib.loads(file.read_text()) == {
        "nodes": {"workstation": {"ssh_host": "w.home.arpa"}}
    }


@pytest.mark.parametrize("status", ["unknown", "reachable", "unreachable"])
def test_an_address_that_was_not_tried_comes_with_the_command_that_tries_it(
    reloading: FakeQueen, keeper: Keeper, status: Any
) -> None:
    row = NodeRow(
        node_name="workstation", ssh_host="w.home.arpa", status=status, last_error="timeout"
    )
    reloading.on(ep.QUEEN_NODES, NodeRows([row]))
    done = keeper(*SET)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    again = "rbee-keeper hive status --node workstation"
    assert done.stderr == f"The node has not been tried yet. Try it: {again}\n"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [NodeRow(node_name="other", ssh_host="w.home.arpa")],
        [NodeRow(node_name="workstation", ssh_host="old.home.arpa", status="reachable")],
    ],
)
def test_a_queen_that_reads_another_file_is_an_error(
    reloading: FakeQueen, keeper: Keeper, file: Path, rows: list[NodeRow]
) -> None:
    reloading.on(ep.QUEEN_NODES, NodeRows(rows))
    done = keeper(*SET)
    assert (done.exit_code, done.stdout) == (1, f"workstation is written to {file}.\n")
    told = f"{file} is written, but the queen at {reloading.url} does not have this entry for work"
    assert told in done.stderr
    assert "rbee-keeper daemon stop" in done.stderr
    assert f"RBEE_CONFIG={file}" in done.stderr


def test_the_rest_of_the_file_is_kept(reloading: FakeQueen, keeper: Keeper, written: Path) -> None:
    written.chmod(0o640)
    assert keeper(*SET).exit_code == 0
    new = '\n[nodes.workstation]\nssh_host = "w.home.arpa"\n'
    assert written.read_text() == TEXT + new
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    assert keeper("config", "remove-node", "--node", "workstation").exit_code == 0
    assert written.read_text() == TEXT
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    assert entries(written.parent) == ["config.toml"]


def test_a_node_is_removed_from_the_file_and_from_the_registry(
    reloading: FakeQueen, keeper: Keeper, written: Path
) -> None:
    reloading.on(ep.QUEEN_REMOVE_NODE, NodeNotFound(node="big"))
    done = keeper("config", "remove-node", "--node", "big")
    assert (done.exit_code, done.stdout) == (0, "big is removed.\n")
    assert "nodes" not in written.read_text()
    assert "# the big one\n\n# about models\n[models]\n" in written.read_text()
    assert reloading.paths() == [ep.QUEEN_RELOAD_NODES.path, ep.QUEEN_REMOVE_NODE.path]
    assert reloading.body(ep.QUEEN_REMOVE_NODE) == {"node_name": "big"}


def test_a_node_that_is_only_in_the_registry_is_removed_too(
    reloading: FakeQueen, keeper: Keeper, written: Path
) -> None:
    done = keeper("config", "remove-node", "--node", "w.home.arpa")
    assert (done.exit_code, done.stdout) == (0, "workstation is removed.\n")
    assert written.read_text() == TEXT


def test_removing_an_unknown_node_is_an_error(
    reloading: FakeQueen, keeper: Keeper, written: Path
) -> None:
    reloading.on(ep.QUEEN_REMOVE_NODE, NodeNotFound(node="attic"))
    done = keeper("config", "remove-node", "--node", "attic")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [NODE_NOT_FOUND]" in done.stderr


def test_removing_a_node_creates_no_file(reloading: FakeQueen, keeper: Keeper, file: Path) -> None:
    assert keeper("config", "remove-node", "--node", "attic").exit_code == 0
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--node", "n"), "--host"),
        (("--host", "h"), "--node"),
        (("--node", "localhost", "--host", "h"), "--node"),
        (("--node", "a b", "--host", "h"), "--node"),
        (("--node", "n", "--host", "a b"), "--host"),
        (("--node", "n", "--host", "h", "--user", "-x"), "--user"),
        (("--node", "n", "--host", "h", "--key", "~nobody-here/k"), "--key"),
        (("--node", "n", "--host", "h", "--port", "0"), "--port"),
    ],
)
def test_wrong_usage_names_the_flag_and_changes_nothing(
    fake_queen: FakeQueen, keeper: Keeper, written: Path, words: tuple[str, ...], flag: str
) -> None:
    done = keeper("config", "set-ssh", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    told = done.stderr.splitlines()[-2 if "Error [" in done.stderr else -1]
    assert flag in told
    assert written.read_text() == TEXT
    assert fake_queen.asked == []


@pytest.mark.parametrize(
    "text", ["[queen\n", "[queen]\nport = 'x'\n", "[nodes.a]\ntunnel = true\n"]
)
@pytest.mark.parametrize("words", [SET, ("config", "remove-node", "--node", "a")])
def test_an_invalid_file_is_left_alone(
    fake_queen: FakeQueen, keeper: Keeper, written: Path, text: str, words: tuple[str, ...]
) -> None:
    written.write_text(text)
    done = keeper(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error [CONFIG_INVALID]" in done.stderr
    assert str(written) in done.stderr
    assert written.read_text() == text
    assert entries(written.parent) == ["config.toml"]


@pytest.mark.parametrize("text", ["[queen\n", "[queen]\nport = 'x'\n", "[nodes]\na = 1\n"])
def test_a_file_that_became_invalid_meanwhile_is_left_alone(written: Path, text: str) -> None:
    written.write_text(text)
    for change in (lambda: config_file.set_node("a", {"ssh_host": "h"}), remove_a):
        with pytest.raises(ConfigInvalid) as caught:
            change()
        assert str(written) in caught.value.message
    assert written.read_text() == text


def remove_a() -> object:
    return config_file.remove_node("a")


def test_a_change_that_would_make_the_file_invalid_is_not_written(written: Path) -> None:
    for name, values in (("n", {"ssh_port": 22}), ("a b", {"ssh_host": "h"})):
        with pytest.raises(ConfigInvalid) as caught:
            config_file.set_node(name, values)
        assert str(written) in caught.value.message
        assert written.read_text() == TEXT
        assert entries(written.parent) == ["config.toml"]


def test_the_file_that_rbee_config_names_is_the_one_that_is_written(
    reloading: FakeQueen, keeper: Keeper, written: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = home / "other.toml"
    named.write_text("")
    monkeypatch.setenv("RBEE_CONFIG", str(named))
    assert keeper(*SET).exit_code == 0
    assert settings.parse(named.read_text(), "").nodes["workstation"].ssh_host == "w.home.arpa"
    assert written.read_text() == TEXT
    assert keeper("config", "remove-node", "--node", "workstation").exit_code == 0
    assert settings.parse(named.read_text(), "") == Config()


def test_the_file_that_xdg_names_is_created(
    reloading: FakeQueen, keeper: Keeper, file: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert keeper(*SET).exit_code == 0
    assert (home / "xdg" / "rbee" / "config.toml").is_file()
    assert not file.exists()


def test_a_link_is_kept_and_its_target_is_written(
    reloading: FakeQueen, keeper: Keeper, file: Path, home: Path
) -> None:
    target = home / "dotfiles" / "rbee.toml"
    target.parent.mkdir()
    target.write_text(TEXT)
    file.parent.mkdir(parents=True)
    file.symlink_to("../../dotfiles/rbee.toml")
    assert keeper(*SET).exit_code == 0
    assert file.is_symlink()
    assert "[nodes.workstation]" in target.read_text()
    assert entries(target.parent) == ["rbee.toml"]


def test_a_write_that_fails_leaves_the_file_and_no_temporary_one(
    keeper: Keeper, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = keeper(*SET)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"Error [STATE_NOT_WRITABLE]: {written} can't be written: No space" in done.stderr
    assert written.read_text() == TEXT
    assert entries(written.parent) == ["config.toml"]


def test_a_folder_that_may_not_be_written_is_an_error(
    keeper: Keeper, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    done = keeper(*SET)
    assert done.exit_code == 1
    told = f"Error [STATE_NOT_WRITABLE]: {written} can't be written: Permission denied."
    assert told in done.stderr
    assert written.read_text() == TEXT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_file_that_may_not_be_written_is_not_replaced(keeper: Keeper, written: Path) -> None:
    written.chmod(0o400)
    done = keeper(*SET)
    assert done.exit_code == 1
    assert "Error [STATE_NOT_WRITABLE]" in done.stderr
    assert written.read_text() == TEXT


def test_a_file_in_place_of_the_folder_is_an_error(keeper: Keeper, home: Path) -> None:
    (home / ".config").write_text("no folder")
    done = keeper(*SET)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [STATE_NOT_WRITABLE]" in done.stderr
    assert "RBEE_CONFIG" in done.stderr


@pytest.fixture
def system(home: Path, file: Path) -> list[Path]:
    """The candidates: a config file of the whole machine, and none of the person's own."""
    shared = home / "etc" / "config.toml"
    shared.parent.mkdir()
    shared.write_text(TEXT)
    return [file, shared]


def test_the_file_of_the_machine_is_written_by_its_owner(system: list[Path]) -> None:
    own, shared = system
    assert config_file.set_node("n", {"ssh_host": "h"}, system) == shared
    assert "[nodes.n]" in shared.read_text()
    assert not own.exists()


def test_the_file_of_the_machine_is_not_hidden_by_a_new_one(
    system: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    own, shared = system
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(StateNotWritable) as caught:
        config_file.set_node("n", {"ssh_host": "h"}, system)
    assert str(shared) in caught.value.message
    assert "sudo" in caught.value.advice and str(own) in caught.value.advice
    assert shared.read_text() == TEXT
    assert not own.exists()


def test_the_owner_of_a_file_stays(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    config_file.set_node("n", {"ssh_host": "h"})
    assert given == [(written.stat().st_uid, written.stat().st_gid)]


def test_show_prints_the_effective_settings(
    keeper: Keeper, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_HIVE_PORT", "9300")
    done = keeper("config", "show")
    assert (done.exit_code, done.stderr) == (0, "")
    assert settings.parse(done.stdout, "stdout") == settings.load()
    told = tomllib.loads(done.stdout)
    assert (told["hive"]["port"], told["queen"]["queue_limit"]) == (9300, 8)
    assert told["nodes"]["big"]["ssh_host"] == "b"
