"""The names that Tab completes: at once or not at all, and never a word about what went wrong.

Nodes, models, workers, keys and tasks come from the config file and from the queen that runs, if it
answers in time; none is started. Without one, nodes and models come from the databases on disk. It
is asked without aiohttp, which takes longer to load than a person waits.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import RbeeError
from rbee.contract.model_ref import ALIASES, DEFAULT
from rbee.contract.registry import LOCAL

if TYPE_CHECKING:
    from ssl import SSLContext

_WITHIN_S = 0.4
_FILE = "file:"
_LONGEST_PROOF = 1024
_BACKENDS = {
    "cpu": "any processor",
    "cuda": "NVIDIA",
    "metal": "Apple",
    "rocm": "AMD",
    "sycl": "Intel",
    "vulkan": "most graphics cards",
}
_LISTINGS: dict[str, Endpoint[Any, Any]] = {
    "nodes": ep.QUEEN_NODES,
    "models": ep.QUEEN_MODELS,
    "workers": ep.QUEEN_WORKERS,
    "keys": ep.QUEEN_KEYS,
    "tasks": ep.QUEEN_QUEUE,
}


def suggest(kind: str, typed: str, local: bool = True) -> list[tuple[str, str]]:
    """The names of `kind`, which is nodes, models, workers, keys, tasks or backends, that begin
    with `typed`, sorted, each with its description; unless `local`, without this machine."""
    from rbee.runtime import safe_text, settings

    try:
        config = settings.load()
    except RbeeError:
        config = Config()
    found = _from_config(kind, config)
    told: dict[str, str] = {}
    if kind in _LISTINGS:
        query = threading.Thread(target=_add_from_queen, args=(kind, config, told), daemon=True)
        query.start()
        query.join(_WITHIN_S)
    found = {**found, **(told.copy() or _from_disk(kind, config))}
    if kind == "models" and typed.startswith(_FILE):
        found |= _files(typed)
    names = sorted(name for name in dict(found) if name.startswith(typed))
    return [
        (name, safe_text.line(found[name]))
        for name in names
        # A name that can't be shown as it is can't be typed, and a shell may take it for several.
        if safe_text.line(name) == name and "\t" not in name and (local or name != LOCAL)
    ]


def _from_config(kind: str, config: Config) -> dict[str, str]:
    if kind == "nodes":
        nodes = {name: str(each.ssh_host or each.hive_url) for name, each in config.nodes.items()}
        return {LOCAL: "this machine", **nodes}
    if kind == "models":
        return {DEFAULT: "bundled", **ALIASES, **config.models.aliases}
    if kind == "backends":
        return _BACKENDS
    return {}


def _from_disk(kind: str, config: Config) -> dict[str, str]:
    if kind not in ("nodes", "models"):
        return {}
    from rbee.keeper.session import on_disk

    if kind == "nodes":
        return on_disk.nodes(config)
    return dict.fromkeys(on_disk.models(config), "ready")


def _files(typed: str) -> dict[str, str]:
    """The GGUF files and the folders whose path begins so."""
    folder = Path(typed.removeprefix(_FILE)).expanduser()
    folder = folder if typed.endswith("/") else folder.parent
    found = {}
    with contextlib.suppress(OSError):
        if not folder.is_absolute():
            return {}
        for path in folder.iterdir():
            if path.name.startswith(".") and not typed.rpartition("/")[2].startswith("."):
                continue
            if path.is_dir():
                found[f"{_FILE}{path}/"] = "folder"
            elif path.name.lower().endswith(".gguf"):
                found[f"{_FILE}{path}"] = "file"
    return found


def _add_from_queen(kind: str, config: Config, found: dict[str, str]) -> None:
    """Whatever answers there may answer anything."""
    with contextlib.suppress(Exception):
        from rbee.keeper.settings import of
        from rbee.runtime import api_key, paths
        from rbee.runtime.tls_client import trusting

        # A missing key is not made: no queen knows it.
        file = config.auth.api_key_file or str(Path(paths.home(), ".rbee", "api_key"))
        key = api_key.load(file)
        settings = of(config)
        url = settings.queen_url
        tls = trusting(settings.ca) if url.startswith("https:") else None
        found.update(_descriptions(kind, _listing(url, tls, key, _LISTINGS[kind].path)))


def _descriptions(kind: str, reply: Mapping[str, Any]) -> dict[str, str]:
    rows: Sequence[Mapping[str, Any]] = reply[kind]
    if kind == "nodes":
        return {str(row["node_name"]): str(row["status"]) for row in rows}
    if kind == "models":
        return {str(row["reference"]): str(row["state"]) for row in rows}
    if kind == "keys":
        return {str(row["name"]): str(row["role"]) for row in rows}
    if kind == "tasks":
        return {str(row["request_id"]): f"{row['model']}, {row['state']}" for row in rows}
    return {str(row["worker_id"]): f"{row['model_ref']} on {row['node']}" for row in rows}


def _listing(url: str, tls: SSLContext | None, key: str, path: str) -> dict[str, Any]:
    """The reply of the queen at `url` to GET `path`, on the connection on which it has proven that
    it knows the key. Raises OSError, HTTPException, ValueError or NotProven when there is none."""
    import http.client
    import json
    import urllib.parse

    from rbee.runtime.proof import Challenge

    place = urllib.parse.urlsplit(url).netloc
    if tls is None:
        connection = http.client.HTTPConnection(place, timeout=_WITHIN_S)
    else:
        connection = http.client.HTTPSConnection(place, timeout=_WITHIN_S, context=tls)
    try:
        connection.connect()
        connection.auto_open = False  # another connection may lead to somebody else
        challenge = Challenge(key, url, connection.sock.getpeername()[:2])
        connection.request("GET", challenge.target)
        response = connection.getresponse()
        challenge.check(response.status, response.read(_LONGEST_PROOF))
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ValueError(f"{url} answers {response.status}")
        found: dict[str, Any] = json.load(response)
        return found
    finally:
        connection.close()
