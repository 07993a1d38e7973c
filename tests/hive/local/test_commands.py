"""The hive's own command line: what goes wrong is told as the keeper tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rbee.contract.config import Config
from rbee.contract.errors import ModelNotFound
from rbee.hive.local import commands as by_hand
from rbee.hive.local.report import Console


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_an_error_of_the_contract_is_told_with_its_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work(config: Config, shown: Console) -> int:
        raise ModelNotFound("There is none.", model="m", near=["n"])

    assert by_hand.run(work, Config(), as_json=False) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Error [MODEL_NOT_FOUND]: There is none.\n→ Did you mean n?\n")


def test_a_fault_of_ours_is_no_traceback_but_a_mark_that_the_log_has(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(config: Config, shown: Console) -> int:
        raise KeyError("deep-down")

    assert by_hand.run(work, Config(), as_json=False) == 1
    _, err = capsys.readouterr()
    assert err.startswith("Error [INTERNAL]: ")
    assert "Traceback" not in err and "deep-down" not in err
    mark = err.rstrip().rpartition("correlation id: ")[2]
    logged = (home / ".rbee" / "logs" / "rbee-hive.log").read_text()
    assert f"[{mark}] the command failed" in logged
    assert "KeyError: 'deep-down'" in logged
