"""What every test needs: a home folder of its own, and none of this machine's settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.scheduler.loadscope import LoadScopeScheduling

# Those of one file share a queen: pytest-xdist gives them to one process, and each file to another,
# since they take longest.
_SHARING = "tests/clients/"

# A busy machine must not turn a slow example into a failed test.
settings.register_profile(
    "rbee",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("rbee")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and an environment that says nothing to rbee."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("RBEE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Every test is given out alone, but for those that share a queen. (pytest-xdist 3.8 ignores
    its own `xdist_group` with pytest 9.2.)"""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0] if nodeid.startswith(_SHARING) else nodeid

    return Scheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """The numbers that a test proves stand in `--junitxml`, for `python -m harness.conformance`."""
    for marker in item.iter_markers("behaviour"):
        item.user_properties.extend(("behaviour", number) for number in marker.args)
