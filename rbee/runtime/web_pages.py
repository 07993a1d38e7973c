"""What a web page in a browser may ask of a daemon: nothing, unless the operator allows it.

A page can send requests to any address that its browser reaches, and by DNS rebinding its own name
can stand for such an address. So a daemon answers only to names of its own, and to no page of
another origin. An IP address can't be rebound, and is always right.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from rbee.runtime.cors import is_allowed

# Nobody can register a name below these (RFC 6761, 6762, 8375; ICANN for "internal").
_LOCAL = (".localhost", ".local", ".internal", ".home.arpa")
_PORTS = {"http": 80, "https": 443}


def is_own_name(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names this daemon: by an IP address, as localhost or another name
    that only local networks have, or by one of `names`, in which `*.` stands for one label."""
    found = _address(host)
    if found is None:
        return False
    name = found[0].removesuffix(".")
    own = {each.lower() for each in names}
    label, _, rest = name.partition(".")
    return (
        name == "localhost"
        or name.endswith(_LOCAL)
        or _is_ip(name)
        or name in own
        or (label != "" and f"*.{rest}" in own)
    )


def is_welcome(origin: str, host: str, origins: Collection[str]) -> bool:
    """Whether a request with this `Origin` header may be answered: it comes from a page that the
    daemon itself has served under this `Host`, or from one of `origins`, or "*" is among them."""
    if is_allowed(origin, origins):
        return True
    scheme, _, address = origin.partition("://")
    usual = _PORTS.get(scheme.lower())
    here, there = _address(host), _address(address)
    if usual is None or here is None or there is None:
        return False
    return (here[0], here[1] or usual) == (there[0], there[1] or usual)


def without_port(host: str) -> str:
    """The name in `NAME` or `NAME:PORT`."""
    found = _address(host)
    return found[0] if found else host


def _address(text: str) -> tuple[str, int | None] | None:
    """The name and the port of `name:port`; None if it is something else."""
    if not text.isascii() or any(character in "/?#@\\" for character in text):
        return None
    try:
        split = urlsplit(f"//{text}")
        name, port = split.hostname, split.port
    except ValueError:
        return None
    return (name, port) if name else None


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
