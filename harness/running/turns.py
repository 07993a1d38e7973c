"""behave's runner for one of several parts that share a list of features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from behave.model import Feature
from behave.runner import Runner


class Turns(Runner):  # type: ignore[misc]  # behave has no types
    """Runs, of the features that every part is given, those that no other part has taken yet.

    `-D taken=FOLDER`: where a feature that somebody took has a file. Afterwards `config.broken`
    says whether more went wrong than steps: a hook did, or it was broken off.
    """

    def run_model(self, features: Any = None) -> bool:
        failed = super().run_model(self._taken(Path(self.config.userdata["taken"])))
        self.config.broken = self.aborted or self.hook_failures > 0
        return bool(failed)

    def _taken(self, folder: Path) -> Iterator[Feature]:
        for number, feature in enumerate(self.features):
            if not self.aborted and _take(folder / str(number)):
                yield feature


def _take(file: Path) -> bool:
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
