"""A glance at the queen that runs, for who can't wait: no aiohttp, which takes long to load."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import Any

_PROGRAM = "queen-rbee"


def listing(url: str, key: str, path: str, within_s: float) -> dict[str, Any]:
    """What the queen at `url` answers to GET `path`. Raises OSError, HTTPException, ValueError and
    KeyError where none does, which are all the same to the caller."""
    health = _get(url, "/health", {}, within_s)
    if health["program"] != _PROGRAM:
        raise ValueError(f"{url} is no queen")  # the key is not for it
    return _get(url, path, {"Authorization": f"Bearer {key}"}, within_s)


def _get(url: str, path: str, headers: dict[str, str], within_s: float) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=within_s)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ValueError(f"{url} answers {response.status}")
        found: dict[str, Any] = json.load(response)
        return found
    finally:
        connection.close()
