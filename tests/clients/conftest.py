"""A queen for the tests with other people's packages, and what their standard suites ask for.

The tests of this folder share the queen, and what it has loaded, so none may change what others
see. With pytest-xdist those of one file do (`pytest_xdist_make_scheduler` one folder above).
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest

if TYPE_CHECKING:
    from harness.world.world import World

# `harness` is not installed: it is found in this checkout.
sys.path.append(str(Path(__file__).parents[2]))


@dataclass(frozen=True)
class Queen:
    """A persistent queen in a world of the harness. `url` has no path."""

    url: str
    key: str
    world: World


@pytest.fixture(scope="package")
def queen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queen]:
    """Ended after the last test of this folder, with all that it has started. What it leaves
    running is an error. The kernel ends it if this process is killed."""
    from harness.model_files.cache import ModelFiles
    from harness.world.commands import Commands
    from harness.world.evidence import Evidence
    from harness.world.world import World

    models = ModelFiles()
    world = World(Commands({}), models, Evidence(tmp_path_factory.mktemp("evidence"), "clients"))
    atexit.register(world.kill_all)
    passed = False
    try:
        world.command_prefix = ["setpriv", "--pdeathsig", "TERM"]
        world.start_daemon("queen-rbee daemon")
        yield Queen(world.queen_url, world.key, world)
        passed = True
    finally:
        atexit.unregister(world.kill_all)
        world.end(judge=passed)
        models.close()


# The standard suites of langchain-tests measure times, record replies, and compare what a class
# of LangChain looks like as JSON. None of it is about rbee.


@pytest.fixture
def benchmark() -> Callable[[Callable[[], object]], object]:
    """Run it, without measuring."""
    return lambda run: run()


@pytest.fixture
def vcr() -> None:
    """Nothing is recorded."""


@pytest.fixture
def snapshot() -> Callable[..., Any]:
    """Any value is right."""
    return lambda **_: ANY
