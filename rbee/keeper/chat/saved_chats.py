"""Conversations that a person keeps under a name, each a private file."""

from __future__ import annotations

import re
from pathlib import Path

from rbee.contract.errors import InvalidRequest, StateNotWritable
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import decode
from rbee.runtime import files

_NAME = re.compile(r"[\w-][\w.-]{0,63}")


class SavedChats:
    """The conversations in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """What is saved, in the order of the alphabet."""
        return sorted(each.stem for each in self._folder.glob("*.json"))

    def save(self, name: str, content: bytes) -> Path:
        """Keep a conversation, in the place of one with the same name. Raises ValueError if it
        can't be a name, and STATE_NOT_WRITABLE."""
        path = self._path(name)
        try:
            files.make_folder(self._folder)
            files.replace(path, content)
        except OSError as error:
            raise StateNotWritable(path=str(path), reason=error.strerror or str(error)) from None
        return path

    def load(self, name: str) -> TaskRequest:
        """A conversation. Raises ValueError, which says why there is none."""
        path = self._path(name)
        try:
            return decode(path.read_bytes(), TaskRequest)
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise ValueError(f"No chat is saved as {name}. Saved chats: {known}.") from None
        except OSError as error:
            raise ValueError(f"{path} can't be read: {error.strerror}.") from None
        except InvalidRequest:
            raise ValueError(f"{path} does not hold a chat that this version reads.") from None

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise ValueError("A chat's name has up to 64 letters, digits, '.', '_' and '-'.")
        return self._folder / f"{name}.json"
