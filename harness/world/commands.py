"""Which programs are judged: the installed console scripts, or what `-D queen=…` names.

Daemons that are named are started by env(1), which puts their role in their environment: a wrapper
that replaces itself by another program leaves no trace in the command line.
"""

import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.world.processes import command_line
from harness.world.settings import Sections

SCRIPTS = Path(sys.executable).parent

INSTALLED = {
    "keeper": "rbee-keeper",
    "queen": "queen-rbee",
    "hive": "rbee-hive",
    "worker": "llm-worker-rbee",
}


_ENV, _ROLE = "/usr/bin/env", "HARNESS_ROLE"


@dataclass(frozen=True)
class Commands:
    """`replaced` holds the roles for which another command was given, as it was given."""

    replaced: Mapping[str, str]

    @classmethod
    def from_userdata(cls, userdata: Mapping[str, str]) -> "Commands":
        return cls({role: userdata[role] for role in INSTALLED if userdata.get(role)})

    def argv(self, role: str) -> list[str]:
        if role not in self.replaced:
            return [str(SCRIPTS / INSTALLED[role])]
        given = shlex.split(self.replaced[role])
        return given if role == "keeper" else [_ENV, f"{_ROLE}={role}", *given]

    def settings(self) -> Sections:
        """What a config file says, so that the programs start the judged ones."""
        roles = [role for role in self.replaced if role != "keeper"]
        return {role: {"command": shlex.join(self.argv(role))} for role in roles}

    def runs(self, role: str, argument: str, process: psutil.Process) -> bool:
        """Whether it runs the program of a daemon, with this argument.

        While it is still env(1), its environment is that of who starts it.
        """
        words = command_line(process)
        if role in self.replaced:
            there = argument in words and words[0] != _ENV
            return there and process.environ().get(_ROLE) == role
        wanted = [*self.argv(role), argument]
        places = range(len(words) - len(wanted) + 1)
        return any(words[place : place + len(wanted)] == wanted for place in places)

    def is_starting(self, process: psutil.Process) -> bool:
        """Whether it is no program yet: it has just been forked, is still env(1), or is gone."""
        return command_line(process)[:1] in ([], [_ENV])

    def resolve(self, line: str) -> list[str]:
        """Split a feature's command line and replace one of our programs by the judged one; other
        programs stay."""
        name, *arguments = shlex.split(line)
        roles = {program: role for role, program in INSTALLED.items()}
        program = self.argv(roles[name]) if name in roles else [name]
        return [*program, *arguments]

    def in_shell(self, line: str) -> str:
        """Return the line for a shell, in which the programs' names run the judged ones."""
        names = {name: shlex.join(self.argv(role)) for role, name in INSTALLED.items()}
        return "\n".join([*(f'{name}() {{ {argv} "$@"; }}' for name, argv in names.items()), line])

    def missing(self) -> list[str]:
        return [
            str(SCRIPTS / name)
            for role, name in INSTALLED.items()
            if role not in self.replaced and not (SCRIPTS / name).exists()
        ]


def options(argv: Iterable[str]) -> dict[str, str]:
    """Return each option with its value; a flag has the empty string. Order does not matter."""
    found: dict[str, str] = {}
    last = ""
    for word in argv:
        if word.startswith("--"):
            last, _, value = word[2:].partition("=")
            found[last] = value
        elif last:
            found[last] = word
            last = ""
    return found
