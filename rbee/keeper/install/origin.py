"""Where the rbee of this environment was installed from, which decides what can be new for it."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

import rbee


class Origin(msgspec.Struct, frozen=True):
    """`place` is a folder, a file, or the address of a repository of which `commit` is installed;
    `branch` is what was asked for there. `editable`: the programs run from that folder."""

    kind: Literal["index", "clone", "folder", "file", "repository"]
    place: str = ""
    editable: bool = False
    commit: str | None = None
    branch: str | None = None


class _Folder(msgspec.Struct, frozen=True):
    editable: bool = False


class _Repository(msgspec.Struct, frozen=True):
    commit_id: str
    requested_revision: str | None = None


class _Direct(msgspec.Struct, frozen=True):
    """pip's direct_url.json, which only an installation has that did not come from an index."""

    url: str
    dir_info: _Folder | None = None
    vcs_info: _Repository | None = None


def here() -> Origin:
    """Of the rbee that runs."""
    root = Path(rbee.__file__).parent.parent
    try:
        known: Distribution | None = distribution("rbee")
    except PackageNotFoundError:
        known = None
    at = None if known is None else Path(str(known.locate_file(""))).resolve()
    return origin_of(known, None if at == root.resolve() else root)


def origin_of(known: Distribution | None, running_from: Path | None) -> Origin:
    """The origin of the installed package. `running_from` is the folder of its code if that is not
    where it is installed: its installation is editable."""
    if running_from is not None:
        return _of_folder(running_from, editable=True)
    direct = _direct(known)
    if direct is None:
        return Origin("index")
    if direct.vcs_info is not None:
        asked = direct.vcs_info
        return Origin(
            "repository", direct.url, commit=asked.commit_id, branch=asked.requested_revision
        )
    path = unquote(urlsplit(direct.url).path)
    if direct.dir_info is not None:
        return _of_folder(Path(path), direct.dir_info.editable)
    return Origin("file", path)


def _of_folder(folder: Path, editable: bool) -> Origin:
    return Origin("clone" if (folder / ".git").exists() else "folder", str(folder), editable)


def _direct(known: Distribution | None) -> _Direct | None:
    text = None if known is None else known.read_text("direct_url.json")
    try:
        return None if text is None else msgspec.json.decode(text.encode(), type=_Direct)
    except (msgspec.MsgspecError, RecursionError):
        return None
