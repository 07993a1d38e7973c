"""The systemd units of queen and hive.

Each daemon ends in order what it owns, so TERM goes to it alone (KillMode=mixed), and it gets the
time for that: the grace periods of worker, hive and queen, one after another, and some more. What
is left then is killed. Neither unit requires the other: a hive with a unit of its own was started
by the operator, so a queen that is restarted finds it, uses it, and leaves it running.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["queen", "hive"]

UNIT_NAMES: dict[Role, str] = {"queen": "queen-rbee.service", "hive": "rbee-hive.service"}
MARK = "# Written by rbee-keeper install --systemd."
_GRACES: dict[Role, int] = {"queen": 3, "hive": 2}
_SPARE_S = 10
_ENDS: dict[Role, str] = {
    "queen": "the queen, which ends the hives that it started, and these end their workers",
    "hive": "the hive, which ends its workers",
}


class UnitOptions(msgspec.Struct, frozen=True):
    """How the units run. `account`: as which account; None is that of the person who installs them.
    `config`: the config file that RBEE_CONFIG names, if it is set."""

    account: str | None
    config: str | None
    grace_s: float

    @property
    def systemctl(self) -> str:
        return "systemctl --user" if self.account is None else "sudo systemctl"


def unit_text(role: Role, program: str, options: UnitOptions) -> str:
    """The text of the unit file. `program` is a path."""
    limit_s = _GRACES[role] * options.grace_s + _SPARE_S
    unit = ["[Unit]", f"Description={UNIT_NAMES[role].removesuffix('.service')} (rbee)"]
    if options.account is not None:
        unit += ["Wants=network-online.target", "After=network-online.target"]
    if role == "queen":
        unit += [
            "# Only an order: a hive with a unit of its own starts first and ends last.",
            f"After={UNIT_NAMES['hive']}",
        ]
    unit += ["StartLimitIntervalSec=60", "StartLimitBurst=5"]
    service = ["[Service]", "Type=exec"]
    if options.account is not None:
        service.append(f"User={options.account}")
    if options.config is not None:
        service.append(f"Environment={_word('RBEE_CONFIG=' + options.config)}")
    service += [
        f"ExecStart={_word(program)} daemon",
        "Restart=on-failure",
        "RestartSec=5",
        f"# TERM goes to {_ENDS[role]}. What is left after this time is killed.",
        "KillMode=mixed",
        f"TimeoutStopSec={limit_s:g}",
    ]
    wanted_by = "default.target" if options.account is None else "multi-user.target"
    install = ["[Install]", f"WantedBy={wanted_by}"]
    edit = f"{options.systemctl} edit {UNIT_NAMES[role].removesuffix('.service')}"
    head = [MARK, f"# The command may overwrite this file. To change the unit: {edit}"]
    return "\n\n".join("\n".join(part) for part in (head, unit, service, install)) + "\n"


def _word(text: str) -> str:
    """One word of a unit file, whatever it contains. `$` needs no escape in Environment= nor in the
    path of a program, where systemd expands no variable."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(each in text for each in " \t\"\\'") else text
