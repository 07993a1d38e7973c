"""Which machine a program is on: the same for all its programs, and another one elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rbee.runtime import machine

IN_ANOTHER_PROGRAM = "from rbee.runtime.machine import this_machine; print(this_machine())"


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Files in place of those of /proc."""
    (tmp_path / "boot_id").write_text("7f409906-cf77-4b1e-a904-aea663cb3bce\n")
    (tmp_path / "net").touch()
    monkeypatch.setattr(machine, "_BOOT", tmp_path / "boot_id")
    monkeypatch.setattr(machine, "_NETWORK", tmp_path / "net")
    return tmp_path


def name() -> str:
    machine.this_machine.cache_clear()
    return machine.this_machine()


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    machine.this_machine.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not tell")
def test_all_programs_of_a_machine_give_it_the_same_name() -> None:
    command = [sys.executable, "-c", IN_ANOTHER_PROGRAM]
    other = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert re.fullmatch("[0-9a-f]{32}", name())
    assert other.stdout.strip() == name()


def test_another_boot_is_another_machine(kernel: Path) -> None:
    before = name()
    (kernel / "boot_id").write_text("00000000-cf77-4b1e-a904-aea663cb3bce\n")
    assert name() != before


def test_another_network_namespace_is_another_machine(kernel: Path) -> None:
    before = name()
    (kernel / "other").touch()
    (kernel / "other").rename(kernel / "net")
    assert name() != before


@pytest.mark.parametrize("file", ["boot_id", "net"])
def test_where_the_kernel_does_not_tell_there_is_no_name(kernel: Path, file: str) -> None:
    (kernel / file).unlink()
    assert name() == ""
