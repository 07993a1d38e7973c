"""How a daemon proves that it knows a key, before anybody shows it the key.

A client asks `GET /v1/auth/proof` with a nonce that it uses once, and with the address that it has
dialed. The answer is an HMAC of both, which nobody can make without the key. A daemon answers only
for addresses of its own, so a program in between can't pass another daemon's proof on. Loopback
addresses are the same on every machine, so the machine is asked for with them.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

from rbee.contract.hashing import hmac_sha256

LABEL = "rbee proof 1: the daemon knows the key"

# What a proof is made for. A nonce has 128 bits or more, in hex.
_Nonce = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{2}){16,64}\Z")]
_Place = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,300}\Z")]
_KeyId = Annotated[str, Meta(pattern=r"^[a-z0-9]{0,64}\Z")]
_Machine = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{32})?\Z")]


class ProofWanted(msgspec.Struct, frozen=True):
    """The query of GET /v1/auth/proof: what the proof is to be made for. `machine` is where the
    client is, if `address` is a loopback address and the client can tell."""

    nonce: _Nonce
    address: _Place
    host: _Place
    key_id: _KeyId = ""
    machine: _Machine = ""


class Proof(msgspec.Struct, frozen=True):
    """GET /v1/auth/proof: which program this is, whether it wants a key at all, and the proof that
    it knows the key, in hex; `proof` is null if there is no such key."""

    program: str
    wants_key: bool
    proof: str | None


def proof_of(digest: bytes, program: str, wanted: ProofWanted) -> str:
    """The proof that who makes it knows the key with this SHA-256, in hex. No client makes one, so
    none can be lured into making it for somebody else."""
    return hmac_sha256(digest, message(program, wanted)).hex()


def message(program: str, wanted: ProofWanted) -> bytes:
    """What is signed: each part after its length in four bytes, so that no two messages agree."""
    asked = (wanted.nonce, wanted.address, wanted.host, wanted.key_id, wanted.machine)
    parts = (LABEL, program, *asked)
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4) + part for part in encoded)


def endpoint_of(host: str, port: int) -> str:
    """An end of a connection as `IP:PORT` or `[IP]:PORT`, the same for every spelling."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


def is_loopback(endpoint: str) -> bool:
    """Whether an end of a connection, spelled as `endpoint_of` does, is on every machine."""
    return ipaddress.ip_address(_bare(endpoint.rpartition(":")[0])).is_loopback


def is_own_address(
    wanted: ProofWanted, own: tuple[str, int], declared: frozenset[str], machine: str
) -> bool:
    """Whether the address that a client has dialed is the daemon's: that of the connection itself,
    `own`, or one of the `declared` ones, at which a proxy or a router stands for it. They are
    `HOST:PORT`, or an IP address, which means the same port. A mere name means none: it may stand
    for several machines. So does a loopback address: it is the daemon's only on its own `machine`,
    as far as both know theirs."""
    addresses, names = set(), set()
    here = endpoint_of(*own)
    if not is_loopback(here) or wanted.machine == machine or not (wanted.machine and machine):
        addresses.add(here)
    for each in declared:
        name, _, port = each.rpartition(":")
        if _is_ip(each):
            addresses.add(endpoint_of(_bare(each), own[1]))
        elif port.isdecimal() and _is_ip(name):
            addresses.add(endpoint_of(_bare(name), int(port)))
        elif port.isdecimal() and name:
            names.add(each.lower())
    return wanted.address in addresses or wanted.host in names


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(_bare(text))
    except ValueError:
        return False
    return True


def _bare(text: str) -> str:
    return text.removeprefix("[").removesuffix("]")
