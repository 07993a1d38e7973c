"""systemd's units of queen and hive."""

from __future__ import annotations

import re
import shlex

import pytest

from rbee.keeper.install.systemd import MARK, Role, UnitOptions, unit_text

USER = UnitOptions(account=None, config=None, grace_s=5)
SYSTEM = UnitOptions(account="rbee", config=None, grace_s=5)
ROLES: tuple[Role, ...] = ("queen", "hive")


def value(text: str, key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("options", [USER, SYSTEM])
def test_neither_unit_ends_or_starts_the_other(role: Role, options: UnitOptions) -> None:
    text = unit_text(role, "/bin/program", options)
    for tie in ("PartOf", "Requires", "BindsTo", "Upholds", "PropagatesStopTo", "Conflicts"):
        assert tie not in text
    assert value(text, "KillMode") == "mixed"
    assert value(text, "Restart") == "on-failure"


@pytest.mark.parametrize(("role", "graces"), [("queen", 3), ("hive", 2)])
@pytest.mark.parametrize("grace_s", [5, 0.5, 60])
def test_the_time_to_end_is_that_of_all_below(role: Role, graces: int, grace_s: float) -> None:
    text = unit_text(role, "/bin/program", UnitOptions(None, None, grace_s))
    assert float(value(text, "TimeoutStopSec")) == graces * grace_s + 10


def test_a_system_has_an_account_and_waits_for_the_network() -> None:
    text = unit_text("queen", "/bin/q", SYSTEM)
    assert value(text, "User") == "rbee"
    assert "network-online.target" in text
    assert value(text, "WantedBy") == "multi-user.target"


def test_units_of_a_person_have_neither() -> None:
    text = unit_text("queen", "/bin/q", USER)
    assert "User=" not in text
    assert "network-online" not in text
    assert value(text, "WantedBy") == "default.target"


@pytest.mark.parametrize("path", ["/a b/q", "/100%/q", '/"x"/q', "/$HOME/q", "/back\\slash/q"])
def test_a_path_with_any_characters_is_one_word(path: str) -> None:
    said = value(unit_text("queen", path, USER), "ExecStart")
    assert shlex.split(said.replace("%%", "%").replace("$", "\\$")) == [path, "daemon"]


def test_a_configured_file_is_passed_on() -> None:
    text = unit_text("hive", "/bin/h", UnitOptions(None, "/my config.toml", 5))
    assert value(text, "Environment") == '"RBEE_CONFIG=/my config.toml"'


def test_a_unit_is_marked_as_ours() -> None:
    assert unit_text("hive", "/bin/h", USER).startswith(MARK)


QUEEN_OF_A_SYSTEM = """\
# Written by rbee-keeper install --systemd.
# The command may overwrite this file. To change the unit: sudo systemctl edit queen-rbee

[Unit]
Description=queen-rbee (rbee)
Wants=network-online.target
After=network-online.target
# Only an order: a hive with a unit of its own starts first and ends last.
After=rbee-hive.service
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
User=rbee
Environment="RBEE_CONFIG=/etc/my rbee.toml"
ExecStart=/usr/local/bin/queen-rbee daemon
Restart=on-failure
RestartSec=5
# TERM goes to the queen, which ends the hives that it started, and these end their workers. \
What is left after this time is killed.
KillMode=mixed
TimeoutStopSec=17.5

[Install]
WantedBy=multi-user.target
"""
HIVE_OF_A_PERSON = """\
# Written by rbee-keeper install --systemd.
# The command may overwrite this file. To change the unit: systemctl --user edit rbee-hive

[Unit]
Description=rbee-hive (rbee)
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart=/home/me/.local/bin/rbee-hive daemon
Restart=on-failure
RestartSec=5
# TERM goes to the hive, which ends its workers. What is left after this time is killed.
KillMode=mixed
TimeoutStopSec=20

[Install]
WantedBy=default.target
"""


def test_a_whole_unit() -> None:
    system = UnitOptions("rbee", "/etc/my rbee.toml", 2.5)
    assert unit_text("queen", "/usr/local/bin/queen-rbee", system) == QUEEN_OF_A_SYSTEM
    assert unit_text("hive", "/home/me/.local/bin/rbee-hive", USER) == HIVE_OF_A_PERSON
