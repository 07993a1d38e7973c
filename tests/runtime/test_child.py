"""Children: started, and none left behind by whoever stops waiting."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from rbee.contract.daemons import Hello
from rbee.contract.nodes import Owner
from rbee.runtime import child

HELLO = Hello("key", Owner("rbee-hive", 1, 1.0, "here"))


@pytest.mark.parametrize("moments", range(12))
async def test_who_is_canceled_while_a_child_starts_leaves_none(moments: int) -> None:
    starting = asyncio.create_task(child.start(["sleep", "60"], HELLO))
    for _ in range(moments):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    left = [each for each in psutil.Process().children() if each.name() == "sleep"]
    assert left == []
