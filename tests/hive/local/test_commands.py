"""The hive's own command line: errors look as they do from the keeper."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from rbee.contract.config import Config
from rbee.contract.errors import ModelNotFound
from rbee.hive.local import commands
from rbee.runtime.screen import Screen


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_an_error_of_the_contract_is_reported_with_its_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work(config: Config, screen: Screen) -> int:
        raise ModelNotFound("There is none.", model="m", near=["n"])

    assert commands.run(work, Config(), as_json=False) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Error [MODEL_NOT_FOUND]: There is none.\n→ Did you mean n?\n")


def test_a_fault_of_ours_shows_no_traceback_but_a_correlation_id_of_the_log(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(config: Config, screen: Screen) -> int:
        raise KeyError("deep-down")

    assert commands.run(work, Config(), as_json=False) == 1
    _, err = capsys.readouterr()
    assert err.startswith("Error [INTERNAL]: ")
    assert "Traceback" not in err and "deep-down" not in err
    mark = err.rstrip().rpartition("correlation id: ")[2]
    logged = (home / ".rbee" / "logs" / "rbee-hive.log").read_text()
    assert f"[{mark}] the command failed" in logged
    assert "KeyError: 'deep-down'" in logged


def test_a_listing_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(commands.list_models, Config(), as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_an_error_is_reported_with_its_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    delete = functools.partial(commands.delete, model="hf:owner/none")
    assert commands.run(delete, Config(), as_json=False) == 1
    reported = capsys.readouterr()
    assert reported.out == ""
    assert reported.err.startswith("Error [MODEL_NOT_FOUND]: ")
    assert "→ " in reported.err


def test_status_ends_with_1_where_none_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(commands.status, Config(), as_json=False) == 1
    assert capsys.readouterr().out == "No rbee-hive runs here.\n"
