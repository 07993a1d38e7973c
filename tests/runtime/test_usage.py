"""What click says of wrong usage is safe to show, whatever was typed."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from rbee.hive.cli import main as hive
from rbee.keeper.cli import main as keeper
from rbee.queen.cli import main as queen
from rbee.worker.cli import main as worker
from tests.hostile import HOSTILE, forged, unsafe


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (keeper, [HOSTILE]),
        (keeper, ["models", "list", HOSTILE]),
        (keeper, ["infer", f"--{HOSTILE}"]),
        (keeper, ["infer", "--temperature", HOSTILE]),
        (queen, ["daemon", HOSTILE]),
        (hive, ["models", "list", HOSTILE]),
        (worker, ["detect", HOSTILE]),
    ],
)
def test_wrong_usage_is_shown_as_text(program: click.Group, words: list[str]) -> None:
    done = CliRunner().invoke(program, words, color=True)
    assert done.exit_code == 2
    assert "owned" in done.output
    assert (unsafe(done.output), forged(done.output)) == (set(), [])
