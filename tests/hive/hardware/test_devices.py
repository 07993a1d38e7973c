"""What a machine can compute on: asked of the worker's program, with the memory of this moment."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from rbee.contract.nodes import DeviceMemory, Usable
from rbee.hive.hardware.card_tools import FoundCards
from rbee.hive.hardware.devices import Hardware, has_gpu_signs

GB = 10**9


def cuda(index: int, free: int) -> DeviceMemory:
    return DeviceMemory("cuda", index, f"card {index}", 24 * GB, free * GB)


TWO = Usable(["cuda", "cpu"], {"cuda": 2, "cpu": 1}, [cuda(0, 20), cuda(1, 20)])


class Machine:
    """A worker's program with an answer, and cards, that a test chooses."""

    def __init__(self, folder: Path) -> None:
        self._answer = folder / "answer"
        self._asked = folder / "asked"
        self.cards = FoundCards()
        self.looked = 0
        self.says(TWO)
        script = folder / "worker"
        script.write_text(
            f'#!/bin/sh\necho "$@" >> {shlex.quote(str(self._asked))}\n'
            f". {shlex.quote(str(self._answer))}\n"
        )
        script.chmod(0o755)
        self.command = [str(script)]
        self.may_have_gpu = True
        self.later_s = 0.0
        self.hardware = self.ask_within(30)

    def ask_within(self, seconds: float) -> Hardware:
        return Hardware(
            self.command,
            find_cards=self._find,
            may_have_gpu=lambda: self.may_have_gpu,
            within_s=seconds,
            clock=lambda: time.monotonic() + self.later_s,
        )

    def says(self, usable: Usable) -> None:
        self.does(f"echo {shlex.quote(msgspec.json.encode(usable).decode())}")

    def does(self, line: str) -> None:
        self._answer.write_text(f"{line}\n")

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines() if self._asked.exists() else []

    def _find(self, ram: DeviceMemory) -> FoundCards:
        assert ram.backend == "cpu"
        self.looked += 1
        return self.cards


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Machine(tmp_path)


async def test_the_workers_program_is_asked_once(machine: Machine) -> None:
    found = await asyncio.gather(machine.hardware.usable(), machine.hardware.usable())
    assert found == [TWO, TWO]
    assert machine.asked == ["detect --json"]


async def test_where_there_can_be_no_card_nobody_is_asked(machine: Machine) -> None:
    machine.may_have_gpu = False
    assert await machine.hardware.usable() == Usable(["cpu"], {"cpu": 1})
    [device] = await machine.hardware.memory()
    assert (device.backend, device.name) == ("cpu", "RAM")
    assert device.memory_total_bytes == psutil.virtual_memory().total
    assert machine.asked == []


@pytest.mark.parametrize("line", ["exit 3", "echo milk", "kill -9 $$", "echo '{\"backends\": 7}'"])
async def test_where_it_can_not_say_the_cpu_is_left(machine: Machine, line: str) -> None:
    machine.does(f"echo 'no libcuda' >&2; {line}")
    assert (await machine.hardware.usable()).backends == ["cpu"]
    detected = await machine.hardware.detect()
    assert detected.backends == ["cpu"]
    assert any("no libcuda" in note for note in detected.notes)


async def test_a_program_that_is_not_there_leaves_the_cpu(machine: Machine) -> None:
    machine.command = ["/nowhere/llm-worker-rbee"]
    assert (await machine.ask_within(30).usable()).backends == ["cpu"]


async def test_one_that_says_nothing_is_given_up(machine: Machine) -> None:
    before = psutil.Process().children()  # other tests of this process may have some
    machine.does(f"exec {sys.executable} -c 'import time; time.sleep(600)'")
    assert (await machine.ask_within(0.3).usable()).backends == ["cpu"]
    assert set(psutil.Process().children()) <= set(before)


async def test_the_cards_tell_what_is_free_now_where_they_are_the_ones(machine: Machine) -> None:
    machine.cards = FoundCards([cuda(0, 3), cuda(1, 4)])
    *gpus, ram = await machine.hardware.memory()
    assert gpus == [cuda(0, 3), cuda(1, 4)]
    assert ram.backend == "cpu"
    assert len(machine.asked) == 1


