"""A client of another make, which asks a daemon for the proof that it has the key, and checks it.

It follows the text of the reference and nothing else.
"""

import hashlib
import hmac
import struct
from urllib.parse import urlencode, urlsplit

from harness.world.http_client import Reply, call

_LABEL = "rbee proof 1: the daemon knows the key"
NONCE = "0123456789abcdef" * 2


def ask(url: str, address: str | None = None) -> Reply:
    """Ask the daemon for a proof, for its own address or for another one."""
    where = address or urlsplit(url).netloc
    query = urlencode({"nonce": NONCE, "address": where, "host": where, "key_id": ""})
    return call("GET", f"{url}/v1/auth/proof?{query}")


def expected(url: str, program: str, key: str) -> str:
    where = urlsplit(url).netloc
    parts = [part.encode() for part in (_LABEL, program, NONCE, where, where, "")]
    signed = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return hmac.new(hashlib.sha256(key.encode()).digest(), signed, hashlib.sha256).hexdigest()
