"""A client of another make, which asks a daemon for the proof that it has the key, and checks it.

It follows the text of the reference and nothing else.
"""

import hashlib
import hmac
import struct
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from harness.world.http_client import Reply, call

_LABEL = "rbee proof 1: the daemon knows the key"
NONCE = "0123456789abcdef" * 2
ELSEWHERE = "fedcba9876543210" * 2


def here() -> str:
    """The machine on which all programs of a scenario run."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    network = Path("/proc/self/ns/net").stat().st_ino
    return hashlib.sha256(f"{boot}:{network}".encode()).hexdigest()[:32]


def ask(url: str, address: str | None = None, machine: str | None = None) -> Reply:
    """Ask the daemon for a proof, for its own address or for another one, as a client that is on
    `machine`, or does not say where it is."""
    where = address or urlsplit(url).netloc
    asked = {"nonce": NONCE, "address": where, "host": where, "key_id": ""}
    if machine is not None:
        asked["machine"] = machine
    return call("GET", f"{url}/v1/auth/proof?{urlencode(asked)}")


def expected(url: str, program: str, key: str, machine: str | None) -> str:
    where = urlsplit(url).netloc
    texts = (_LABEL, program, NONCE, where, where, "", machine or "")
    parts = [part.encode() for part in texts]
    signed = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return hmac.new(hashlib.sha256(key.encode()).digest(), signed, hashlib.sha256).hexdigest()
