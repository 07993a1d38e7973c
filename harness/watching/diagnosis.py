"""What `rbee-keeper doctor` says, read as a person reads it."""

import json
import re
from dataclasses import dataclass, field

_SIGNS = {"✓": "fine", "!": "a warning", "✗": "a problem"}
_STATES = {"ok": "fine", "warning": "a warning", "problem": "a problem"}


@dataclass
class Finding:
    name: str
    state: str
    said: str
    advice: list[str] = field(default_factory=list)


def read(text: str) -> tuple[list[Finding], dict[str, int]]:
    """The lines, and the counts of the last one."""
    found: list[Finding] = []
    *lines, last = text.splitlines()
    for line in lines:
        if line.startswith("  → "):
            found[-1].advice.append(line.removeprefix("  → "))
            continue
        sign, rest = line[0], line[2:]
        name, _, said = rest.partition(": ")
        found.append(Finding(name, _SIGNS[sign], said))
    counted = re.fullmatch(r"(\d+) problems?, (\d+) warnings?", last)
    assert counted, last
    return found, {"problems": int(counted[1]), "warnings": int(counted[2])}


def read_json(text: str) -> tuple[list[Finding], dict[str, int]]:
    document = json.loads(text)
    found = [
        Finding(each["name"], _STATES[each["state"]], each["said"], each["advice"])
        for each in document["findings"]
    ]
    return found, {name: document[name] for name in ("problems", "warnings")}


def of(findings: list[Finding], name: str, state: str) -> Finding:
    """The only one of that name and state."""
    wanted = [each for each in findings if (each.name, each.state) == (name, state)]
    assert len(wanted) == 1, (name, state, findings)
    return wanted[0]
