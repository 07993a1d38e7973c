"""The programs in other places and in another version, without pip: copies of what is there."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

from harness.ssh.node import Node
from harness.world.commands import INSTALLED, SCRIPTS

_VERSION = re.compile(r'^(__version__ = )"([^"]+)"', re.MULTILINE)
_PROGRAMS = {"hive": "rbee.hive", "worker": "rbee.worker"}


def copy_programs(folder: Path) -> None:
    """The console scripts, which run from wherever they stand."""
    folder.mkdir(parents=True)
    for name in INSTALLED.values():
        shutil.copy(SCRIPTS / name, folder / name)


def install(node: Node, version: str) -> None:
    """First on the node's PATH from now on: the same package, with another version."""
    folder = node.root / f"rbee-{version}"
    package = shutil.copytree(
        _package(), folder / "rbee", ignore=shutil.ignore_patterns("__pycache__")
    )
    told = package / "__init__.py"
    text, count = _VERSION.subn(rf'\1"{version}"', told.read_text())
    assert count == 1, f"no version in {told}"
    told.write_text(text)
    for role, module in _PROGRAMS.items():
        script = f'PYTHONPATH="{folder}" exec {sys.executable} -m {module} "$@"'
        node.put_program(INSTALLED[role], script)


def version() -> str:
    """Of the package that is installed."""
    found = _VERSION.search((_package() / "__init__.py").read_text())
    assert found
    return found[2]


def _package() -> Path:
    """Found, not imported."""
    found = importlib.util.find_spec("rbee")
    assert found, "rbee is not installed"
    assert found.origin
    return Path(found.origin).parent
