"""The breaks, as data. A file is a group; `[[break]]` is one broken promise:

    [[break]]
    name = "idle-from-the-start"
    promise = "An idle worker is stopped 300 s after its last request ended"
    proves = ["t001-45"]
    file = "rbee/hive/workers/idle.py"
    old = "row.last_activity"
    new = "row.started"
    features = ["features/leave_nothing/idle.feature"]
    scenarios = ["A worker that is working"]

`old` stands exactly once in the file. `scenarios` are beginnings of names; without them, the whole
features are run. For what only unit tests prove, `features` are files of tests, and `scenarios`
names of their functions. `survives` says why a break that nobody notices is accepted.
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from harness.running import step_sources

FOLDER = Path(__file__).parent
TREE = FOLDER.parents[1]


@dataclass(frozen=True)
class Break:
    """`proves` are numbers as in the features' tags, such as t001-45 or B3.4."""

    group: str
    name: str
    promise: str
    file: str
    old: str
    new: str
    features: Sequence[str]
    scenarios: Sequence[str] = ()
    proves: Sequence[str] = ()
    survives: str = ""

    def apply(self, tree: Path) -> None:
        """Break it in a copy of the working tree."""
        path = tree / self.file
        text = path.read_text(encoding="utf-8")
        count = text.count(self.old)
        assert count == 1, f"{self.group}/{self.name}: old stands {count} times in {self.file}"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")

    @property
    def is_for_tests(self) -> bool:
        """Whether pytest should see it, and not a scenario."""
        return all(name.endswith(".py") for name in self.features)

    @property
    def key(self) -> str:
        """Changes with the break itself, the file that it breaks, the features, and the files of
        their steps; not with the rest of the harness."""
        features = [file for name in self.features for file in _files(TREE / name)]
        files = [TREE / self.file, *features, *sorted(set().union(*map(_steps_of, features)))]
        texts = [json.dumps(asdict(self)), *map(_text, files)]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.feature")) if path.is_dir() else [path]


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def _steps_of(feature: Path) -> frozenset[Path]:
    return _all_steps().get(feature.relative_to(TREE).as_posix(), frozenset())


@cache
def _all_steps() -> dict[str, frozenset[Path]]:
    """The files of the steps, by feature."""
    found: dict[str, set[Path]] = {}
    for place, uses in step_sources.read(TREE).scenarios.items():
        feature, _, _ = place.rpartition(":")
        found.setdefault(feature, set()).update(use.step.function.file for use in uses)
    return {feature: frozenset(files) for feature, files in found.items()}


def load(groups: Sequence[str] = ()) -> list[Break]:
    """Return the breaks of these groups, or of all."""
    found = []
    for file in sorted(FOLDER.glob("*.toml")):
        if not groups or file.stem in groups:
            rows = tomllib.loads(file.read_text()).get("break", [])  # canaries.toml has none
            found += [Break(file.stem, **row) for row in rows]
    names = [(each.group, each.name) for each in found]
    assert len(set(names)) == len(names), "two breaks have the same name"
    return found
