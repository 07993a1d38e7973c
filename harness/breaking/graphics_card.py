"""Graphics cards of which a machine has only the word: an `nvidia-smi` on the world's PATH.

It answers what the real one answers to --query-gpu and -L. It can also answer garbage, fail as
without a driver, hang for ever, or hang without end in mid-answer.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.world.world import World

BEHAVIOURS = ("well", "garbage", "a flood", "half an answer", "failure", "silence")


@dataclass(frozen=True)
class Card:
    """Memory in MiB, as nvidia-smi counts."""

    name: str
    total: int
    free: int


class Cards:
    """`nvidia-smi` from its creation on; its behaviour can be changed at any time."""

    def __init__(self, world: World, cards: list[Card]) -> None:
        self._folder = world.root / "graphics"
        self._folder.mkdir()
        self._cards = cards
        self.behave_as("well")
        program = self._folder / "nvidia-smi"
        body = Path(__file__).with_name("nvidia_smi.py").read_text(encoding="utf-8")
        program.write_text(f"#!{sys.executable} -IS\n{body}", encoding="utf-8")
        program.chmod(0o755)
        before = world.environment()["PATH"]
        world.extra_environment["PATH"] = os.pathsep.join([str(self._folder), before])

    def behave_as(self, behaviour: str) -> None:
        """How it answers from now on."""
        assert behaviour in BEHAVIOURS, behaviour
        state = {"behaviour": behaviour, "cards": [asdict(card) for card in self._cards]}
        (self._folder / "cards.json").write_text(json.dumps(state), encoding="utf-8")

    @property
    def times_run(self) -> int:
        """How often it was run."""
        log = self._folder / "calls"
        return len(log.read_text().splitlines()) if log.exists() else 0
