"""How a browser lets a page of another origin read what a daemon answers, where `[auth] origins`
names the page: the CORS protocol of the Fetch standard.

A browser asks first, without the key, whether the page may send such a request (a preflight), and
then shows the page only answers that name its origin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

_METHOD = "Access-Control-Request-Method"
_HEADERS = "Access-Control-Request-Headers"
_NETWORK = "Access-Control-Request-Private-Network"
_METHODS = "GET, HEAD, POST, DELETE"
_READABLE = "Retry-After, X-Correlation-ID, request-id"
_REMEMBERED_S = 600


def is_allowed(origin: str, origins: Collection[str]) -> bool:
    """Whether the operator has named this origin, or all."""
    known = {each.lower().rstrip("/") for each in origins}
    return _is_plain(origin) and ("*" in origins or origin.lower() in known)


def is_preflight(given: Mapping[str, str], origins: Collection[str]) -> bool:
    """Whether an OPTIONS request with these headers is a preflight of an allowed page."""
    return _METHOD in given and is_allowed(given.get("Origin", ""), origins)


def permission(given: Mapping[str, str]) -> dict[str, str]:
    """What a preflight is answered with, beside `headers`: any header may be sent."""
    wanted = given.get(_HEADERS, "")
    allowed = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": wanted if _is_plain(wanted) else "*",
        "Access-Control-Max-Age": str(_REMEMBERED_S),
    }
    if given.get(_NETWORK) == "true":  # from a public page to a private address
        allowed["Access-Control-Allow-Private-Network"] = "true"
    return allowed


def headers(origin: str) -> dict[str, str]:
    """What lets the page of an allowed `origin` read an answer."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _READABLE,
        "Vary": "Origin",
    }


def _is_plain(text: str) -> bool:
    """Whether it can stand in a header of an answer."""
    return bool(text) and text.isascii() and text.isprintable()
