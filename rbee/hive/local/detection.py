"""What the machine has, side by side with what the installed llama.cpp can use of it."""

from __future__ import annotations

import time

from rbee import __version__
from rbee.contract.errors import RbeeError
from rbee.contract.nodes import Detected, Usable
from rbee.hive.hardware import advice
from rbee.hive.hardware.devices import Hardware, ram
from rbee.hive.hardware.preflight import reinstall

_ONLY_CPU = Usable(["cpu"], {"cpu": 1})


async def detect(hardware: Hardware) -> Detected:
    """Raises nothing: what can't be asked is told in the notes."""
    cards = await hardware.cards()
    notes = list(cards.notes)
    try:
        usable = await hardware.ask_worker()
    except RbeeError as error:
        usable = _ONLY_CPU
        notes.append(f"llama.cpp can't be asked what it can use: {error.message}")
    notes += advice.differences(usable, cards.devices)
    return Detected(
        version=__version__,
        hardware=[*cards.devices, ram()],
        backends=usable.backends,
        devices=usable.devices,
        advice=[reinstall(backend) for backend in advice.missing(usable, cards.devices)],
        notes=notes,
        time_unix=time.time(),
    )
