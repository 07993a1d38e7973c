"""The last look before a model is fetched or loaded: whose memory, which device, which words."""

from __future__ import annotations

import asyncio
import socket
import time

import psutil
import pytest

from rbee.contract.errors import BackendUnavailable, VramExhausted
from rbee.contract.nodes import DeviceMemory, Usable
from rbee.hive.hardware.card_tools import FoundCards
from rbee.hive.hardware.preflight import DeviceRequest, Preflight

MB = 1_000_000
ANYWHERE = DeviceRequest()
RAM = DeviceMemory("cpu", 0, "RAM", 10**12, 10**11)


def device(index: int, free: int, backend: str = "cuda") -> DeviceMemory:
    return DeviceMemory(backend, index, f"card {index}", 24_000 * MB, free * MB)


class FakeHardware:
    """`gpus` are what llama.cpp can use, `found` what is there."""

    def __init__(self, gpus: list[DeviceMemory], found: list[DeviceMemory]) -> None:
        self.gpus, self._found = gpus, found
        self.has_nvidia_tool = False
        self.looked = False

    async def usable(self) -> Usable:
        names = [*dict.fromkeys(each.backend for each in self.gpus), "cpu"]
        counts = {name: sum(each.backend == name for each in self.gpus) for name in names}
        return Usable(names, counts | {"cpu": 1})

    async def memory(self) -> list[DeviceMemory]:
        return [*self.gpus, RAM]

    async def cards(self) -> FoundCards:
        self.looked = True
        return FoundCards(self._found)


class Made:
    def __init__(
        self,
        gpus: list[DeviceMemory] | None = None,
        found: list[DeviceMemory] | None = None,
        returns_within_s: float = 0.3,
    ) -> None:
        self.narrated: list[str] = []
        self.hardware = FakeHardware(gpus or [], found or [])
        self.preflight = Preflight(
            self.hardware,  # type: ignore[arg-type]
            lambda actor, emoji, text: self.narrated.append(f"[{actor}] {text}"),
            returns_within_s=returns_within_s,
            look_every_s=0.01,
        )

    async def check(
        self, size: int, wish: DeviceRequest = ANYWHERE, smaller: str | None = None
    ) -> tuple[str, int]:
        """As a spawn does: memory, then the backend."""
        self.asked_for: list[int] = []

        async def fitting(room: int) -> str | None:
            self.asked_for.append(room)
            return smaller

        place = await self.preflight.memory_device(wish)
        await self.preflight.check_memory(wish, place, size * MB, 0, fitting)
        return await self.preflight.backend_and_device(wish, place)


async def test_the_freest_device_of_the_best_backend_is_chosen_and_handed_on() -> None:
    made = Made([device(0, 5000), device(1, 9000)])
    assert await made.check(5000) == ("cuda", 1)
    assert made.narrated == [
        "[device-manager] worker preflight: memory is enough, needs 6000 MB (1.2 × 5000 MB),"
        " 9000 MB are free on cuda:1",
        "[device-manager] worker preflight: the backend cuda is there, device 1",
    ]


async def test_a_model_that_just_fits_is_reported_to_fit() -> None:
    made = Made([device(0, 6000)])
    await made.check(5000)
    assert "memory is enough" in made.narrated[0]


async def test_the_device_that_was_asked_for_counts_and_is_handed_on() -> None:
    made = Made([device(0, 5000), device(1, 9000)])
    assert await made.check(3000, DeviceRequest("cuda", 0)) == ("cuda", 0)
    with pytest.raises(VramExhausted) as caught:
        await made.check(5000, DeviceRequest("cuda", 0), "hf:a/b:Q2_K")
    details = caught.value.details
    assert (details["device"], details["required"], details["available"]) == ("cuda:0", 6000, 5000)
    assert "hf:a/b:Q2_K would fit" in caught.value.message
    assert made.asked_for == [5000 * MB]


async def test_what_a_card_lacks_the_machines_memory_does_not_make_good() -> None:
    with pytest.raises(VramExhausted):
        await Made([device(0, 100)]).check(5000)


