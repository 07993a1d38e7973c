"""The virtual environment on the node: made beside the previous one, which it replaces only when it
works.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .processes import run

# They are made beside each other; `.venv` points at the current one.
_ALL = ".venvs"
_CURRENT = ".venv"
_SAFE = re.compile(r"[\w@%+=:,./-]{1,100}", re.ASCII)
_OWN_PYTHON = b"""#!/bin/sh
'''exec' "$(dirname -- "$(readlink -f -- "$0")")/python" "$0" "$@"
' '''
"""


def make_wheel_folder(folder: str, name: str) -> dict[str, Any]:
    """A folder for the wheels that will be sent; nobody else may enter it, as the server gives them
    any mode."""
    wheels = Path(folder) / _ALL / f"{name}.wheels"
    wheels.mkdir(mode=0o700, parents=True)
    return {"wheels": str(wheels)}


def build(
    folder: str,
    name: str,
    within: str,
    backend: str,
    cmake: str,
    *pip: str,
    run: Callable[..., None] = run,
) -> dict[str, Any]:
    """Make a new virtual environment; `pip` are the arguments of pip, which runs in the folder
    `within`. When it works, it replaces the previous one, which is removed unless something runs
    in it."""
    root = Path(folder)
    environments = root / _ALL
    new = environments / name
    environments.mkdir(parents=True, exist_ok=True)
    try:
        run("venv", [sys.executable, "-I", "-m", "venv", str(new)], root)
        python = str(new / "bin" / "python")
        more = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
        if cmake:
            more["CMAKE_ARGS"] = f"{os.environ.get('CMAKE_ARGS', '')} {cmake}".strip()
        run("pip", [python, "-I", "-m", "pip", *pip], root / within, more)
        _name_python_safely(new)
        run("rbee-hive", [str(new / "bin" / "rbee-hive"), "--version"], root)
        run("llama.cpp", [python, "-I", "-c", "import llama_cpp"], root)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(environments / f"{name}.wheels", ignore_errors=True)
    (new / "rbee.json").write_text(json.dumps({"backend": backend or None}), encoding="utf-8")
    link = environments / f"{name}.link"
    link.symlink_to(Path(_ALL) / name)
    link.replace(root / _CURRENT)
    _sweep(environments, name)
    return {}


def _name_python_safely(environment: Path) -> None:
    """If the path of an environment has a space or is long, pip writes it into a line of shell, in
    double quotes, in which `$( )` still acts. Such a script finds the Python beside itself."""
    if _SAFE.fullmatch(str(environment)):
        return
    for script in (environment / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        head, _, rest = script.read_bytes().partition(b"\n")
        if head == b"#!/bin/sh" and rest.startswith(b"'''exec'"):
            rest = rest.split(b"\n", 2)[2]
        elif not (head.startswith(b"#!") and os.fsencode(environment) in head):
            continue
        script.write_bytes(_OWN_PYTHON + rest)


def _sweep(environments: Path, keep: str) -> None:
    """Remove the previous environments, except those in which something runs."""
    running = list(_running())
    for other in environments.iterdir():
        names = {f"{other}/", f"{other.resolve()}/"}
        used = any(name in line for name in names for line in running)
        if other.is_symlink():
            other.unlink()
        elif other.name != keep and not used:
            shutil.rmtree(other, ignore_errors=True)


def _running() -> Iterator[str]:
    """The command lines of all processes."""
    proc = Path("/proc")
    if not (proc / "self" / "cmdline").exists():
        listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, check=True)
        yield from os.fsdecode(listed.stdout).splitlines()
    for process in proc.glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield os.fsdecode(process.read_bytes())
