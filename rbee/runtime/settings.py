"""The effective configuration: flags over environment over file over what is built in."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import ConfigInvalid
from rbee.contract.validation import explain
from rbee.runtime import paths

_SECTIONS: dict[str, tuple[str, ...]] = {
    field.name: tuple(inner.name for inner in msgspec.structs.fields(field.type))
    for field in msgspec.structs.fields(Config)
}


def load(flags: Mapping[str, object] | None = None) -> Config:
    """Read the configuration.

    `flags` are `{"section.key": value}`; None means that the flag was not given. The first config
    file that exists counts, then variables `RBEE_<SECTION>_<KEY>`, then flags. Raises
    CONFIG_INVALID, which names the place, the key and the nearest known one.
    """
    file = config_file()
    config = _convert(_read(file), str(file)) if file else Config()
    for name, value in sorted(os.environ.items()):
        if key := _env_key(name):
            config = _convert(_with(config, key, value), name, key)
    for key, given in (flags or {}).items():
        if given is not None:
            flag = "--" + key.split(".")[1].replace("_", "-")
            config = _convert(_with(config, key, given), flag, key)
    return config


def config_file() -> Path | None:
    """The config file that counts; None where there is none."""
    return next((path for path in paths.config_candidates() if path.is_file()), None)


def show(config: Config) -> str:
    """The effective settings as TOML; a key that is not set is left out."""
    import tomlkit

    document = tomlkit.document()
    for section, values in msgspec.to_builtins(config).items():
        document[section] = {key: value for key, value in values.items() if value is not None}
    return tomlkit.dumps(document)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"{file} is no valid TOML: {error}.",
            source=str(file),
            key="",
            hint="Correct that line, or move the file away to run with the defaults.",
        ) from None
    except OSError as error:
        raise ConfigInvalid(
            f"{file} can't be read: {error.strerror}.",
            source=str(file),
            key="",
            hint="Mend its permissions, or name another file in RBEE_CONFIG.",
        ) from None


def _with(config: Config, key: str, value: object) -> dict[str, Any]:
    section, name = key.split(".")
    data: dict[str, Any] = msgspec.to_builtins(config)
    return {**data, section: {**data[section], name: value}}


def _env_key(variable: str) -> str | None:
    """`RBEE_HIVE_PORT` is `hive.port`; None for a variable that is none of ours."""
    prefix, _, rest = variable.partition("_")
    section, _, name = rest.lower().partition("_")
    if prefix != "RBEE" or variable == "RBEE_CONFIG":
        return None
    if section not in _SECTIONS:
        # Somebody's own variable may begin with RBEE_; a typo is near to a section.
        if difflib.get_close_matches(section, _SECTIONS, cutoff=0.7):
            raise _unknown(variable, f"{section}.{name}")
        return None
    if name not in _SECTIONS[section]:
        raise _unknown(variable, f"{section}.{name}")
    return f"{section}.{name}"


def _convert(data: dict[str, Any], source: str, key: str | None = None) -> Config:
    for section, values in data.items():
        if section not in _SECTIONS:
            raise _unknown(source, section)
        for name in values if isinstance(values, dict) else ():
            if name not in _SECTIONS[section]:
                raise _unknown(source, f"{section}.{name}")
    try:
        # Lax only for texts, which is all that an environment variable can be.
        return msgspec.convert(data, Config, strict=key is None)
    except msgspec.ValidationError as error:
        path, message = explain(error)
        raise ConfigInvalid(
            f"{source}: {path} is not valid: {message}.",
            source=source,
            key=path,
            hint=f"Correct {path} in {source}." if key is None else f"Correct {source}.",
        ) from None


def _unknown(source: str, key: str) -> ConfigInvalid:
    known = [f"{section}.{name}" for section, names in _SECTIONS.items() for name in names]
    near = difflib.get_close_matches(key, [*_SECTIONS, *known], n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"The sections are {', '.join(_SECTIONS)}."
    return ConfigInvalid(f"{source}: {key} is no setting.", source=source, key=key, hint=hint)