async def test_on_the_cpu_the_machines_memory_counts_and_not_the_cards() -> None:
    made = Made([device(0, 1)])
    assert await made.check(5, DeviceRequest("cpu")) == ("cpu", 0)
    free = psutil.virtual_memory().available // MB
    with pytest.raises(VramExhausted) as caught:
        await made.check(2 * free, DeviceRequest("cpu"))
    assert caught.value.details["device"] == "cpu"


async def test_forced_it_is_loaded_and_that_is_said() -> None:
    made = Made([device(0, 100)])
    assert await made.check(5000, DeviceRequest(force=True)) == ("cuda", 0)
    assert "memory is not enough, needs 6000 MB" in made.narrated[0]
    assert "loading anyway (--force)" in made.narrated[0]
    assert made.asked_for == []


async def test_forced_without_need_nothing_is_said_of_it() -> None:
    made = Made([device(0, 9000)])
    await made.check(5000, DeviceRequest(force=True))
    assert "memory is enough" in made.narrated[0]


async def test_force_brings_no_backend() -> None:
    with pytest.raises(BackendUnavailable):
        await Made().check(1, DeviceRequest("metal", force=True))


async def test_memory_comes_before_the_backend_on_a_card_that_llama_cpp_can_not_use() -> None:
    made = Made(found=[device(0, 4000), device(1, 2000)])
    with pytest.raises(VramExhausted) as caught:
        await made.check(5000, DeviceRequest("cuda"))
    assert caught.value.details["device"] == "cuda:0"
    with pytest.raises(BackendUnavailable) as unavailable:
        await made.check(3000, DeviceRequest("cuda"))
    assert "GGML_CUDA=on" in unavailable.value.advice


async def test_of_a_backend_without_any_hardware_the_machines_memory_is_looked_at() -> None:
    made = Made()
    with pytest.raises(BackendUnavailable) as caught:
        await made.check(1, DeviceRequest("metal"))
    assert set(caught.value.details) == {"backend", "available"}
    assert "memory is enough" in made.narrated[0]
    free = psutil.virtual_memory().available // MB
    with pytest.raises(VramExhausted):
        await made.check(2 * free, DeviceRequest("metal"))


async def test_a_backend_nobody_ever_heard_of_starts_no_search_for_cards() -> None:
    made = Made()
    with pytest.raises(BackendUnavailable):
        await made.check(1, DeviceRequest("abacus"))
    assert not made.hardware.looked


async def test_a_device_that_there_is_not_is_refused() -> None:
    with pytest.raises(BackendUnavailable, match="no device 2"):
        await Made([device(0, 9000), device(1, 9000)]).check(1, DeviceRequest("cuda", 2))


async def test_a_card_that_does_not_tell_its_memory_has_the_machines() -> None:
    unified = DeviceMemory("cuda", 0, "GB10", 0, 0)
    assert await Made([unified]).check(5) == ("cuda", 0)


async def test_on_the_cpu_beside_a_card_the_narration_says_how_to_use_the_card() -> None:
    made = Made()
    made.hardware.has_nvidia_tool = True
    await made.check(1)
    assert made.narrated[-1].endswith("rbee-hive detect")
    await made.check(1, DeviceRequest("cpu"))
    assert made.narrated[-1].endswith("the backend cpu is there")


async def test_before_a_download_to_run_the_devices_free_memory_counts() -> None:
    made = Made([device(0, 5000)])
    await made.preflight.check_download(DeviceRequest(), 5000 * MB, lambda _: None)
    with pytest.raises(VramExhausted) as caught:
        await made.preflight.check_download(
            DeviceRequest(), 5001 * MB, lambda room: f"of {room // MB}"
        )
    assert "free on cuda:0" in caught.value.message
    assert "of 5000 would fit" in caught.value.message
    await made.preflight.check_download(DeviceRequest(force=True), 5001 * MB, lambda _: None)
    assert made.narrated == []


