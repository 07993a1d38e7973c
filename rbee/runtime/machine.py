"""Which machine a program is on, for a proof: loopback addresses are the same on all of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rbee.contract.hashing import sha256

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = Path("/proc/self/ns/net")


@cache
def this_machine() -> str:
    """32 hex digits, the same for all programs that can reach each other's loopback addresses, and
    for no others. Empty where the kernel does not tell; it is Linux that does."""
    try:
        name = b"%s:%d" % (_BOOT.read_bytes().strip(), _NETWORK.stat().st_ino)
    except OSError:
        return ""
    return sha256(name).hex()[:32]
