"""What a report says about its run: which code, when, and on what machine."""

import importlib.metadata
import os
import platform
import subprocess
import time
from typing import Any


def facts(arguments: str, whole: bool) -> dict[str, Any]:
    """`whole` says whether it is a run of the whole specification."""
    return {
        "arguments": arguments,
        "whole": whole,
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "llama_cpp_python": _version("llama-cpp-python"),
    }


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
