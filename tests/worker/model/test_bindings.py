"""The bindings without their package: each test imports them in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_THE_REAL_ONE = """
from rbee.worker.model.bindings import C
import llama_cpp
from llama_cpp import llama_cpp as again
assert again is C
assert llama_cpp.Llama and llama_cpp.llama_n_batch is C.llama_n_batch
"""
_BINDINGS_THAT_NEED_THEIR_PACKAGE = {
    "__init__.py": "NAME = 'whole'\nfrom .llama_cpp import *\n",
    "_part.py": "",
    "llama_cpp.py": "from llama_cpp import _part\nfrom llama_cpp import NAME\n",
}


def python(program: str, *arguments: str, path: Path | None = None) -> str:
    """What a program prints, with modules from `path` before all others."""
    first = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    done = subprocess.run(
        [sys.executable, "-c", first + program, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_whole_package_can_still_be_imported_later_over_the_same_bindings() -> None:
    python(_THE_REAL_ONE)


def test_bindings_that_need_their_package_are_imported_with_it(tmp_path: Path) -> None:
    package = tmp_path / "llama_cpp"
    package.mkdir()
    for name, text in _BINDINGS_THAT_NEED_THEIR_PACKAGE.items():
        (package / name).write_text(text)
    program = "from rbee.worker.model.bindings import C; print(C.NAME)"
    assert python(program, path=tmp_path) == "whole\n"


@pytest.mark.parametrize("text", ["raise RuntimeError('no libllama')", "import nowhere_at_all"])
def test_bindings_that_can_not_be_imported_say_why(tmp_path: Path, text: str) -> None:
    package = tmp_path / "llama_cpp"
    package.mkdir()
    (package / "__init__.py").write_text("from .llama_cpp import *\n")
    (package / "llama_cpp.py").write_text(text)
    program = """
try:
    import rbee.worker.model.bindings
except Exception as error:
    print(error)
"""
    assert python(program, path=tmp_path).strip() in {
        "no libllama",
        "No module named 'nowhere_at_all'",
    }
