"""Decide which host keys are trusted: those that a person accepted, and those that ssh knows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.errors import StateNotWritable
from rbee.runtime import paths

if TYPE_CHECKING:
    import asyncssh


class Stranger(msgspec.Struct, frozen=True):
    """A host key that is not trusted. `changed`: another one is known for that host."""

    host: str
    key_type: str
    fingerprint: str
    changed: bool


class HostKeys:
    """What is known for one connection. `stranger` is the key that was refused, if one was."""

    def __init__(self, theirs: Sequence[str], accept: str | None) -> None:
        """`theirs` are the known_hosts files of ssh, `accept` the fingerprint of a key to trust
        from now on. Raises ValueError for a file that can't be read."""
        import asyncssh

        files = [paths.known_hosts(), *(Path(name).expanduser() for name in theirs)]
        self._known = asyncssh.read_known_hosts([str(file) for file in files if file.is_file()])
        self._accept = accept
        self.stranger: Stranger | None = None

    @property
    def known(self) -> asyncssh.SSHKnownHosts:
        return self._known

    def judge(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether a key that is not among the known ones may be trusted. A key that the person
        accepts is stored. Raises STATE_NOT_WRITABLE."""
        fingerprint = key.get_fingerprint()
        (trusted, *_) = self._known.match(host, addr, port)
        if not trusted and self._accept is not None and _same(self._accept, fingerprint):
            _keep(host, port, key)
            return True
        name = key.get_algorithm()
        self.stranger = Stranger(host, name, fingerprint, changed=bool(trusted))
        return False


def _same(one: str, other: str) -> bool:
    return one.rstrip("=") == other.rstrip("=")


def _keep(host: str, port: int, key: asyncssh.SSHKey) -> None:
    pattern = host if port == 22 else f"[{host}]:{port}"
    words = key.export_public_key("openssh").decode().split()[:2]
    file = paths.known_hosts()
    try:
        known = file.read_bytes() if file.exists() else b""
        # An editor may have left the last line without its end.
        end = "\n" if known and not known.endswith(b"\n") else ""
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(end + " ".join([pattern, *words]) + "\n")
    except OSError as error:
        raise StateNotWritable(path=str(file), reason=error.strerror) from None
