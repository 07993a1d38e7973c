"""Names for who presses Tab: at once or not at all, and never a word about what went wrong."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import RbeeError
from rbee.contract.registry import LOCAL
from rbee.keeper.core import completing

_WITHIN_S = 0.4
_LISTINGS: dict[str, Endpoint[Any, Any]] = {
    "nodes": ep.QUEEN_NODES,
    "models": ep.QUEEN_MODELS,
    "workers": ep.QUEEN_WORKERS,
}


def known(kind: str, typed: str) -> list[tuple[str, str]]:
    """The nodes, models or workers that begin as `typed`, each with what is said beside it: of the
    config file, and of the queen that runs, if she answers in time. None is started."""
    from rbee.runtime import settings

    try:
        config = settings.load()
    except RbeeError:
        config = Config()
    found = dict(completing.of_config(kind, config))
    asking = threading.Thread(target=_ask, args=(kind, config, found), daemon=True)
    asking.start()
    asking.join(_WITHIN_S)
    return completing.matching(dict(found), typed)


def others(kind: str, typed: str) -> list[tuple[str, str]]:
    """The same, but for this machine."""
    return [(name, told) for name, told in known(kind, typed) if name != LOCAL]


def _ask(kind: str, config: Config, found: dict[str, str]) -> None:
    """Whatever answers there may say whatever it likes."""
    with contextlib.suppress(Exception):
        from rbee.keeper.adapters import glance
        from rbee.keeper.settings import of
        from rbee.runtime import api_key, paths

        # A key that is not there yet is not made: no queen knows it.
        file = config.auth.api_key_file or str(Path(paths.home(), ".rbee", "api_key"))
        key = api_key.load(file)
        answer = glance.listing(of(config).queen_url, key, _LISTINGS[kind].path, _WITHIN_S)
        found.update(completing.of_queen(kind, answer))
