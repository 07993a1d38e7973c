"""What the environment of the hive says of the way to the Hub: its address, and the proxies.

Read for each request, with the meaning that curl and other programs give to the variables. A value
that can't be used is named when a request needs it, and not before: a desktop may set a proxy for
everything that only some programs understand. Passwords in the values are never shown.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

import msgspec

_SCHEMES = ("http", "https", "socks5", "socks5h")
_RESTART = "then restart the hive, which keeps the environment that it was started with."


class UnusableError(Exception):
    """A variable of the environment that can't be used; `hint` says what to do about it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Proxy(msgspec.Struct, frozen=True):
    """`variable` is its name in the environment. `url` may hold a password."""

    variable: str
    url: str

    def __str__(self) -> str:
        return f"the proxy that {self.variable} names"


def check_endpoint() -> None:
    """Raises UnusableError if `HF_ENDPOINT` is set, but not to the address of a server."""
    value = os.environ.get("HF_ENDPOINT")
    if value is None:
        return
    hint = (
        f"Set HF_ENDPOINT to an address such as https://huggingface.co, or leave it out; {_RESTART}"
    )
    if not value:
        raise UnusableError("HF_ENDPOINT is empty", hint)
    found = _split(value)
    if found is None or found.scheme not in ("http", "https"):
        raise UnusableError(
            "HF_ENDPOINT is not an address that begins with http:// or https://", hint
        )
    if not found.hostname or found.query or found.fragment:
        raise UnusableError("HF_ENDPOINT is not the address of a server", hint)


def proxy_for(scheme: str, host: str, port: int | None) -> Proxy | None:
    """The proxy for requests to a server, if there is one; it may not be usable."""
    named = getproxies()
    port = port or {"http": 80, "https": 443}.get(scheme)
    for kind in (scheme, "all"):
        if value := named.get(kind):
            if _is_exempt(host, port, named.get("no", "")):
                return None
            return Proxy(_variable(kind), value if "://" in value else f"http://{value}")
    return None


def check_proxy(proxy: Proxy) -> None:
    """Raises UnusableError."""
    variable, url = proxy.variable, _split(proxy.url)
    hint = (
        f"Set {variable} to an address such as http://HOST:PORT or socks5h://HOST:PORT, or name "
        f"the Hub in NO_PROXY; {_RESTART}"
    )
    scheme = proxy.url.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        known = ", ".join(f"{each}://" for each in _SCHEMES)
        raise UnusableError(
            f"{variable} names a proxy with {scheme[:20]}://, and rbee knows {known}", hint
        )
    if url is None or not url.hostname:
        raise UnusableError(f"{variable} does not hold the address of a proxy", hint)
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise UnusableError(
            f"{variable} names a SOCKS proxy, and the package for it is not installed",
            "Install it into rbee's environment on the node: pip install 'rbee[socks]'; "
            f"{_RESTART}",
        )


def unreadable_certificates(error: OSError) -> UnusableError:
    """For the certificates of the environment, which the HTTP client reads."""
    return UnusableError(
        "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: "
        f"{error.strerror or error}",
        f"Correct SSL_CERT_FILE and SSL_CERT_DIR, or leave them out; {_RESTART}",
    )


def _split(address: str) -> SplitResult | None:
    """The parts of an address; None for what is not one."""
    if not address.isprintable() or " " in address:
        return None
    try:
        found = urlsplit(address)
        return found if found.port != 0 else None
    except ValueError:  # a port, or an IPv6 address
        return None


def _variable(kind: str) -> str:
    """The name of the variable that holds the proxy for a kind of address, as it is written."""
    name = f"{kind}_proxy"
    written = [other for other in os.environ if other.lower() == name and os.environ[other]]
    # The one in lower case wins, as everywhere.
    return name if name in written else next(iter(written), name)


def _is_exempt(host: str, port: int | None, exceptions: str) -> bool:
    """Whether `NO_PROXY` names a server: `*`, a name with those below it, an address, a network;
    each with a port or without."""
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in exceptions.split(","))


def _names(entry: str, host: str, port: int | None) -> bool:
    if entry in ("*", host):
        return True
    if (network := _network(entry)) is not None:
        address = _network(host)
        return address is not None and _holds(network, address)
    found = _split(f"//{entry.partition('://')[2] or entry}")
    if found is None or not found.hostname or found.port not in (None, port):
        return False
    name = found.hostname.lstrip("*").lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A network, or an address as a network of one."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _holds(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    address: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return network.version == address.version and address.network_address in network
