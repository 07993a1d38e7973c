"""The config file of a new installation: every setting with its meaning and its default.

It is generated from the contract, so it describes what the programs do. A setting that has its
default is commented out, so that it follows when a later version changes the default.
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
# A line such as #port = 8080 is a setting with its default: remove the # to change it.
# Only one config file is read, the first that exists of $RBEE_CONFIG, ~/.config/rbee/config.toml
# and /etc/rbee/config.toml. To see the effective settings: rbee-keeper config show
"""
_NODES = """\
# Other computers: rbee-keeper config set-ssh writes sections like this one; rbee-keeper setup
# add-node needs none.
#
#    [nodes.workstation]
#    ssh_host = "workstation.home.arpa"
#    ssh_user = "me"
#    ssh_key_path = "~/.ssh/id_ed25519"
#    install_path = "~/rbee"
"""
_WIDTH = 98


def text(active: Mapping[str, object] | None = None) -> str:
    """The whole file. `active` are the settings that are not commented out, such as
    `{"models.dir": "/var/lib/rbee/models"}`."""
    sections = [
        _section(name, about, active or {})
        for name, about in setting_docs.sections().items()
        if name != setting_docs.NODES
    ]
    return "\n".join([_HEAD, *sections, _NODES])


def _section(name: str, about: str, active: Mapping[str, object]) -> str:
    keys = [
        _key(setting, active.get(f"{name}.{setting.key}"))
        for setting in setting_docs.settings(name)
    ]
    return "\n".join([*_comment(about), f"[{name}]", *keys])


def _key(setting: Setting, active: object) -> str:
    """Its meaning, an example, and the setting."""
    lines = _comment(setting.meaning)
    if active is not None:
        lines.append(f"{setting.key} = {_toml(active)}")
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
        # JSON escapes like TOML, except for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
