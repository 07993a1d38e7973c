"""Which programs are judged: the installed console scripts, or what `-D queen=…` names."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(sys.executable).parent

INSTALLED = {
    "keeper": "rbee-keeper",
    "queen": "queen-rbee",
    "hive": "rbee-hive",
    "worker": "llm-worker-rbee",
}


@dataclass(frozen=True)
class Commands:
    """`replaced` holds the roles for which another command was given, as it was given."""

    replaced: Mapping[str, str]

    @classmethod
    def from_userdata(cls, userdata: Mapping[str, str]) -> "Commands":
        return cls({role: userdata[role] for role in INSTALLED if userdata.get(role)})

    def argv(self, role: str) -> list[str]:
        if role in self.replaced:
            return shlex.split(self.replaced[role])
        return [str(SCRIPTS / INSTALLED[role])]

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
