"""What the errors of nodes advise: commands that can be copied, and that mend what is told."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.contract.errors import (
    InvalidApiKey,
    InvalidRequest,
    SshConnectionFailed,
    VersionMismatch,
)

FINGERPRINT = "SHA256:" + "a" * 43
ADD = "rbee-keeper setup add-node --name w --ssh-host w.home.arpa"
REJECTED = "the key was rejected (permission denied)"


def ssh(**details: Any) -> str:
    given = {"host": "w.home.arpa", "port": 22, "reason": "timeout", **details}
    return SshConnectionFailed(**given).advice


def mismatch(**details: Any) -> VersionMismatch:
    return VersionMismatch(
        program="queen-rbee",
        version="0.1.0",
        other_program="rbee-hive",
        other_version="0.2.0",
        **details,
    )


def test_an_unknown_key_of_a_node_that_is_being_added_is_accepted_by_a_flag() -> None:
    told = ssh(fingerprint=FINGERPRINT)
    assert told.endswith(f"accept it: --accept-host-key {FINGERPRINT}")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({}, ADD),
        ({"port": 2222}, f"{ADD} --ssh-port 2222"),
        ({"user": "me", "key": "/k/a b"}, f"{ADD} --ssh-user me --ssh-key '/k/a b'"),
    ],
)
def test_later_it_is_accepted_by_a_whole_command(details: dict[str, Any], words: str) -> None:
    told = ssh(fingerprint=FINGERPRINT, node="w", **details)
    assert told.endswith(f": {words} … --accept-host-key {FINGERPRINT}")
    assert "its other flags unchanged" in told


@pytest.mark.parametrize(
    ("host", "port", "place"),
    [
        ("w.home.arpa", 22, "w.home.arpa"),
        ("w.home.arpa", 2222, "'[w.home.arpa]:2222'"),
        ("fe80::1", 22, "fe80::1"),
        ("fe80::1", 2222, "'[fe80::1]:2222'"),
    ],
)
def test_a_changed_key_is_forgotten_as_known_hosts_has_it(host: str, port: int, place: str) -> None:
    told = ssh(host=host, port=port, changed=True)
    assert f"ssh-keygen -R {place} -f ~/.rbee/known_hosts " in told


@pytest.mark.parametrize(
    ("details", "command"),
    [
        ({}, "ssh w.home.arpa"),
        ({"port": 2222}, "ssh -p 2222 w.home.arpa"),
        ({"port": 2222, "command": "ssh -i /k me@w"}, "ssh -i /k me@w"),
    ],
)
def test_ssh_is_tried_as_the_queen_tried_it(details: dict[str, Any], command: str) -> None:
    assert ssh(**details) == f"Check that `{command}` works from this machine."


def test_a_key_that_only_an_agent_has_is_not_the_queens() -> None:
    told = ssh(reason=REJECTED, agent=False)
    assert "`ssh w.home.arpa`" in told
    assert "`rbee-keeper daemon stop`" in told and "--ssh-key" in told


@pytest.mark.parametrize("details", [{"reason": REJECTED}, {"reason": REJECTED, "agent": True},
                                     {"agent": False}])  # fmt: skip
def test_no_agent_is_not_the_cause_of_everything(details: dict[str, Any]) -> None:
    assert "agent" not in ssh(**details)


def test_the_one_advice_on_versions_is_the_hint_where_there_is_one() -> None:
    hint = "rbee-keeper setup install --node w"
    assert mismatch(hint=hint).advice == hint
    assert mismatch(node="w").advice.endswith("pip install 'rbee==0.2.0'")
    assert mismatch(hint=None).advice == mismatch().advice


def test_the_key_of_a_nodes_hive_is_not_the_queens() -> None:
    told = InvalidApiKey(host="http://attic:9200", node="attic", config_path="/c").advice
    add = "rbee-keeper setup add-node --name attic --hive-url http://attic:9200"
    assert told.endswith(f"{add} --api-key-file FILE")
    assert "[auth]" not in told and "the [nodes.attic] section of your config file, /c," in told
    assert add in InvalidApiKey(host="attic:9200", node="attic").advice
    assert (
        "[auth] section of your config file, /c" in InvalidApiKey(host="h", config_path="/c").advice
    )
    assert InvalidApiKey(host="h", node="attic", hint="so").advice == "so"


def test_a_request_that_another_command_mends_says_which() -> None:
    assert InvalidRequest.of("node_name", "c", "m", hint="so").advice == "so"
    assert InvalidRequest.of("node_name", "c", "m").details.keys() == {"errors"}
