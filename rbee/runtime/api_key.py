"""The API key of this machine: created once, and kept in a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from rbee.contract.errors import ConfigInvalid, StateNotWritable
from rbee.runtime import paths


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


def _make(path: Path) -> None:
    import secrets

    draft = path.with_name(f".api_key.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # Another program was faster; its key is the key.
        except OSError:
            draft.rename(path)  # A file system without hard links.
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StateNotWritable(path=str(path), reason=error.strerror) from None


def _read(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise ConfigInvalid(
            f"The API key file {path} can't be read: {reason}.",
            source=str(path),
            key="auth.api_key_file",
            hint="Name a file that holds the key in [auth] api_key_file, or remove that setting.",
        ) from None
    if len(key) < 8 or not key.isprintable() or " " in key:
        raise ConfigInvalid(
            f"The API key file {path} does not hold a key (one word of at least 8 characters).",
            source=str(path),
            key="auth.api_key_file",
            hint=f"Remove {path} to create a new key, then restart the daemons.",
        )
    return key
