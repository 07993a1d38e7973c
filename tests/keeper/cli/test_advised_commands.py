"""The commands that an error advises can be typed: the keeper has each of them."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
import pytest

from rbee.contract import errors
from rbee.contract.errors import RbeeError
from rbee.keeper.cli import main

_BEHIND = re.compile(r"rbee-keeper (?P<words>[^`;()]+)")
_SSH = {"host": "h", "port": 22, "reason": "refused"}
_REJECTED = {**_SSH, "reason": "the key was rejected", "agent": False}
_FINGERPRINT = {**_SSH, "fingerprint": "SHA256:" + "a" * 43, "node": "n", "user": "me"}
_BUSY = {"slots_total": 1, "slots_busy": 1, "waiting": 0}
_CRASH: dict[str, Any] = {"worker_id": "w", "tokens": 1, "max_tokens": 2, "log_tail": []}
_SUMS = {"file": "f", "expected": "a", "actual": "b"}

# Every error whose advice names a command of ours, with the details that bring it out.
ADVISING: list[RbeeError] = [
    errors.NodeNotFound(node="n"),
    errors.SshConnectionFailed(**_REJECTED),
    errors.SshConnectionFailed(**_FINGERPRINT),
    errors.ConnectionTimeout(host="h", port=1, attempts=3, node="n"),
    errors.ConnectionTimeout(host="h", port=1, attempts=3),
    errors.PortBlocked(host="h", port=1),
    errors.ModelNotFound(model="file:/x", near=[]),
    errors.ModelInUse(model="m", workers=["worker-1"]),
    errors.ModelInUse(model="m", workers=["a worker that is starting"]),
    errors.ChecksumMismatch(**_SUMS, kept="hf:a/b"),
    errors.DiskFull(required=2, available=1, path="/p"),
    errors.DiskFull(required=2, available=1, path="/p", node="my node"),
    errors.ModelNotFound(model="file:/x", near=[], node="n"),
    errors.ModelCorrupt(file="f", reason="r", model="hf:a/b", node="n"),
    errors.VramExhausted(node="n", device="cpu", required=2, available=1),
    errors.ModelCorrupt(file="f", reason="r", model="hf:a/b"),
    errors.InvalidApiKey(host="h:9200", node="n"),
    errors.AllSlotsBusy(**_BUSY),
    errors.QueueFull(**_BUSY),
    errors.WorkerCrashed(node="n", **_CRASH),
    errors.LoadingTimeout(node="n", state="loading", layers_loaded=1, layers_total=2),
]


@pytest.mark.parametrize("error", ADVISING, ids=lambda error: error.code)
def test_the_commands_of_an_advice_exist(error: RbeeError) -> None:
    commands = [found["words"] for found in _BEHIND.finditer(error.advice)]
    assert commands, error.advice
    for command in commands:
        for part in command.split("&&"):
            _check(shlex.split(part.replace("rbee-keeper", "").replace("…", "")))


def _check(words: list[str]) -> None:
    """The words up to the first that is prose; each flag must be one of the command."""
    command: click.Command = main
    while isinstance(command, click.Group):
        assert words, "a group alone is no command"
        word = words.pop(0).rstrip(",.")
        assert word in command.commands, f"{word!r} is not among {sorted(command.commands)}"
        command = command.commands[word]
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"--help", "--node"}  # in prose behind another command, of which node it is
    flags = {word.rstrip(",.") for word in words if word.startswith("--")}
    assert flags <= known, f"{flags - known} of {command.name}"


def test_a_value_with_spaces_can_be_typed() -> None:
    advice = errors.WorkerCrashed(node="my node", **_CRASH).advice
    assert advice.endswith("rbee-keeper logs --node 'my node'")


def test_advice_for_another_node_names_it() -> None:
    corrupt = errors.ModelCorrupt(file="f", reason="r", model="hf:a/b", node="n")
    again = "models delete hf:a/b --node n && rbee-keeper models download hf:a/b --node n"
    assert corrupt.advice.endswith(again)
    full = errors.DiskFull(required=2, available=1, path="/p", node="my node").advice
    assert "`rbee-keeper models disk-usage --node 'my node'`" in full
