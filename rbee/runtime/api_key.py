"""The API key of this machine: created once, and kept in a file that only its owner can read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from rbee.contract.errors import ConfigInvalid, StateNotWritable
from rbee.gguf.regular_file import open_regular
from rbee.runtime import files, paths

# The form of a bearer token (RFC 6750), and how much is read in search of one.
_LONGEST = 512
_KEY = rf"[A-Za-z0-9._~+/-]{{8,{_LONGEST}}}=*"
_LARGEST = 4096
# Whoever reaches a daemon can try keys against a proof of it, as fast as they can hash. 24 letters
# and digits that were drawn at random are out of reach.
_LONG = 24


def load(file: str | None) -> str:
    """The key in `file`, or in `~/.rbee/api_key`, which is created at the first call.

    Two programs that start at once end up with one key: the file appears whole or not at all.
    Raises STATE_NOT_WRITABLE, and CONFIG_INVALID for a named file without a key.
    """
    if file is not None:
        return _read(Path(file).expanduser())
    path = paths.state_dir() / "api_key"
    if not path.exists():
        _make(path)
    return _read(path)


def is_short(key: str) -> bool:
    """Whether a key may be guessed: it was not made here, and is as long as a password."""
    return len(key.rstrip("=")) < _LONG


def lengthen(file: str | Path) -> str:
    """The shell command that writes a long key into `file`."""
    return f"openssl rand -hex 32 > {shlex.quote(str(file))}"


def file_of(named: str | None) -> Path:
    """The file that holds the key if the settings name `named`; it need not exist."""
    return Path(named).expanduser() if named else paths.home() / ".rbee" / "api_key"


def _make(path: Path) -> None:
    import secrets

    try:
        files.add(path, f"{secrets.token_urlsafe(32)}\n".encode())
    except OSError as error:
        raise StateNotWritable(path=str(path), reason=error.strerror) from None


def _read(path: Path) -> str:
    named = "Name a file that holds the key in [auth] api_key_file, or remove that setting."
    try:
        with open_regular(path) as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigInvalid(
            f"The API key file {path} can't be read: {error.strerror}.",
            source=str(path),
            key="auth.api_key_file",
            hint=named,
        ) from None
    if len(text) > _LARGEST or not re.fullmatch(_KEY, key := text.decode("latin-1").strip()):
        made_here = path == paths.state_dir() / "api_key"
        raise ConfigInvalid(
            f"The API key file {path} does not hold a key: one word of at least 8 characters, "
            "which are letters, digits and -._~+/=.",
            source=str(path),
            key="auth.api_key_file",
            hint=f"Remove {path} to create a new key, then restart the daemons."
            if made_here
            else named,
        )
    return key
