"""Graphics cards that exist only in what an `nvidia-smi` on the world's PATH says.

It answers --query-gpu and -L as the real one does. It can also print garbage, fail as without a
driver, hang, or hang in the middle of an answer.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.ssh.node import Node
from harness.world.world import World

# Where usable_cards.py notes each worker that is started.
WORKERS = "started-workers"
BEHAVIOURS = ("well", "garbage", "a flood", "half an answer", "failure", "silence")


@dataclass(frozen=True)
class Card:
    """Memory in MiB, as nvidia-smi counts. With a total of 0 it does not report its memory."""

    name: str
    total: int
    free: int


class Cards:
    """`nvidia-smi` is there from the creation on; its behaviour can be changed at any time."""

    def __init__(self, world: World | Node, cards: list[Card], each_takes: int = 0) -> None:
        """Each worker that was started on a card takes so many MiB of it."""
        self._each_takes = each_takes
        self._workers = world.root / WORKERS
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
        """Set how it answers from now on."""
        assert behaviour in BEHAVIOURS, behaviour
        state = {
            "behaviour": behaviour,
            "cards": [asdict(card) for card in self._cards],
            "workers": str(self._workers),
            "each_takes": self._each_takes,
        }
        (self._folder / "cards.json").write_text(json.dumps(state), encoding="utf-8")

    @property
    def times_run(self) -> int:
        """How often it was run."""
        log = self._folder / "calls"
        return len(log.read_text().splitlines()) if log.exists() else 0
