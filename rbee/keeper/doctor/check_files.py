"""Checks of what is on this machine's disks: config file, state, key, databases, models."""

from __future__ import annotations

import shlex

import msgspec

from rbee.keeper.doctor.findings import Finding, fine, problem, warning
from rbee.keeper.install.paths import share_command

_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_GB = 1_000_000_000
# Not even a small model fits; a usual one does not.
_TOO_LITTLE, _LITTLE = _GB // 2, 2 * _GB
_SOON_DAYS = 14


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` is the file that is read, `shadowed` are those that it hides. `error` and `advice`
    say why the settings can't be read."""

    counts: str | None
    shadowed: list[str] = []
    mode: int = 0
    error: str | None = None
    advice: str | None = None


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """`obstacle` is why nothing can be written in it, `loose` are the files in it that others may
    write. `mine`: it belongs to the person who asks. `group` may write it, too."""

    path: str
    exists: bool
    mode: int = 0
    mine: bool = True
    group: str | None = None
    obstacle: str | None = None
    loose: list[str] = []


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """`named`: the config file names it. `lengthen` is the command for a key that can be guessed.
    `error`: why it can't be used."""

    path: str
    named: bool
    exists: bool
    mode: int = 0
    lengthen: str | None = None
    error: str | None = None
    advice: str | None = None


class CertificateFile(msgspec.Struct, frozen=True, kw_only=True):
    """The queen's certificate, valid for `days` more. `mode` is that of its key. `error` and
    `advice`: why it can't be used."""

    path: str
    key: str
    mode: int = 0
    days: int = 0
    error: str | None = None
    advice: str | None = None


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`damage` is what SQLite says about it."""

    name: str
    path: str
    exists: bool
    damage: str | None = None


class ModelsFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes. `partial` are downloads that are not complete."""

    folder: Folder
    free_bytes: int
    partial: dict[str, int] = {}


def config(found: ConfigFile) -> Finding:
    if found.error is not None:
        return problem("config", found.error, found.advice)
    if found.counts is None:
        return fine("config", "no config file; every setting has its default")
    if found.mode & _OTHERS_WRITE:
        chmod = shlex.join(["chmod", "go-w", found.counts])
        said = f"others may write {found.counts}, and so choose what rbee starts"
        return warning("config", said, chmod)
    others = f"; it hides {' and '.join(found.shadowed)}" if found.shadowed else ""
    return fine("config", f"{found.counts} is read{others}")


def state(found: Folder) -> Finding:
    name = "state folder"
    if found.obstacle is not None:
        return problem(name, f"{found.path} can't be written: {found.obstacle}", _permit(found))
    if not found.exists:
        return fine(name, f"{found.path} does not exist yet; the first start creates it")
    if found.mode & _OTHERS:
        chmod = shlex.join(["chmod", "700", found.path])
        return problem(name, f"{found.path} is open to others", chmod)
    if found.loose:
        chmod = shlex.join(["chmod", "go-w", *found.loose])
        return problem(name, f"others may write {', '.join(found.loose)}", chmod)
    return fine(name, f"{found.path} is private and can be written")


def key(found: KeyFile) -> Finding:
    name = "API key"
    if not found.exists and not found.named:
        return fine(name, f"{found.path} does not exist yet; the first start creates it")
    if found.error is not None:
        return problem(name, found.error, found.advice)
    if found.mode & _OTHERS:
        chmod = shlex.join(["chmod", "600", found.path])
        return problem(name, f"others may read {found.path}, and so use every daemon", chmod)
    if found.lengthen is not None:
        said = f"the key in {found.path} is short enough to be guessed"
        return warning(name, said, f"{found.lengthen}  # then restart the daemons that use it")
    return fine(name, f"{found.path} is private")


def certificate(found: CertificateFile) -> Finding:
    name = "certificate"
    if found.error is not None:
        return problem(name, found.error, found.advice)
    if found.mode & _OTHERS:
        chmod = shlex.join(["chmod", "600", found.key])
        return problem(name, f"others may read {found.key}, and so pass for this queen", chmod)
    if found.days <= _SOON_DAYS:
        said = f"{found.path} expires in {found.days} days"
        return warning(name, said, "rbee-keeper auth certificate")
    return fine(name, f"{found.path} is valid for {found.days} more days")


def database(found: Database) -> Finding:
    if not found.exists:
        return fine(found.name, f"{found.path} does not exist yet")
    if found.damage is None:
        return fine(found.name, f"{found.path} is intact")
    repair = {
        "catalog": "rbee-keeper models list  # sets it aside and reads the models folder again",
        "registry": "rbee-keeper setup list-nodes  # sets it aside; then add the nodes again",
    }
    return problem(found.name, f"{found.path} is damaged: {found.damage}", repair[found.name])


def models(found: ModelsFolder) -> list[Finding]:
    name, folder = "models folder", found.folder
    free = f"{found.free_bytes / _GB:.1f} GB"
    if folder.obstacle is not None:
        said = f"{folder.path} can't be written: {folder.obstacle}"
        result = problem(name, said, _permit_models(folder), "or name another one: [models] dir")
    elif found.free_bytes < _TOO_LITTLE:
        usage = "rbee-keeper models disk-usage; rbee-keeper models delete MODEL"
        result = problem(name, f"only {free} free at {folder.path}", usage)
    elif found.free_bytes < _LITTLE:
        usage = "rbee-keeper models disk-usage"
        result = warning(name, f"only {free} free at {folder.path}", usage)
    else:
        missing = "" if folder.exists else ", which the first download creates"
        result = fine(name, f"{free} free at {folder.path}{missing}")
    if not found.partial:
        return [result]
    size = sum(found.partial.values()) / 1_000_000
    names = ", ".join(found.partial)
    steps = "rbee-keeper models list; models download resumes one, models delete removes it"
    return [result, warning("downloads", f"{names}: not complete yet, {size:.0f} MB", steps)]


def _permit_models(folder: Folder) -> str | None:
    """The command that lets one more account write models and takes that from no other."""
    if not folder.exists or folder.mine:
        return _permit(folder)
    if folder.group is not None:
        join = shlex.join(["sudo", "usermod", "--append", "--groups", folder.group])
        return f'{join} "$USER"  # takes effect at your next login'
    return f"{share_command(folder.path)}  # takes effect at your next login"


def _permit(folder: Folder) -> str | None:
    """The command that lets its owner write; when the disk itself refuses, none helps."""
    if folder.exists and not folder.mine:
        return f'sudo chown -R "$USER" {shlex.quote(folder.path)}'
    if folder.exists and folder.mode & 0o300 != 0o300:
        return shlex.join(["chmod", "u+rwx", folder.path])
    return f"check its owner and its disk: ls -ld {_q(folder)}; df {_q(folder)}"


def _q(folder: Folder) -> str:
    return shlex.quote(folder.path)
