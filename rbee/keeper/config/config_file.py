"""Changes the config file that is read, as a whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from rbee.contract.errors import ConfigInvalid, StateNotWritable
from rbee.keeper.config import toml_edit
from rbee.runtime import files, paths, settings


def set_node(
    name: str, values: Mapping[str, object], candidates: Sequence[Path] | None = None
) -> Path:
    """Write the keys `values` into [nodes.NAME], in a new file if there is none. Returns its path.
    The file is the first that exists of the `candidates`, which by default are the usual ones.

    Raises CONFIG_INVALID if the file is not valid, or would not be, and STATE_NOT_WRITABLE.
    """
    candidates = candidates or paths.config_candidates()
    file = next((each for each in candidates if each.is_file()), candidates[0])
    _edit(file, candidates, lambda text: toml_edit.with_node(text, name, values))
    return file


def set_section(section: str, values: Mapping[str, object]) -> Path:
    """Write the keys `values` into a section, in a new file if there is none. Returns its path.
    Raises the same errors as `set_node`."""
    candidates = paths.config_candidates()
    file = next((each for each in candidates if each.is_file()), candidates[0])
    _edit(file, candidates, lambda text: toml_edit.with_values(text, section, values))
    return file


def remove_node(name: str) -> Path | None:
    """Remove [nodes.NAME] from the file. Returns its path, or None if no file has that section.
    Raises the same errors as `set_node`."""
    file, candidates = settings.config_file(), paths.config_candidates()
    if file is None:
        return None
    changed = _edit(file, candidates, lambda text: toml_edit.without_node(text, name))
    return file if changed else None


def _edit(file: Path, candidates: Sequence[Path], change: Callable[[str], str | None]) -> bool:
    """Write the changed text; False if `change` returns None."""
    target = Path(os.path.realpath(file))  # a link stays a link
    try:
        files.make_folder(target.parent)
        with _locked(target.parent):
            text = settings.read(target) if target.exists() else ""
            settings.parse(text, str(file))
            new = change(text)
            if new is not None:
                settings.parse(new, str(file))
                _replace(target, new)
    except toml_edit.NotEditable:
        raise ConfigInvalid(
            f"{file} is written in a way that rbee can't change without changing more.",
            source=str(file),
            key="",
            hint="Change it in an editor.",
        ) from None
    except OSError as error:
        _refuse(file, candidates, error)
    return new is not None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Of two commands at once, the second starts from what the first has written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(target: Path, text: str) -> None:
    """Mode and owner stay. Raises OSError if they can't, or if the file may not be written."""
    was = target.stat() if target.exists() else None
    if was is not None:
        # A folder that may be written does not permit writing this file.
        os.close(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
            if was is not None:
                os.fchown(out.fileno(), was.st_uid, was.st_gid)
            os.fchmod(out.fileno(), files.PRIVATE_FILE if was is None else was.st_mode & 0o7777)
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _refuse(file: Path, candidates: Sequence[Path], error: OSError) -> NoReturn:
    reason = error.strerror or str(error)
    hint = "Fix its permissions, or name another file in RBEE_CONFIG."
    own, *others = candidates
    if file in others:
        hint = (
            "It is the file of the whole machine. Run the command as its owner (sudo), or first "
            f"copy it to {own}, which will then be read instead."
        )
    raise StateNotWritable(path=str(file), reason=reason, hint=hint) from None
