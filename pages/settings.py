"""docs/reference/settings.md: each setting with what it takes, its default and its meaning."""

from __future__ import annotations

import msgspec

from pages import markdown
from rbee.contract import setting_docs
from rbee.contract.setting_docs import Setting

_HOW = """
A flag overrides an environment variable, which overrides the config file: the first of
`$RBEE_CONFIG`, `~/.config/rbee/config.toml` (or below `$XDG_CONFIG_HOME`) and
`/etc/rbee/config.toml` that exists. A setting that is given nowhere has its default. An unknown key
is an error that names the nearest known key. See also
[how to configure rbee](../how-to/configure.md).

`rbee-keeper config show` and each daemon's `--show-settings` print the settings in force.
"""


def page() -> str:
    """The whole page."""
    parts = [_section(name, about) for name, about in setting_docs.sections().items()]
    return markdown.page("Settings", "`rbee/contract/config.py`", _HOW, *parts)


def _section(name: str, about: str) -> str:
    has_variables = name != setting_docs.NODES
    heading = f"[{name}]" if has_variables else f"[{name}.NAME]"
    head = ["key", "takes", "default", "meaning"]
    if has_variables:
        head.append("environment")
    rows = [
        [
            markdown.code(setting.key),
            setting.takes,
            _default(setting.default),
            _meaning(setting),
            *([markdown.code(setting.variable or "")] if has_variables else []),
        ]
        for setting in setting_docs.settings(name)
    ]
    return f"## {heading}\n\n{about}\n\n{markdown.table(head, rows)}"


def _meaning(setting: Setting) -> str:
    if setting.example is None:
        return setting.meaning
    return f"{setting.meaning} For example {markdown.code(_toml(setting.example))}."


def _default(value: object) -> str:
    return "" if value is None else markdown.code(_toml(value))


def _toml(value: object) -> str:
    """The value as the config file has it."""
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return msgspec.json.encode(value).decode()
