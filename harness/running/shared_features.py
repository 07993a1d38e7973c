"""A behave that shares its features with others, in the order of the files or in a random one."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from behave.model import Feature, ScenarioOutline
from behave.runner import Runner


class SharedFeatures(Runner):  # type: ignore[misc]  # behave has no types
    """Of the features that every part is given, runs those that no other part has taken yet.

    `-D taken=FOLDER` is where a taken feature has a file; without it, all features are this part's.
    `-D order=SEED` shuffles the scenarios within each feature. Afterwards `config.broken` says
    whether more than steps went wrong: a hook failed, or the run was interrupted.
    """

    def run_model(self, features: Any = None) -> bool:
        userdata = self.config.userdata
        failed = super().run_model(self._taken(userdata.get("taken"), userdata.get("order")))
        self.config.broken = self.aborted or self.hook_failures > 0
        return bool(failed)

    def _taken(self, folder: str | None, seed: str | None) -> Iterator[Feature]:
        for number, feature in enumerate(self.features):
            if not self.aborted and (folder is None or _take(Path(folder) / str(number))):
                if seed is not None:
                    shuffle(feature, seed)
                yield feature


def shuffle(feature: Feature, seed: str) -> None:
    """Shuffle its scenarios, and the rows of each outline. The same seed gives the same order."""
    order = random.Random(f"{seed} {feature.filename}")
    order.shuffle(feature.run_items)
    for item in feature.run_items:
        if isinstance(item, ScenarioOutline):
            order.shuffle(item.scenarios)


def _take(file: Path) -> bool:
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
