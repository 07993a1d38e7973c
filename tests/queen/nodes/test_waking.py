"""A node that sleeps gets a magic packet, once for all that wait for it, and is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from rbee.contract.config import TimesSection
from rbee.contract.errors import ConnectionTimeout
from rbee.contract.registry import NodeRow
from rbee.queen.nodes import waking
from rbee.queen.nodes.waking import Waking, destination, magic_packet
from rbee.queen.ssh.login import REFUSED, NoAnswerError

MAC = "3C-7c-3f-12-ab-9e"
CARD = bytes.fromhex("3c7c3f12ab9e")


class SleepingHost:
    """Answers when it `is_on`; `refuses` then."""

    def __init__(self) -> None:
        self.is_on = False
        self.refuses = False
        self.knocks = 0

    async def knock(self) -> None:
        self.knocks += 1
        if not self.is_on or self.refuses:
            raise NoAnswerError("attic", 22, REFUSED if self.is_on else "no route")


class Lab:
    def __init__(self, card: socket.socket) -> None:
        self.host = SleepingHost()
        self.said: list[str] = []
        self._card = card
        port = card.getsockname()[1]
        row = NodeRow(node_name="attic", mac=MAC, wake_address=f"127.0.0.1:{port}")
        self.waking = Waking(row, self._use, TimesSection(boot_s=0.2, connect_s=1))  # type: ignore[arg-type]

    def packets(self) -> list[bytes]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._card.recv(1024))
        return found

    def wake(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.waking.wake(lambda _, __, text: self.said.append(text)))

    async def until_sent(self) -> None:
        async with asyncio.timeout(5):
            while not self.host.knocks > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def _use(self) -> AsyncIterator[SleepingHost]:
        yield self.host


@pytest.fixture
def lab() -> Iterator[Lab]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.bind(("127.0.0.1", 0))
        card.setblocking(False)
        yield Lab(card)


@pytest.mark.parametrize("mac", ["3c:7c:3f:12:ab:9e", "3C-7C-3F-12-AB-9E"])
def test_the_packet_has_the_address_sixteen_times(mac: str) -> None:
    assert magic_packet(mac) == b"\xff" * 6 + CARD * 16
    assert len(magic_packet(mac)) == 102


def test_the_port_is_nine_unless_it_is_named() -> None:
    assert destination("192.168.1.255") == ("192.168.1.255", 9)
    assert destination("192.168.1.255:7") == ("192.168.1.255", 7)
    assert destination(NodeRow(node_name="n").wake_address) == ("255.255.255.255", 9)


async def test_one_that_is_awake_is_sent_nothing(lab: Lab) -> None:
    for lab.host.refuses in (False, True):
        lab.host.is_on = True
        assert await lab.waking.is_awake()
        await lab.wake()
    assert (lab.packets(), lab.said) == ([], [])


async def test_several_that_wait_wake_it_once(lab: Lab) -> None:
    first, second = lab.wake(), lab.wake()
    await lab.until_sent()
    third = lab.wake()
    first.cancel()
    await asyncio.sleep(0.01)
    assert first.cancelled()
    lab.host.is_on = True
    async with asyncio.timeout(5):
        await asyncio.gather(second, third)
    assert lab.packets() == [magic_packet(MAC)]
    waking = f"waking attic ({MAC}): waiting until it answers, 0.2 s at most"
    assert lab.said.count(waking) == 3
    assert [each.startswith("attic is awake, after ") for each in lab.said[3:]] == [True] * 2


async def test_a_server_that_is_not_there_yet_is_waited_for(lab: Lab) -> None:
    waiting = lab.wake()
    await lab.until_sent()
    lab.host.is_on = lab.host.refuses = True
    await asyncio.sleep(0)
    lab.host.refuses = False
    async with asyncio.timeout(5):
        await waiting


async def test_one_that_does_not_come_is_told_with_what_to_check(lab: Lab) -> None:
    waiting = [lab.wake(), lab.wake()]
    for each in waiting:
        with pytest.raises(ConnectionTimeout) as caught:
            async with asyncio.timeout(10):
                await each
        details = caught.value.details
        assert (details["node"], details["mac"], details["host"]) == ("attic", MAC, "attic")
        assert "did not answer within 0.2 s: no route." in caught.value.message
        assert "Wake-on-LAN" in caught.value.advice and "wake_address" in caught.value.advice
    assert len(lab.packets()) == 1
    lab.host.is_on = True  # it is asked anew, and not remembered
    await lab.wake()


async def test_the_packet_is_sent_again_and_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "_SEND_EVERY_S", 0.05)
    monkeypatch.setattr(waking, "_LOOK_EVERY_S", 0.01)
    with pytest.raises(ConnectionTimeout):
        await lab.wake()
    assert len(lab.packets()) > 1


async def test_when_nobody_waits_any_more_nothing_goes_on(lab: Lab) -> None:
    waiting = lab.wake()
    await lab.until_sent()
    waiting.cancel()
    await asyncio.wait({waiting})
    knocks = lab.host.knocks
    await asyncio.sleep(0.6)
    assert lab.host.knocks == knocks
    lab.packets()
    again = lab.wake()
    with pytest.raises(ConnectionTimeout):
        await again
    assert len(lab.packets()) == 1


async def test_a_packet_that_can_not_be_sent_is_told(lab: Lab) -> None:
    row = NodeRow(node_name="attic", mac=MAC, wake_address="no-such-host.invalid")
    waking = Waking(row, lab._use, TimesSection(boot_s=5))  # type: ignore[arg-type]
    with pytest.raises(ConnectionTimeout, match="the magic packet can't be sent: "):
        async with asyncio.timeout(10):
            await waking.wake(lambda *_: None)
