"""SHA-256 and HMAC without OpenSSL, which takes a short command 3 ms to load.

Python's own SHA-256 is used where it was built in, as the standard library does in `random`; it is
fast enough for a few hundred bytes.
"""

from __future__ import annotations

import importlib
from _operator import _compare_digest  # what `hmac` takes where there is no OpenSSL
from collections.abc import Callable
from typing import Any

# Before Python 3.12, and since.
_BUILT_IN = ("_sha256", "_sha2")
_BLOCK = 64  # bytes
_INNER = bytes(each ^ 0x36 for each in range(256))
_OUTER = bytes(each ^ 0x5C for each in range(256))


def _find() -> Callable[[bytes], Any]:
    for name in (*_BUILT_IN, "hashlib"):
        try:
            return importlib.import_module(name).sha256  # type: ignore[no-any-return]  # all alike
        except ImportError:
            continue
    raise ImportError("This Python has no SHA-256.")


_sha256 = _find()


def sha256(data: bytes) -> bytes:
    """The SHA-256 of `data`, 32 bytes."""
    return bytes(_sha256(data).digest())


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """The HMAC (RFC 2104) of `data`, 32 bytes."""
    block = (sha256(key) if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return sha256(block.translate(_OUTER) + sha256(block.translate(_INNER) + data))


def is_equal(one: bytes, other: bytes) -> bool:
    """Whether both are equal; the time that it takes does not tell where they differ."""
    return _compare_digest(one, other)
