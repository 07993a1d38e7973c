"""The attacks that once worked, each with the name by which `--case` runs it.

A case is a function with a scene. Its docstring says what the attacker does; what must not happen
is what it expects. `own` cases boot what they need in a world of their own; the others share the
queen, the hive and the worker of one world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.attack.scene import Scene
from harness.attack.verdict import Bounds

Attack: TypeAlias = Callable[[Scene], None]


@dataclass(frozen=True)
class Case:
    """`slow`: it takes more than some seconds, which is for the night."""

    name: str
    attack: Attack
    own: bool = False
    slow: bool = False
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def about(self) -> str:
        return " ".join((self.attack.__doc__ or "").split())


def case(
    name: str, own: bool = False, slow: bool = False, bounds: Bounds | None = None
) -> Callable[[Attack], Case]:
    """Make a case of an attack."""

    def make(attack: Attack) -> Case:
        return Case(name, attack, own, slow, bounds or Bounds())

    return make


def all_cases() -> list[Case]:
    """In the order in which they run: the shared programs first, then worlds of their own."""
    from harness.attack.cases import (
        connections,
        headers,
        hub,
        models_folder,
        named_files,
        pages,
        shown,
        strangers,
        work,
    )

    modules = (
        pages,
        connections,
        named_files,
        models_folder,
        headers,
        shown,
        work,
        hub,
        strangers,
    )
    found = [each for module in modules for each in vars(module).values() if isinstance(each, Case)]
    return sorted(found, key=lambda each: each.own)
