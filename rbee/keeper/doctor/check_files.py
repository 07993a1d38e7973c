"""Config file, state, key, databases, disk: what is on this machine's disks."""

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


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` is the file that does, `shadowed` those which therefore don't; `error` and `advice`
    say why the settings can't be read."""

    counts: str | None
    shadowed: list[str] = []
    mode: int = 0
    error: str | None = None
    advice: str | None = None


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """`obstacle` is why nothing can be written in it; `loose` are the files in it that others may
    write; `mine`: it belongs to who asks; `group` may write it, too."""

    path: str
    exists: bool
    mode: int = 0
    mine: bool = True
    group: str | None = None
    obstacle: str | None = None
    loose: list[str] = []


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """`named`: the config file names it. `error`: why it is no key."""

    path: str
    named: bool
    exists: bool
    mode: int = 0
    error: str | None = None
    advice: str | None = None


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`damage` is what SQLite says of it."""

    name: str
    path: str
    exists: bool
    damage: str | None = None


class ModelsFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes. `partial` are downloads that wait to be gone on with."""

    folder: Folder
    free_bytes: int
    partial: dict[str, int] = {}


def config(facts: ConfigFile) -> Finding:
    if facts.error is not None:
        return problem("config", facts.error, facts.advice)
    if facts.counts is None:
        return fine("config", "no file; every setting has its default")
    if facts.mode & _OTHERS_WRITE:
        chmod = shlex.join(["chmod", "go-w", facts.counts])
        return warning("config", f"others may write {facts.counts}, and so what is started", chmod)
    others = f"; so {' and '.join(facts.shadowed)} does not" if facts.shadowed else ""
    return fine("config", f"{facts.counts} counts{others}")


def state(facts: Folder) -> Finding:
    name = "state folder"
    if facts.obstacle is not None:
        return problem(name, f"{facts.path} can't be written: {facts.obstacle}", _opened(facts))
    if not facts.exists:
        return fine(name, f"{facts.path} is not there yet; the first start makes it")
    if facts.mode & _OTHERS:
        chmod = shlex.join(["chmod", "700", facts.path])
        return problem(name, f"{facts.path} is open to others", chmod)
    if facts.loose:
        chmod = shlex.join(["chmod", "go-w", *facts.loose])
        return problem(name, f"others may write {', '.join(facts.loose)}", chmod)
    return fine(name, f"{facts.path} is for nobody else, and can be written")


def key(facts: KeyFile) -> Finding:
    name = "API key"
    if not facts.exists and not facts.named:
        return fine(name, f"{facts.path} is not there yet; the first start makes it")
    if facts.error is not None:
        return problem(name, facts.error, facts.advice)
    if facts.mode & _OTHERS:
        chmod = shlex.join(["chmod", "600", facts.path])
        return problem(name, f"others may read {facts.path}, and so use every daemon", chmod)
    return fine(name, f"{facts.path}, for nobody else to read")


def database(facts: Database) -> Finding:
    if not facts.exists:
        return fine(facts.name, f"{facts.path} is not there yet")
    if facts.damage is None:
        return fine(facts.name, f"{facts.path} is whole")
    again = {
        "catalog": "rbee-keeper models list  # puts it aside, and reads the models folder anew",
        "registry": "rbee-keeper setup list-nodes  # puts it aside; then add the nodes again",
    }
    return problem(facts.name, f"{facts.path} is damaged: {facts.damage}", again[facts.name])


def models(facts: ModelsFolder) -> list[Finding]:
    name, folder = "models folder", facts.folder
    free = f"{facts.free_bytes / _GB:.1f} GB"
    if folder.obstacle is not None:
        said = f"{folder.path} can't be written: {folder.obstacle}"
        found = problem(name, said, _shared(folder), "or name another one: [models] dir")
    elif facts.free_bytes < _TOO_LITTLE:
        usage = "rbee-keeper models disk-usage; rbee-keeper models delete MODEL"
        found = problem(name, f"only {free} are free at {folder.path}", usage)
    elif facts.free_bytes < _LITTLE:
        usage = "rbee-keeper models disk-usage"
        found = warning(name, f"only {free} are free at {folder.path}", usage)
    else:
        there = "" if folder.exists else ", which is made when a model is fetched"
        found = fine(name, f"{free} are free at {folder.path}{there}")
    if not facts.partial:
        return [found]
    size = sum(facts.partial.values()) / 1_000_000
    names = ", ".join(facts.partial)
    steps = "rbee-keeper models list; models download goes on with one, models delete removes it"
    return [found, warning("downloads", f"{names}: not whole yet, {size:.0f} MB", steps)]


def _shared(folder: Folder) -> str | None:
    """What lets one more person write models, and keeps nobody from it who did before."""
    if not folder.exists or folder.mine:
        return _opened(folder)
    if folder.group is not None:
        join = shlex.join(["sudo", "usermod", "--append", "--groups", folder.group])
        return f'{join} "$USER"  # counts from your next login on'
    return f"{share_command(folder.path)}  # counts from your next login on"


def _opened(folder: Folder) -> str | None:
    """What lets its owner write; nothing that is typed helps where the disk itself refuses."""
    if folder.exists and not folder.mine:
        return f'sudo chown -R "$USER" {shlex.quote(folder.path)}'
    if folder.exists and folder.mode & 0o300 != 0o300:
        return shlex.join(["chmod", "u+rwx", folder.path])
    return f"see who may, and which disk it is: ls -ld {_q(folder)}; df {_q(folder)}"


def _q(folder: Folder) -> str:
    return shlex.quote(folder.path)
