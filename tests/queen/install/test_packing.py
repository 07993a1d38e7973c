"""What is sent: everything, or rbee alone and why."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rbee.contract.errors import ProgramFailed
from rbee.queen.install import packing
from rbee.queen.install import wheels as wheel
from rbee.queen.install.compatibility import Machine
from rbee.queen.install.on_node.facts import machine

HERE = msgspec.convert(machine(), Machine)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels themselves are judged elsewhere."""
    monkeypatch.setattr(wheel, "make", lambda known, folder: folder / f"{known.name}.whl")


def test_a_machine_like_this_one_is_sent_everything(tmp_path) -> None:
    packed = packing.pack(tmp_path, "workstation", HERE, None)
    assert packed.whole
    names = {path.name for path in packed.wheels}
    assert {"aiohttp.whl", "llama_cpp_python.whl"} <= names
    assert packed.wheels[0].name.startswith("rbee-")


def test_another_machine_is_sent_rbee_alone_and_it_is_said_why(tmp_path) -> None:
    theirs = msgspec.structs.replace(HERE, architecture="riscv64")
    packed = packing.pack(tmp_path, "workstation", theirs, None)
    assert (packed.whole, len(packed.wheels)) == (False, 1)
    assert "riscv64" in packed.why
    assert packed.size == packed.wheels[0].stat().st_size


def test_llama_is_not_sent_where_it_is_built_for_a_card(tmp_path, monkeypatch) -> None:
    assert packing.pack(tmp_path, "workstation", HERE, "cuda").why.endswith("for cuda")
    monkeypatch.setattr(wheel, "cards_of_llama", lambda _: ["cuda"])
    assert "cuda here" in packing.pack(tmp_path, "workstation", HERE, "cpu").why


def test_one_package_that_can_not_be_sent_means_that_pip_fetches_there(
    tmp_path: Path, monkeypatch
) -> None:
    def make(known: object, folder: Path) -> Path:
        raise wheel.NoWheelError("aiohttp lacks its file x")

    monkeypatch.setattr(wheel, "make", make)
    packed = packing.pack(tmp_path, "workstation", HERE, None)
    assert (packed.whole, packed.why) == (False, "aiohttp lacks its file x")


def test_an_rbee_that_is_not_installed_is_told_with_a_way_out(tmp_path, monkeypatch) -> None:
    def make_own(folder: Path) -> Path:
        raise wheel.NoWheelError("rbee is not installed as a package here")

    monkeypatch.setattr(wheel, "make_own", make_own)
    with pytest.raises(ProgramFailed, match="can't be sent to workstation") as failed:
        packing.pack(tmp_path, "workstation", HERE, None)
    assert "--git-repo" in failed.value.advice