@pytest.mark.parametrize("seen", [[], [cuda(0, 3)], [cuda(0, 3), cuda(2, 3)]])
async def test_else_llama_cpp_is_asked_again(machine: Machine, seen: list[DeviceMemory]) -> None:
    machine.cards = FoundCards(seen)
    await machine.hardware.usable()
    machine.says(msgspec.structs.replace(TWO, memory=[cuda(0, 1), cuda(1, 2)]))
    assert (await machine.hardware.memory())[:-1] == [cuda(0, 1), cuda(1, 2)]
    assert len(machine.asked) == 2


async def test_with_a_choice_of_visible_devices_nvidia_smi_counts_others(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    machine.cards = FoundCards([cuda(0, 3), cuda(1, 4)])
    assert (await machine.hardware.memory())[:-1] == [cuda(0, 20), cuda(1, 20)]
    assert machine.looked == 0


async def test_a_caller_that_accepts_older_numbers_asks_nobody(machine: Machine) -> None:
    machine.cards = FoundCards([cuda(0, 3), cuda(1, 4)])
    await machine.hardware.memory()
    machine.cards = FoundCards([cuda(0, 1), cuda(1, 1)])
    assert (await machine.hardware.memory(60))[0] == cuda(0, 3)
    assert (await machine.hardware.memory())[0] == cuda(0, 1)
    assert machine.looked == 2


async def test_a_tool_that_hung_is_left_alone_for_a_while(machine: Machine) -> None:
    machine.cards = FoundCards(notes=["it hangs"], hung=True)
    await machine.hardware.cards()
    assert (await machine.hardware.cards()).notes == ["it hangs"]
    assert machine.looked == 1
    machine.later_s = 61
    machine.cards = FoundCards([cuda(0, 1)])
    assert (await machine.hardware.cards()).devices == [cuda(0, 1)]


async def test_a_tool_that_failed_is_asked_again(machine: Machine) -> None:
    machine.cards = FoundCards(notes=["no driver"])
    await machine.hardware.cards()
    await machine.hardware.cards()
    assert machine.looked == 2


async def test_detected_has_the_hardware_beside_what_can_be_used(machine: Machine) -> None:
    machine.says(Usable(["cpu"], {"cpu": 1}))
    machine.cards = FoundCards([cuda(0, 3), cuda(1, 4)])
    found = await machine.hardware.detect()
    assert [device.backend for device in found.hardware] == ["cuda", "cuda", "cpu"]
    assert (found.backends, found.devices) == (["cpu"], {"cpu": 1})
    [command] = found.advice
    assert command.startswith(f"CMAKE_ARGS=-DGGML_CUDA=on {shlex.quote(sys.executable)} -m pip ")
    assert found.notes == []


async def test_where_all_is_used_there_is_no_advice(machine: Machine) -> None:
    machine.cards = FoundCards([cuda(0, 3), cuda(1, 4)])
    found = await machine.hardware.detect()
    assert (found.backends, found.advice, found.notes) == (["cuda", "cpu"], [], [])


async def test_cards_that_llama_cpp_does_not_see_are_noted(machine: Machine) -> None:
    machine.cards = FoundCards([cuda(0, 3), cuda(1, 4), cuda(2, 4)], notes=["one line was odd"])
    found = await machine.hardware.detect()
    assert found.notes == ["one line was odd", "llama.cpp sees 2 of the 3 cuda devices"]


@pytest.mark.parametrize(
    ("tool", "node", "wanted"),
    [(None, None, False), ("nvidia-smi", None, True), (None, "dri", True)],
)
def test_a_card_can_be_where_a_tool_or_a_device_file_is(
    tool: str | None,
    node: str | None,
    wanted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in (tool, node):
        if name is not None:
            (tmp_path / name).touch(mode=0o755)
    assert has_gpu_signs(device_files=[tmp_path / "dri"]) is wanted
