"""`--debug`: where it may stand, what it adds, and what an error has without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import NodeNotFound
from rbee.contract.registry import HiveStatuses
from rbee.keeper.cli import main
from rbee.runtime import debug_trace

FakeQueen = Any
Keeper = Callable[..., Any]

WORDS = [
    ("--debug", "hive", "status"),
    ("hive", "--debug", "status"),
    ("hive", "status", "--debug"),
]


@pytest.mark.parametrize("words", WORDS)
def test_debug_may_precede_and_follow_each_word(
    words: tuple[str, ...], fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([]))
    done = keeper(*words)
    assert done.exit_code == 0
    assert "[debug]" not in done.stdout
    asked = [line for line in done.stderr.splitlines() if "GET /v2/hives/status: 200" in line]
    assert len(asked) == 1 and asked[0].startswith("[debug] ")


def test_debug_lasts_for_one_command(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([]))
    keeper("--debug", "hive", "status")
    assert not debug_trace.wanted.get()
    assert "[debug]" not in keeper("hive", "status").stderr


def test_a_traceback_is_shown_only_with_debug(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_HIVES, NodeNotFound(node="attic"))
    told = keeper("hive", "status", "--node", "attic")
    assert told.exit_code == 1
    assert "Error [NODE_NOT_FOUND]" in told.stderr
    assert "Traceback" not in told.stderr and "[debug]" not in told.stderr
    told = keeper("--debug", "hive", "status", "--node", "attic")
    assert told.exit_code == 1
    lines = told.stderr.splitlines()
    error = next(at for at, line in enumerate(lines) if line.startswith("Error ["))
    assert lines[error + 1].startswith("→ ")
    assert "[debug] Traceback (most recent call last):" in lines[error:]


def test_every_command_has_debug() -> None:
    found = list(_commands(main))
    assert len(found) > 20
    assert [name for name, flags in found if flags.count("--debug") != 1] == []


def _commands(group: click.Group) -> list[tuple[str, list[str]]]:
    found = [(group.name or "", _flags(group))]
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += _commands(command)
        else:
            found.append((name, _flags(command)))
    return found


def _flags(command: click.Command) -> list[str]:
    return [option for parameter in command.params for option in parameter.opts]
