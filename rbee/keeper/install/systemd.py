"""The systemd units of queen and hive.

Each daemon ends in order what it owns, so TERM goes to it alone (KillMode=mixed), and it gets the
time for that: a worker's grace, a hive's, a queen's, one after the other, and some air. What is
still there then is killed. Neither unit requires the other: a hive that has a unit of its own was
started by the operator, so a queen that is restarted finds it, uses it, and leaves it alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["queen", "hive"]

NAMES: dict[Role, str] = {"queen": "queen-rbee.service", "hive": "rbee-hive.service"}
MARK = "# Written by rbee-keeper install --systemd."
_GRACES: dict[Role, int] = {"queen": 3, "hive": 2}
_AIR_S = 10
_ENDS: dict[Role, str] = {
    "queen": "her, who ends the hives that she started, and these their workers",
    "hive": "the hive, which ends its workers",
}


class Place(msgspec.Struct, frozen=True):
    """Where units run. `account`: whose; None is that of the person whose units they are.
    `config`: the config file that RBEE_CONFIG names, if it does."""

    account: str | None
    config: str | None
    grace_s: float

    @property
    def systemctl(self) -> str:
        return "systemctl --user" if self.account is None else "sudo systemctl"


def unit(role: Role, program: str, place: Place) -> str:
    """The unit's file. `program` is a path."""
    limit_s = _GRACES[role] * place.grace_s + _AIR_S
    unit = ["[Unit]", f"Description={NAMES[role].removesuffix('.service')} (rbee)"]
    if place.account is not None:
        unit += ["Wants=network-online.target", "After=network-online.target"]
    if role == "queen":
        unit += [
            "# Only an order: a hive with a unit of its own is there first, and outlives her.",
            f"After={NAMES['hive']}",
        ]
    unit += ["StartLimitIntervalSec=60", "StartLimitBurst=5"]
    service = ["[Service]", "Type=exec"]
    if place.account is not None:
        service.append(f"User={place.account}")
    if place.config is not None:
        service.append(f"Environment={_word('RBEE_CONFIG=' + place.config)}")
    service += [
        f"ExecStart={_word(program)} daemon",
        "Restart=on-failure",
        "RestartSec=5",
        f"# TERM is for {_ENDS[role]}. What is left after that time is killed.",
        "KillMode=mixed",
        f"TimeoutStopSec={limit_s:g}",
    ]
    wanted_by = "default.target" if place.account is None else "multi-user.target"
    install = ["[Install]", f"WantedBy={wanted_by}"]
    edit = f"{place.systemctl} edit {NAMES[role].removesuffix('.service')}"
    head = [MARK, f"# It may write it anew. What you want otherwise: {edit}"]
    return "\n\n".join("\n".join(part) for part in (head, unit, service, install)) + "\n"


def _word(text: str) -> str:
    """One word of systemd's, whatever stands in it. `$` is itself in Environment=, and in the path
    of a program, which may be no variable."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(each in text for each in " \t\"\\'") else text