async def test_before_a_download_for_some_time_all_of_the_largest_device_counts() -> None:
    made = Made([device(0, 1)])
    await made.preflight.check_download(None, RAM.memory_total_bytes, lambda _: None)
    with pytest.raises(VramExhausted) as caught:
        await made.preflight.check_download(None, RAM.memory_total_bytes + 1, lambda _: None)
    assert "in all on cpu" in caught.value.message


async def test_each_line_has_its_actor_and_its_sign() -> None:
    lines: list[tuple[str, str, str]] = []
    card = device(0, 9000)
    hardware = FakeHardware([card], [])
    preflight = Preflight(hardware, lambda *words: lines.append(words))  # type: ignore[arg-type]

    async def none(_: int) -> None:
        return None

    await preflight.check_memory(ANYWHERE, RAM, 5000 * MB, 0, none)
    await preflight.check_memory(DeviceRequest(force=True), card, 9000 * MB, 0, none)
    await preflight.backend_and_device(ANYWHERE, RAM)
    hardware = FakeHardware([], [])
    hardware.has_nvidia_tool = True
    preflight = Preflight(hardware, lambda *words: lines.append(words))  # type: ignore[arg-type]
    await preflight.backend_and_device(ANYWHERE, RAM)
    await preflight.backend_and_device(DeviceRequest("cpu"), RAM)
    told = "worker preflight: "
    assert lines == [
        (
            "device-manager",
            "🧮",
            f"{told}memory is enough, needs 6000 MB (1.2 × 5000 MB), 100000 MB are free",
        ),
        (
            "device-manager",
            "⚠️",
            f"{told}memory is not enough, needs 10800 MB (1.2 × 9000 MB), 9000 MB are free on "
            "cuda:0; loading anyway (--force)",
        ),
        ("device-manager", "🔌", f"{told}the backend cuda is there, device 0"),
        (
            "device-manager",
            "🔌",
            f"{told}the backend cpu is there; to find out how to use the graphics card, run: "
            "rbee-hive detect",
        ),
        ("device-manager", "🔌", f"{told}the backend cpu is there"),
    ]


async def test_the_device_that_was_asked_for_is_the_one_that_is_used() -> None:
    two = [device(0, 9000), device(1, 5000)]
    made = Made(two)
    assert await made.check(1000, DeviceRequest(device=1)) == ("cuda", 1)
    assert made.narrated[0].endswith("5000 MB are free on cuda:1")
    unused = Made([], two)
    assert await unused.preflight.memory_device(DeviceRequest("cuda", 1)) == two[1]


async def test_an_error_of_memory_names_this_machine() -> None:
    with pytest.raises(VramExhausted) as caught:
        await Made([device(0, 100)]).check(5000)
    assert caught.value.details["node"] == socket.gethostname()
    with pytest.raises(VramExhausted) as caught:
        await Made().preflight.check_download(None, 10**13, lambda _: None)
    assert caught.value.details["node"] == socket.gethostname()


async def test_memory_of_a_worker_that_has_just_ended_is_waited_for() -> None:
    made = Made([device(0, 1000)])
    made.preflight.expect_memory()
    asyncio.get_running_loop().call_later(0.05, made.hardware.gpus.__setitem__, 0, device(0, 9000))
    assert await made.preflight.memory_device(ANYWHERE, 5000 * MB) == device(0, 9000)
    assert await made.preflight.memory_device(ANYWHERE, 9001 * MB) == device(0, 9000)  # in the end


async def test_nobody_waits_for_memory_that_nothing_gives_back() -> None:
    made = Made([device(0, 1000)], returns_within_s=60)
    began = time.monotonic()
    await made.preflight.memory_device(ANYWHERE, 5000 * MB)
    made.preflight.expect_memory()
    await made.preflight.memory_device(ANYWHERE, 1000 * MB)
    await made.preflight.memory_device(DeviceRequest(force=True), 5000 * MB)
    assert time.monotonic() - began < 10
