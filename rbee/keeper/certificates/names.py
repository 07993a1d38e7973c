"""What this machine is called: the names and addresses that its certificate is for."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import TypeAlias

import msgspec
import psutil

from rbee.contract.errors import InvalidRequest

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# A label may have an underscore in home networks, whatever RFC 1123 says.
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_-]{1,63})*")
# Nobody can register a name below these (RFC 6761, 6762, 8375; ICANN for "internal").
_LOCAL = ("localhost", "local", "internal", "home.arpa")
# Addresses that nobody has on the internet: loopback, private, link-local, shared (RFC 6890).
_PRIVATE = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
    *("100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10"),
)


class Names(msgspec.Struct, frozen=True):
    """DNS names, in lower case and ASCII, and IP addresses."""

    dns: list[str]
    ips: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.dns, *self.ips]

    def __or__(self, other: Names) -> Names:
        """Each of both once, in order."""
        return Names(
            list(dict.fromkeys([*self.dns, *other.dns])),
            list(dict.fromkeys([*self.ips, *other.ips])),
        )


def of_machine(host: str) -> Names:
    """The names of this machine, with its addresses and `host`, which the queen listens on; none
    that may be a top-level domain."""
    own = socket.gethostname().lower().rstrip(".")
    short = own.partition(".")[0]
    names = ["localhost", own, f"{short}.local", "127.0.0.1", "::1", host, *_addresses()]
    found = _sorted(names)
    return Names([each for each in found.dns if not _is_bare(each)], found.ips)


def given(names: Iterable[str]) -> Names:
    """The names that a person has typed. Raises INVALID_REQUEST for one that can't be certified."""
    found = list(names)
    for name in found:
        encoded = _ascii(name)
        if _is_ip(name):
            continue
        if encoded is None:
            message = f"Expected a host name or an IP address, not {name!r}"
            raise InvalidRequest.of("--name", "a host name or an IP address", message, name)
        if _is_bare(encoded):
            message = (
                f"{name} may be a top-level domain: a CA for it could sign for all of its names"
            )
            hint = f"Use a name with a dot, such as --name {encoded}.local, or an IP address."
            raise InvalidRequest.of("--name", "a name with a dot", message, name, hint)
    return _sorted(found)


def domains(names: Names) -> list[str]:
    """The DNS names at and below which the CA of this machine may sign."""
    local = tuple(f".{each}" for each in _LOCAL)
    own = [each for each in names.dns if not _is_bare(each) and not each.endswith(local)]
    return list(dict.fromkeys((*_LOCAL, *own)))


def networks(names: Names) -> list[Network]:
    """The addresses for which the CA of this machine may sign."""
    private: list[Network] = [ipaddress.ip_network(each) for each in _PRIVATE]
    own = [ipaddress.ip_network(each) for each in names.ips]
    return private + [each for each in own if not _in_any(each, private)]


def _in_any(network: Network, others: Iterable[Network]) -> bool:
    address = network.network_address
    return any(address in other for other in others)


def _sorted(found: Iterable[str]) -> Names:
    """Each once. What is neither a name nor an address that others can reach is left out."""
    dns, ips = [], []
    for each in found:
        if _is_ip(each):
            ips.append(str(ipaddress.ip_address(each)))
        elif (name := _ascii(each)) is not None:
            dns.append(name)
    everywhere = ("0.0.0.0", "::")
    return Names(
        list(dict.fromkeys(dns)), [each for each in dict.fromkeys(ips) if each not in everywhere]
    )


def _addresses() -> list[str]:
    """The addresses of this machine's interfaces, without those that need a zone (`fe80::1%eth0`),
    which no URL has."""
    found = [each.address for group in psutil.net_if_addrs().values() for each in group]
    return [each for each in found if _is_ip(each) and not ipaddress.ip_address(each).is_link_local]


def _ascii(name: str) -> str | None:
    """The name as certificates have it; None if it is not a host name."""
    with contextlib.suppress(UnicodeError):
        encoded = name.lower().rstrip(".").encode("idna").decode()
        return encoded if _NAME.fullmatch(encoded) else None
    return None


def _is_bare(name: str) -> bool:
    """Whether it has no dot, and so may be a top-level domain: a CA that may sign for `ai` may sign
    for bank.ai."""
    return "." not in name and name not in _LOCAL


def _is_ip(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version > 0 and "%" not in text
    except ValueError:
        return False
