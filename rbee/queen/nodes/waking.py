"""Wakes a node that sleeps, by Wake-on-LAN: its network card gets a packet that has its MAC address
in it, and turns the machine on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from rbee.contract.config import TimesSection
from rbee.contract.errors import ConnectionTimeout
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.hosts import Host
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime.concurrency import in_thread, stop
from rbee.runtime.narration import Say

PORT = 9
_QUEEN = "queen-rbee"
# A machine of the same network answers in milliseconds.
_ANSWERS_WITHIN_S = 2.0
_LOOK_EVERY_S, _SEND_EVERY_S = 0.5, 10.0


def magic_packet(mac: str) -> bytes:
    """What a sleeping card waits for: six bytes of ones, then its address sixteen times."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "").replace("-", "")) * 16


def destination(address: str) -> tuple[str, int]:
    """The host and port of `HOST` or `HOST:PORT`."""
    host, _, port = address.partition(":")
    return host, int(port or PORT)


def send(mac: str, address: str) -> None:
    """Send one packet. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(magic_packet(mac), destination(address))


class Waking:
    """Wakes the machine of one node, once for all that wait for it."""

    def __init__(
        self,
        row: NodeRow,
        use_host: Callable[[], AbstractAsyncContextManager[Host]],
        times: TimesSection,
    ) -> None:
        """`row` has a MAC address."""
        assert row.mac is not None
        self._node, self._mac, self._address = row.node_name, row.mac, row.wake_address
        self._use_host = use_host
        self._connect_s = times.connect_s
        self._boot_s = times.boot_s
        self._waking: asyncio.Task[NoAnswerError | None] | None = None
        self._waiting = 0

    async def is_awake(self) -> bool:
        """Whether the machine is on, whatever it answers."""
        try:
            await self._knock(min(self._connect_s, _ANSWERS_WITHIN_S))
        except NoAnswerError as error:
            return error.refused
        return True

    async def wake(self, say: Say) -> None:
        """Return when the machine answers; one that is awake is sent nothing. Raises
        CONNECTION_TIMEOUT if it does not within `[times] boot_s`."""
        if self._waking is None and await self.is_awake():
            return
        if self._waking is None:
            self._waking = asyncio.create_task(self._wake())
        text = f"waking {self._node} ({self._mac}): waiting until it answers"
        say(_QUEEN, "⏰", f"{text}, {self._boot_s:g} s at most")
        self._waiting += 1
        waking, began = self._waking, time.monotonic()
        try:
            silence = await asyncio.shield(waking)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._waking = None
                await stop(waking)
        if silence is not None:
            raise self._did_not_come(silence)
        say(_QUEEN, "⏰", f"{self._node} is awake, after {time.monotonic() - began:.0f} s")

    async def _wake(self) -> NoAnswerError | None:
        """What it answered at last, if it did not come."""
        loop = asyncio.get_running_loop()
        deadline, send_at = loop.time() + self._boot_s, loop.time()
        while True:
            if loop.time() >= send_at:
                send_at += _SEND_EVERY_S
                try:
                    await in_thread(send, self._mac, self._address)
                except OSError as error:
                    reason = f"the magic packet can't be sent: {error.strerror or error}"
                    return NoAnswerError(*destination(self._address), reason)
            try:
                await self._knock(self._connect_s)
            except NoAnswerError as error:
                if loop.time() >= deadline:
                    return error
            else:
                return None
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _knock(self, within_s: float) -> None:
        async with self._use_host() as host:
            try:
                async with asyncio.timeout(within_s):
                    await host.knock()
            except TimeoutError:
                reason = f"no answer within {within_s:g} s"
                raise NoAnswerError(self._node, 0, reason, timed_out=True) from None

    def _did_not_come(self, silence: NoAnswerError) -> ConnectionTimeout:
        return ConnectionTimeout(
            f"{self._node} was woken ({self._mac}, by {self._address}) and did not answer within "
            f"{self._boot_s:g} s: {silence.reason}.",
            host=silence.host,
            port=silence.port or None,
            attempts=1,
            node=self._node,
            mac=self._mac,
        )
