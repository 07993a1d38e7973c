"""The routes of the OpenAPI files, and values that fit their schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
_DEEPEST = 4
_OURS = "ErrorEnvelope"
_QUESTIONS = {
    *("chat", "completions", "embed", "embeddings", "generate", "messages", "count_tokens"),
    *("rerank", "responses", "show", "tokenize", "detokenize", "apply-template"),
}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
# Every address is on loopback, and no name means anything here: whatever the fuzzer draws, no other
# machine hears of it, nothing is loaded, and nothing of this world is ended.
ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "ssh_host": ("127.0.0.9", "127.255.255.254"),
    "hive_url": ("http://127.0.0.9:9", "http://127.0.0.9:1/a"),
    "git_repo_url": ("file:///nowhere", "http://127.0.0.9:9/a.git"),
    "callback_url": ("http://127.0.0.9:9",),
}
_OF_NAMES: Mapping[str, tuple[Any, ...]] = {
    **ELSEWHERE,
    "ssh_port": (9, 1),
    "hive_port": (9, 65535),
    "api_key_file": ("/nowhere", "/", ""),
    "ssh_key_path": ("/nowhere", "/"),
    "install_path": ("/nowhere",),
    "node": ("nowhere", "attic", "n" * 255),
    "node_name": ("nowhere", "attic"),
    "model": ("file:/nowhere.gguf", "hf:nobody/nothing", "bundled:nothing", "nothing", "file:/"),
    "worker_id": ("worker-0", "worker-nowhere"),
    "request_id": ("r1", "r2", "r" * 64),
    **dict.fromkeys(_LIMITS, (1, 2)),
    **dict.fromkeys(("n", "best_of"), (1, 2)),
    "keep_alive": (60, "10m"),
    "accept_host_key": ("SHA256:" + "A" * 43,),
}


@dataclass(frozen=True)
class Route:
    """`parameters` are the names in the query; `body` is the schema of the request, if it has one;
    `error` names the schema of its errors. A `deadly` route ends its program: it is never sent with
    a key and as it should be."""

    program: str
    method: str
    path: str
    parameters: tuple[str, ...]
    body: Mapping[str, Any] | None = field(hash=False)
    schemas: Mapping[str, Any] = field(hash=False)
    error: str = _OURS

    @property
    def foreign(self) -> bool:
        """Whether it is in the protocol of somebody else."""
        return self.error != _OURS

    @property
    def asks(self) -> bool:
        """Whether it is there to ask a model something."""
        return self.foreign and self.path.rpartition("/")[2] in _QUESTIONS

    @property
    def deadly(self) -> bool:
        return self.path.startswith("/v1/admin/shutdown")

    def __str__(self) -> str:
        return f"{self.method} {self.program} {self.path}"


def routes(folder: Path = FOLDER) -> list[Route]:
    """Every route of queen, hive and worker."""
    found = []
    for program in ("queen", "hive", "worker"):
        known = json.loads((folder / f"openapi-{program}.json").read_text(encoding="utf-8"))
        schemas = known["components"]["schemas"]
        for path, methods in known["paths"].items():
            for method, about in methods.items():
                names = tuple(
                    each["name"] for each in about.get("parameters", ()) if each["in"] == "query"
                )
                content = about.get("requestBody", {}).get("content", {})
                body = content.get("application/json", {}).get("schema")
                error = about["responses"]["default"]["content"]["application/json"]["schema"]
                kind = error["$ref"].rpartition("/")[2]
                found.append(Route(program, method.upper(), path, names, body, schemas, kind))
    return found


def path_of(route: Route, random: Random) -> str:
    """The path with its parameters filled in, and perhaps a query."""
    path = re.sub(r"\{(\w+)\}", lambda name: str(_named(name[1], random) or "x"), route.path)
    chosen = [name for name in route.parameters if random.random() < 0.5]
    query = "&".join(f"{name}={_named(name, random) or random.randint(0, 9)}" for name in chosen)
    return f"{path}?{query}" if query else path


def value(schema: Mapping[str, Any], route: Route, random: Random, deep: int = 0) -> Any:
    """A value that fits, or nearly: names that would lead elsewhere are replaced."""
    if "$ref" in schema:
        return value(route.schemas[schema["$ref"].rpartition("/")[2]], route, random, deep)
    if "anyOf" in schema:
        return value(random.choice(schema["anyOf"]), route, random, deep)
    if "enum" in schema:
        return random.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, route, random, deep)
    if kind == "array":
        least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
        count = random.randint(least, max(least, most)) if deep < _DEEPEST else least
        return [value(schema.get("items", {}), route, random, deep + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        most = schema.get("maximum", least + 100)
        drawn = random.choice([least, most, random.randint(int(least), int(most))])
        return int(drawn) if kind == "integer" else float(drawn)
    if kind == "string":
        return "a" * max(schema.get("minLength", 1), 1)
    return {"boolean": random.random() < 0.5}.get(str(kind))


def _object(schema: Mapping[str, Any], route: Route, random: Random, deep: int) -> dict[str, Any]:
    required = schema.get("required", ())
    found = {}
    for name, inner in schema.get("properties", {}).items():
        if name in required or name in _LIMITS or (deep < _DEEPEST and random.random() < 0.3):
            named = _named(name, random)
            found[name] = value(inner, route, random, deep + 1) if named is None else named
    return found


def _named(name: str, random: Random) -> Any:
    return random.choice(_OF_NAMES[name]) if name in _OF_NAMES else None
