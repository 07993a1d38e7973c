"""behave's runner for one of several parts that share a list of features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from behave.model import Feature
from behave.runner import Runner


class Turns(Runner):  # type: ignore[misc]  # behave has no types
    """Runs, of the features that every part is given, those that no other part has taken yet.

    `-D taken=FOLDER`: where a feature that somebody took has a file.
    """

    def run_model(self, features: Any = None) -> bool:
        return bool(super().run_model(self._taken(Path(self.config.userdata["taken"]))))

    def _taken(self, folder: Path) -> Iterator[Feature]:
        for feature in self.features:
            if not self.aborted and _take(folder / feature.filename.replace("/", "-")):
                yield feature


def _take(file: Path) -> bool:
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
