"""Whether packages that were compiled for one machine run on another."""

from __future__ import annotations

import re

import msgspec

# What llama.cpp's own code is compiled for, where it is compiled for the machine that it is on.
_COMPUTES = re.compile(r"avx|amx|fma|f16c|bmi|sse|ssse|asimd|i8mm|sve|sme|bf16|fphp")


class Machine(msgspec.Struct, frozen=True):
    """`abi` names the Python, its version, the architecture and the kind of libc; `glibc` is its
    version, empty where there is none; `processor` what it can do, by the kernel's names."""

    platform: str
    abi: str
    architecture: str
    glibc: list[int]
    processor: list[str]


def difference(ours: Machine, theirs: Machine, native: bool) -> str | None:
    """Why what is installed here can't run there, None where it can. `native`: some of it was
    compiled for this very processor."""
    if ours.platform != theirs.platform or ours.architecture != theirs.architecture:
        return f"it is {theirs.platform} on {theirs.architecture}"
    if ours.abi != theirs.abi:
        return f"its Python is {theirs.abi}, and here it is {ours.abi}"
    if theirs.glibc < ours.glibc:
        return f"its glibc is {_dotted(theirs.glibc)}, and here it is {_dotted(ours.glibc)}"
    if native:
        lacking = sorted(set(ours.processor) - set(theirs.processor))
        if found := [name for name in lacking if _COMPUTES.match(name)]:
            return f"its processor lacks {', '.join(found)}"
    return None


def _dotted(parts: list[int]) -> str:
    return ".".join(map(str, parts))
