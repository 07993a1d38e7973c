"""The config file that counts, changed as a whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from rbee.contract.errors import ConfigInvalid, StateNotWritable
from rbee.keeper.config import toml_edit as config_text
from rbee.runtime import paths, settings

_MODE = 0o600
_FOLDER_MODE = 0o700


def set_node(name: str, values: Mapping[str, object]) -> Path:
    """Write the keys `values` into [nodes.NAME], in a new file where there is none; its path.

    Raises CONFIG_INVALID where the file is none, or would be none then, and STATE_NOT_WRITABLE.
    """
    file = settings.config_file() or paths.config_candidates()[0]
    _edit(file, lambda text: config_text.with_node(text, name, values))
    return file


def remove_node(name: str) -> Path | None:
    """Take [nodes.NAME] out of the file; its path, or None where it stood in none. Raises as
    `set_node` does."""
    file = settings.config_file()
    if file is None or not _edit(file, lambda text: config_text.without_node(text, name)):
        return None
    return file


def _edit(file: Path, change: Callable[[str], str | None]) -> bool:
    """Write what `change` makes of the text; False where it makes nothing of it."""
    target = Path(os.path.realpath(file))  # a link stays a link
    try:
        target.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        with _alone(target.parent):
            text = settings.read(target) if target.exists() else ""
            settings.parse(text, str(file))
            new = change(text)
            if new is not None:
                settings.parse(new, str(file))
                _replace(target, new)
    except config_text.NotEditable:
        raise ConfigInvalid(
            f"{file} is written in a way that can't be changed without changing more.",
            source=str(file),
            key="nodes",
            hint="Change its section [nodes] by hand.",
        ) from None
    except OSError as error:
        _refuse(file, error)
    return new is not None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two commands at once: the second one starts from what the first has written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(target: Path, text: str) -> None:
    """Mode and owner stay; OSError where they can't, or where the file may not be written."""
    was = target.stat() if target.exists() else None
    if was is not None:
        with target.open("ab"):
            pass  # a folder that may be written is not yet the right to write this file
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
            if was is not None and (was.st_uid, was.st_gid) != _owner(out.fileno()):
                os.fchown(out.fileno(), was.st_uid, was.st_gid)
            os.fchmod(out.fileno(), _MODE if was is None else was.st_mode & 0o7777)
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _owner(descriptor: int) -> tuple[int, int]:
    made = os.fstat(descriptor)
    return made.st_uid, made.st_gid


def _refuse(file: Path, error: OSError) -> NoReturn:
    reason = error.strerror or str(error)
    hint = "Mend its permissions, or name another file in RBEE_CONFIG."
    if file == paths.config_candidates()[-1] and "RBEE_CONFIG" not in os.environ:
        own = paths.config_candidates()[0]
        hint = (
            "It is the file of the whole machine. Run the command as its owner (sudo), or copy it "
            f"to {own} first: of the two only that one would count then."
        )
    raise StateNotWritable(path=str(file), reason=reason, hint=hint) from None
