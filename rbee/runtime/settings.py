"""The effective configuration: flags over environment over file over built-in defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import ConfigInvalid
from rbee.contract.registry import NodeName, NodeSettings
from rbee.contract.validation import explain
from rbee.runtime import paths

_NODES = "nodes"
_NODE_KEYS = NodeSettings.__struct_fields__
_SECTIONS: dict[str, tuple[str, ...]] = {
    name: section.__struct_fields__
    for name, section in msgspec.structs.asdict(Config()).items()
    if name != _NODES
}


def load(flags: Mapping[str, object] | None = None) -> Config:
    """Read the configuration.

    `flags` are `{"section.key": value}`; None means that the flag was not given. The first config
    file that exists counts, then variables `RBEE_<SECTION>_<KEY>`, then flags. Raises
    CONFIG_INVALID, which names the place, the key and the nearest known one.
    """
    file = config_file()
    config = parse(read(file), str(file)) if file else Config()
    for name, value in sorted(os.environ.items()):
        if key := _env_key(name):
            config = _convert(_with(config, key, _of_text(config, key, value)), name, key)
    for key, given in (flags or {}).items():
        if given is not None:
            flag = "--" + key.split(".")[1].replace("_", "-")
            config = _convert(_with(config, key, given), flag, key)
    return config


def config_file() -> Path | None:
    """The config file in use; None if there is none."""
    return next((path for path in paths.config_candidates() if path.is_file()), None)


def read(file: Path) -> str:
    """The text of a config file. Raises CONFIG_INVALID if it can't be read."""
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _no_toml(str(file), error) from None
    except OSError as error:
        raise ConfigInvalid(
            f"{file} can't be read: {error.strerror}.",
            source=str(file),
            key="",
            hint="Fix its permissions, or name another file in RBEE_CONFIG.",
        ) from None


def parse(text: str, source: str) -> Config:
    """What the text of a config file says. Raises CONFIG_INVALID."""
    return _convert(_toml(text, source), source)


def nodes() -> dict[str, dict[str, Any]]:
    """The sections [nodes.NAME] of the config file in use: the keys that are set, checked, without
    the defaults. Raises CONFIG_INVALID."""
    file = config_file()
    if file is None:
        return {}
    data = _toml(read(file), str(file))
    _convert(data, str(file))
    found: dict[str, dict[str, Any]] = data.get(_NODES, {})
    return found


def show(config: Config) -> str:
    """The effective settings as TOML; a key that is not set is left out."""
    import tomlkit

    document = tomlkit.document()
    for section, values in msgspec.to_builtins(config).items():
        document[section] = _without_unset(values)
    return tomlkit.dumps(document)


def _without_unset(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_unset(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(source, error) from None


def _no_toml(source: str, error: ValueError) -> ConfigInvalid:
    return ConfigInvalid(
        f"{source} is not valid TOML: {error}.",
        source=source,
        key="",
        hint="Correct that line, or move the file away to run with the defaults.",
    )


def _with(config: Config, key: str, value: object) -> dict[str, Any]:
    section, name = key.split(".")
    data: dict[str, Any] = msgspec.to_builtins(config)
    return {**data, section: {**data[section], name: value}}


def _of_text(config: Config, key: str, text: str) -> object:
    """The value of a variable; a list is given with commas."""
    section, name = key.split(".")
    if not isinstance(getattr(getattr(config, section), name), list):
        return text
    return [word.strip() for word in text.split(",") if word.strip()]


def _env_key(variable: str) -> str | None:
    """`RBEE_HIVE_PORT` is `hive.port`; None for a variable that is not ours."""
    prefix, _, rest = variable.partition("_")
    section, _, name = rest.lower().partition("_")
    if prefix != "RBEE" or variable == "RBEE_CONFIG":
        return None
    if section not in _SECTIONS:
        # Users may have variables that begin with RBEE_; a typo is close to a section's name.
        if _near(section, _SECTIONS, cutoff=0.7):
            raise _unknown(variable, f"{section}.{name}")
        return None
    if name not in _SECTIONS[section]:
        raise _unknown(variable, f"{section}.{name}")
    return f"{section}.{name}"


def _convert(data: dict[str, Any], source: str, key: str | None = None) -> Config:
    for section, values in data.items():
        if section == _NODES:
            _check_nodes(values, source)
            continue
        if section not in _SECTIONS:
            raise _unknown(source, section)
        for name in values if isinstance(values, dict) else ():
            if name not in _SECTIONS[section]:
                raise _unknown(source, f"{section}.{name}")
    try:
        # Lax only for environment variables, which are always text.
        return msgspec.convert(data, Config, strict=key is None)
    except msgspec.ValidationError as error:
        path, message = explain(error)
        raise _wrong(source, path, message, of_file=key is None) from None


def _check_nodes(nodes: object, source: str) -> None:
    for node, values in nodes.items() if isinstance(nodes, dict) else ():
        for name in values if isinstance(values, dict) else ():
            if name not in _NODE_KEYS:
                near = _near(name, _NODE_KEYS)
                hint = (
                    f"Did you mean {near}?" if near else f"Known settings: {', '.join(_NODE_KEYS)}."
                )
                key = f"{_NODES}.{node}.{name}"
                raise ConfigInvalid(
                    f"{source}: unknown setting {key}.", source=source, key=key, hint=hint
                )
        try:
            msgspec.convert(node, NodeName)
            msgspec.convert(values, NodeSettings)
        except msgspec.ValidationError as error:
            # msgspec does not say which node it means.
            path, message = explain(error)
            raise _wrong(
                source, f"{_NODES}.{node}" + f".{path}" * (path != "body"), message
            ) from None


def _wrong(source: str, key: str, message: str, of_file: bool = True) -> ConfigInvalid:
    return ConfigInvalid(
        f"{source}: {key} is not valid: {message}.",
        source=source,
        key=key,
        hint=f"Correct {key} in {source}." if of_file else f"Correct {source}.",
    )


def _near(name: str, known: Iterable[str], cutoff: float = 0.4) -> str | None:
    """The known name that is most like `name`, if one is like it at all."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def _unknown(source: str, key: str) -> ConfigInvalid:
    known = [f"{section}.{name}" for section, names in _SECTIONS.items() for name in names]
    near = _near(key, [*_SECTIONS, *known])
    hint = (
        f"Did you mean {near}?" if near else f"The sections are {', '.join([*_SECTIONS, _NODES])}."
    )
    return ConfigInvalid(f"{source}: unknown setting {key}.", source=source, key=key, hint=hint)
