"""Changes a model's file while a worker has it in memory."""

import os
import shutil
from pathlib import Path


def overwrite(file: Path, source: Path) -> None:
    """As `cp` does: the same file, with other content."""
    shutil.copyfile(source, file)


def replace(file: Path, source: Path) -> None:
    """As `mv` does: another file under the same name."""
    other = file.with_suffix(".new")
    shutil.copyfile(source, other)
    other.replace(file)


def cut(file: Path) -> None:
    """To its header: whoever reads the rest where it was mapped is ended by SIGBUS."""
    os.truncate(file, 65_536)


def touch(file: Path) -> None:
    """Its content stays; nobody can tell."""
    file.touch()
