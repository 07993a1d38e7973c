"""Where files are kept on this machine, each place named once."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from pathlib import Path

from rbee.contract.errors import ConfigInvalid, ProgramFailed, StateNotWritable
from rbee.runtime.files import make_folder


def home() -> Path:
    """The person's home folder: HOME, or where that is unset or empty, as the system has it."""
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def state_dir() -> Path:
    """`~/.rbee`, created if it is missing (0700). Raises STATE_NOT_WRITABLE."""
    return _made(home() / ".rbee")


def logs_dir() -> Path:
    """The folder of the daemons' log files; it need not exist yet."""
    return home() / ".rbee" / "logs"


def log_file(program: str, name: str | None = None) -> Path:
    """The log file of a daemon under a lifeline; `name` tells workers apart."""
    stem = f"{program}-{name}" if name else program
    return _made(state_dir() / "logs") / f"{stem}.log"


def pid_file(program: str) -> Path:
    """`~/.rbee/queen-rbee.pid` and `~/.rbee/hive-rbee.pid`."""
    return state_dir() / f"{program}.pid"


def models_dir(configured: str | None = None) -> Path:
    """The folder in which models are kept; it need not exist yet."""
    if configured is not None:
        return Path(configured).expanduser().absolute()
    data = Path(os.environ.get("XDG_DATA_HOME") or home() / ".local" / "share")
    return data / "rbee" / "models"


def catalog_db(configured: str | None = None) -> Path:
    """The catalog of models, `~/.rbee/models.db`. Raises STATE_NOT_WRITABLE."""
    return Path(configured).expanduser() if configured is not None else state_dir() / "models.db"


def beehives_db(configured: str | None = None) -> Path:
    """The registry of nodes, `~/.rbee/beehives.db`. Raises STATE_NOT_WRITABLE."""
    return Path(configured).expanduser() if configured is not None else state_dir() / "beehives.db"


def keys_file() -> Path:
    """The digests of the API keys with names, `~/.rbee/keys.json`. Raises STATE_NOT_WRITABLE."""
    return state_dir() / "keys.json"


def known_hosts() -> Path:
    """The SSH host keys that the user has accepted here. Raises STATE_NOT_WRITABLE."""
    return state_dir() / "known_hosts"


def config_candidates() -> list[Path]:
    """The config files in the order in which they are looked for; only the first one counts."""
    if named := os.environ.get("RBEE_CONFIG"):
        if not Path(named).is_file():
            raise ConfigInvalid(
                f"RBEE_CONFIG names {named}, which is not a file.",
                source="RBEE_CONFIG",
                key=named,
                hint="Correct the path, or unset RBEE_CONFIG.",
            )
        return [Path(named)]
    return [config_home() / "rbee" / "config.toml", system_config()]


def config_home() -> Path:
    """The folder of a person's settings for all their programs."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or home() / ".config")


def system_config() -> Path:
    """The config file of the whole machine."""
    return Path("/etc/rbee/config.toml")


def program(name: str, configured: str | None = None) -> list[str]:
    """The command that starts one of our programs: the configured one, split as a shell would,
    else the one of this installation, else the one on PATH. Raises CONFIG_INVALID and
    PROGRAM_FAILED."""
    if configured is not None:
        return _split(name, configured)
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else _on_path(name)
    if found is None:
        raise ProgramFailed(
            f"The program {name} was not found beside {sys.executable} or on PATH.",
            program=name,
            reason="not installed",
        )
    return [found]


def _on_path(name: str) -> str | None:
    import shutil

    return shutil.which(name)


def _split(name: str, configured: str) -> list[str]:
    try:
        words = shlex.split(configured)
    except ValueError as error:
        words, reason = [], str(error)
    else:
        reason = "it is empty"
    if not words:
        raise ConfigInvalid(
            f"The command {configured!r} for {name} can't be read: {reason}.",
            source="config",
            key="command",
            hint="Write it as you would type it in a shell.",
        )
    return words


def _made(folder: Path) -> Path:
    try:
        make_folder(folder)
    except OSError as error:
        raise StateNotWritable(path=str(folder), reason=error.strerror) from None
    return folder
