"""aiohttp, imported without this machine's certificate authorities. Everything of ours that needs
aiohttp imports it from here.

aiohttp makes two TLS contexts when it is imported, and to fill them takes 40 ms, a sixth of a
daemon's start. Nothing of ours speaks TLS through aiohttp: what does, such as a download from the
Hub, makes a context of its own, later, with the certificates.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["aiohttp", "web"]

# Where OpenSSL reads the authorities from.
_CERTIFICATES = "SSL_CERT_FILE"


@contextlib.contextmanager
def _without_certificates() -> Iterator[None]:
    before = os.environ.get(_CERTIFICATES)
    os.environ[_CERTIFICATES] = os.devnull
    try:
        yield
    finally:
        del os.environ[_CERTIFICATES]
        if before is not None:
            os.environ[_CERTIFICATES] = before


with _without_certificates():
    import aiohttp
    from aiohttp import web
