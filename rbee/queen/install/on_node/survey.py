"""What is on the node before anything is changed, and what kind of machine it is."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from .clone import OURS, standing

_TOOLS = ("git", "cc", "gcc", "clang", "c++", "g++", "clang++", "nvcc", "glslc")


def machine() -> dict[str, Any]:
    """What a compiled package must fit. Asked on both ends."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        libc = ""  # no glibc: musl, or a Mac
    return {
        "platform": sys.platform,
        "abi": str(sysconfig.get_config_var("SOABI")),
        "architecture": os.uname().machine,
        "glibc": [int(part) for part in re.findall(r"\d+", libc)],
        "processor": _processor(),
    }


def survey(folder: str, branch: str) -> dict[str, Any]:
    """What is there before anything is changed."""
    root = _absolute(folder)
    parts = [importlib.util.find_spec(name) for name in ("venv", "ensurepip")]
    return {
        "folder": str(root),
        "machine": machine(),
        "venv": all(parts),
        "tools": [name for name in _TOOLS if shutil.which(name)],
        "prebuilt": _may_be_prebuilt(),
        **_folder(root, branch),
    }


def _absolute(folder: str) -> Path:
    """Only `~/` at the beginning means anything; a relative path is in the home."""
    return Path.home() / (folder[2:] if folder.startswith("~/") else folder)


def _processor() -> list[str]:
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
        return sorted(found[1].split()) if found else []
    return []


def _may_be_prebuilt() -> bool:
    """Whether pip may find llama.cpp compiled: in its cache, or where it is configured to look."""
    home = Path.home()
    configured = {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"} & set(os.environ)
    for file in (Path("/etc/pip.conf"), home / ".config/pip/pip.conf", home / ".pip/pip.conf"):
        with contextlib.suppress(OSError):
            configured |= set(re.findall("find-links|index-url", file.read_text(errors="replace")))
    caches = [os.environ.get("PIP_CACHE_DIR"), home / ".cache/pip", home / "Library/Caches/pip"]
    wheels = "wheels/**/llama_cpp_python-*.whl"
    return bool(configured) or any(any(Path(cache).glob(wheels)) for cache in caches if cache)


def _folder(root: Path, branch: str) -> dict[str, Any]:
    clone = (root / ".git").exists()
    if root.is_dir():
        others = [] if clone else sorted({path.name for path in root.iterdir()} - set(OURS))[:5]
    else:
        others = [root.name] if root.exists() else []
    link = root / ".venv"
    known = link.is_symlink() and link.readlink().parent == Path(".venvs")
    found: dict[str, Any] = {
        "others": others,
        "clone": clone,
        "foreign_venv": os.path.lexists(link) and not known,
    }
    with contextlib.suppress(OSError, ValueError):
        found["backend"] = json.loads((link / "rbee.json").read_text(encoding="utf-8"))["backend"]
    if clone and shutil.which("git"):
        found |= standing(root, branch)
    return found
