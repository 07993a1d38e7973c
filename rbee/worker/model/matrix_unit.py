"""Whether llama.cpp may use all that it has for this machine's processor."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def has_amx(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether this processor has AMX, the matrix unit of Intel's servers and workstations.

    llama.cpp's code for it ends the process with signal 11 at the first token on many of these
    machines: with the compilers of Debian 12 and Ubuntu 22.04, which take the unit's configuration
    for unused (GCC bug 114098), and in virtual machines whose threads may not use the unit
    (llama.cpp's issues 20824 and 26954, ollama's issue 17249). Its other kernels work there.
    """
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line[:5] == "flags"), [])
    return "amx_tile" in flags
