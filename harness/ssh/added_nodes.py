"""Nodes that somebody has added: the first one of a run by hand, the later ones as copies."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.ssh.node import Node
from harness.world.world import World


@dataclass(frozen=True)
class _Left:
    """What adding a node left in ~/.rbee: the registry, in which nothing is of this world alone,
    and the host key that was accepted, with the node's address."""

    registry: bytes
    known_hosts: str
    address: str
    key: str


class AddedNodes:
    """Adding a node starts four programs. A world gets what that left in the first world, with the
    address and the host key of its own node; its own programs read it as always."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, int], _Left] = {}

    def add(self, world: World, node: Node, by_hand: Callable[[], None]) -> None:
        """`by_hand` is called if there is nothing to copy, or if this world has a state already."""
        state = world.home / ".rbee"
        place = node.name, node.port
        if state.exists():
            by_hand()
        elif place in self._left:
            world.ensure_key()
            left = self._left[place]
            (state / "beehives.db").write_bytes(left.registry)
            known = state / "known_hosts"
            known.touch(mode=0o600)
            line = left.known_hosts.replace(left.address, node.address)
            known.write_text(line.replace(left.key, _public_key(node)))
        else:
            by_hand()
            registry = (state / "beehives.db").read_bytes()
            assert str(world.root).encode() not in registry, "the registry names this world"
            known_hosts = (state / "known_hosts").read_text()
            self._left[place] = _Left(registry, known_hosts, node.address, _public_key(node))


def _public_key(node: Node) -> str:
    return str(node.server.host_key.export_public_key().split()[1].decode())
