"""Which tagged scenarios this machine can't run. They are skipped, with the reason."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection
from functools import cache, partial
from pathlib import Path

from harness import npm_programs
from harness.breaking import doctor
from harness.ssh import sleeping
from harness.watching import wire
from harness.world import control_group

_CAP_SYS_ADMIN = 21  # linux/capability.h


@cache
def _has_gpu() -> bool:
    """A card, and a llama.cpp that can compute on it."""
    if shutil.which("nvidia-smi") is None:
        return False
    if subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode != 0:
        return False
    from llama_cpp import llama_cpp

    return bool(llama_cpp.llama_supports_gpu_offload())


def _has_sshd() -> bool:
    return any(os.access(path, os.X_OK) for path in ("/usr/sbin/sshd", "/usr/bin/sshd"))


def _has_agent() -> bool:
    return bool(shutil.which("ssh-agent") and shutil.which("ssh-keygen"))


def _has_namespaces() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None


def _has_tmpfs() -> bool:
    """Root in a container is often not allowed to mount."""
    status = Path("/proc/self/status").read_text()
    (granted,) = re.findall(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(granted, 16) >> _CAP_SYS_ADMIN & 1)


def _was_fetched(program: str) -> bool:
    return npm_programs.PROGRAMS[program].fetched


REQUIREMENTS: dict[str, tuple[Callable[[], bool], str]] = {
    "cgroup": (control_group.can_be_made, "control groups can't be made"),
    "gpu": (_has_gpu, "there is no NVIDIA card, or llama.cpp was built without CUDA"),
    "sshd": (_has_sshd, "OpenSSH's sshd is not installed"),
    "agent": (_has_agent, "OpenSSH's ssh-agent and ssh-keygen are not installed"),
    "tmpfs": (_has_tmpfs, "mounting a small disk needs root"),
    "mounts": (_has_tmpfs, "an /etc that only the scenario sees needs root"),
    "systemd": (lambda: shutil.which("systemd-analyze") is not None, "systemd is not installed"),
    "root": (lambda: os.geteuid() == 0, "files of another user need root"),
    "faketime": (
        lambda: doctor.faketime() is not None,
        "libfaketime is not installed",
    ),
    "zsh": (lambda: shutil.which("zsh") is not None, "zsh is not installed"),
    "fish": (lambda: shutil.which("fish") is not None, "fish is not installed"),
    "wire": (wire.available, "reading packets needs root, with CAP_NET_ADMIN"),
    "wol": (sleeping.can_listen, "listening at port 9 needs root"),
    "netns": (_has_namespaces, "network namespaces need root and ip"),
    **{
        name: (partial(_was_fetched, name), npm_programs.reason_against(name))
        for name in npm_programs.PROGRAMS
    },
}


def missing_requirement(tags: Collection[str]) -> str | None:
    """Return why a scenario with these tags can't run on this machine, or None if it can."""
    for tag, (present, reason) in REQUIREMENTS.items():
        if tag in tags and not present():
            return f"@{tag}: {reason}"
    return None
