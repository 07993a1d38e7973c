"""The states of a node's hive, as one table: what is observed of the hive decides its next state.

The state is only as good as the last observation, so a caller that needs the hive asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

HiveState: TypeAlias = Literal["absent", "starting", "running", "draining", "unreachable"]
"""`absent`: none runs, as far as is known. `starting`: it is looked for, and started if there is
none. `running`: its events are followed. `unreachable`: one may run, but it could not be asked or
may not be used. `draining`: this queen lets go of the node for good."""

Observation: TypeAlias = Literal[
    "wanted",  # a request needs the hive
    "connected",  # its event stream is open
    "not_found",  # the node answers, and no hive of ours runs there
    "failed",  # it could not be found or started, or may not be used
    "abandoned",  # the request that needed it was canceled
    "exited",  # the process that this queen started has ended, or its connection has
    "lost",  # nothing answers where the hive was
    "closing",  # the queen ends, or the node is removed or changed
]

_FROM_ANY: Mapping[Observation, HiveState] = {
    "wanted": "starting",
    "connected": "running",
    "not_found": "absent",
    "failed": "unreachable",
    "exited": "absent",
    "lost": "unreachable",
    "closing": "draining",
}

TRANSITIONS: Mapping[HiveState, Mapping[Observation, HiveState]] = {
    "absent": {**_FROM_ANY, "abandoned": "absent", "lost": "absent"},
    "starting": {**_FROM_ANY, "abandoned": "unreachable"},
    "running": {**_FROM_ANY, "abandoned": "running"},
    "unreachable": {**_FROM_ANY, "abandoned": "unreachable"},
    # Nothing leads out of it: the node's next hive is another object.
    "draining": dict.fromkeys(get_args(Observation), "draining"),
}


def after(state: HiveState, observation: Observation) -> HiveState:
    """The state that follows from what was observed."""
    return TRANSITIONS[state][observation]
