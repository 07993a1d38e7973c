"""The config file of a new installation: every setting with its meaning and its default.

Made from the contract, so that it can't say anything else than what the programs obey. A setting
that has its default is commented out, so that it follows when a later version has a better one.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping

from rbee.contract import setting_docs
from rbee.contract.setting_docs import Setting

_HEAD = """\
# The settings of rbee, for all four programs.
#
# A line such as #port = 8080 is a setting with its default: take the # away to change it.
# Only one config file counts, the first that there is of $RBEE_CONFIG, ~/.config/rbee/config.toml
# and /etc/rbee/config.toml. What is in force: rbee-keeper config show
"""
_NODES = """\
# Other computers: rbee-keeper config set-ssh writes such sections, setup add-node keeps nodes
# without them.
#
#    [nodes.workstation]
#    ssh_host = "workstation.home.arpa"
#    ssh_user = "me"
#    ssh_key_path = "~/.ssh/id_ed25519"
#    install_path = "~/rbee"
"""
_WIDTH = 98


def text(in_force: Mapping[str, object] | None = None) -> str:
    """The whole file. `in_force` are the settings that are not commented out, as
    `{"models.dir": "/var/lib/rbee/models"}`."""
    sections = [
        _section(name, about, in_force or {})
        for name, about in setting_docs.sections().items()
        if name != setting_docs.NODES
    ]
    return "\n".join([_HEAD, *sections, _NODES])


def _section(name: str, about: str, in_force: Mapping[str, object]) -> str:
    keys = [
        _key(setting, in_force.get(f"{name}.{setting.key}"))
        for setting in setting_docs.settings(name)
    ]
    return "\n".join([*_comment(about), f"[{name}]", *keys])


def _key(setting: Setting, in_force: object) -> str:
    """What it means, an example, and the setting."""
    lines = _comment(setting.meaning)
    if in_force is not None:
        lines.append(f"{setting.key} = {_toml(in_force)}")
    else:
        if setting.example is not None:
            lines.append(f"# For example: {setting.key} = {_toml(setting.example)}")
        if setting.default is not None:
            lines.append(f"#{setting.key} = {_toml(setting.default)}")
    return "\n".join(lines) + "\n"


def _comment(words: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(words, _WIDTH)]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, str):
        # JSON escapes as TOML does, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
