"""GGUF headers that promise more than there is (item 8)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.attack import exchange
from harness.attack.cases import case
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds

_STRING, _ARRAY, _UINT64 = 8, 9, 10
_GB = 1 << 30
_MANY = 2_000_000
_TB = 1 << 40


@case("hostile headers", bounds=Bounds(peak_mb=256))
def hostile_headers(scene: Scene) -> None:
    """Counts and lengths without a bound: each is refused at once, and in little memory."""
    folder = scene.world.root / "headers"
    folder.mkdir(exist_ok=True)
    for name, write in _FILES.items():
        path = folder / f"{name.replace(' ', '-')}.gguf"
        write(path)
        answer = scene.send("hive", "POST", "/v1/models/info", {"model": f"file:{path}"})
        scene.refused(answer)
        scene.check_alive()
        path.unlink()


@case("headers that nobody waits for", bounds=Bounds(peak_mb=256))
def nobody_waits(scene: Scene) -> None:
    """The readers of two endless files leave at once: reading gives up, too."""
    folder = scene.world.root / "headers"
    folder.mkdir(exist_ok=True)
    path = folder / "endless.gguf"
    _sparse_array(path)
    host, port = scene.addresses["hive"]
    for route in ("/v1/models/info", "/v1/models/verify", "/v1/models/download"):
        body = b'{"model":"file:%s"}' % str(path).encode()
        headers = {"Host": f"{host}:{port}", "Content-Type": "application/json", **scene.bearer}
        content = exchange.request("POST", route, headers, body)
        scene.send_raw("hive", content, f"{route}, and leaves", within=4.9, whole=False)
    scene.check_alive()
    path.unlink()


def _header(path: Path, tensors: int, fields: int, *parts: bytes, size: int = 0) -> None:
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, tensors, fields))
        for part in parts:
            file.write(part)
        if size:
            file.truncate(size)


def _string(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def _key(name: bytes, kind: int) -> bytes:
    return _string(name) + struct.pack("<I", kind)


def _long_string(path: Path) -> None:
    """One string of 2 GB, of holes."""
    text = _key(b"general.name", _STRING) + struct.pack("<Q", 2 * _GB)
    _header(path, 0, 1, text, size=2 * _GB + 4096)


def _long_key(path: Path) -> None:
    _header(path, 0, 1, struct.pack("<Q", 2 * _GB), size=2 * _GB + 4096)


def _long_strings(path: Path) -> None:
    """An array of two strings of 1 GB."""
    array = _key(b"tokenizer.ggml.tokens", _ARRAY) + struct.pack("<IQ", _STRING, 2)
    _header(path, 0, 1, array, struct.pack("<Q", _GB), size=2 * _GB + 8192)


def _sparse_array(path: Path) -> None:
    """An array of empty strings through a file of 1 TB."""
    array = _key(b"tokenizer.ggml.tokens", _ARRAY) + struct.pack("<IQ", _STRING, _TB // 8 - 100)
    _header(path, 0, 1, array, size=_TB)


def _nested_arrays(path: Path) -> None:
    deep = struct.pack("<IQ", _ARRAY, 1) * 100_000
    _header(path, 0, 1, _key(b"a.b", _ARRAY), deep, struct.pack("<IQ", _UINT64, 0))


def _empty_tensors(path: Path) -> None:
    """Two million tensors without elements."""
    info = _string(b"") + struct.pack("<IQIQ", 1, 0, 0, 0)
    _header(path, _MANY, 0, info * _MANY)


def _many_fields(path: Path) -> None:
    field = _string(b"") + struct.pack("<IB", 7, 1)
    _header(path, 0, _MANY, field * _MANY)


def _sparse_tensors(path: Path) -> None:
    _header(path, 2**60, 0, size=_TB)


def _many_dimensions(path: Path) -> None:
    info = _string(b"a") + struct.pack("<I", 2**31) + bytes(1000)
    _header(path, 1, 0, info, size=_GB)


def _large_dimensions(path: Path) -> None:
    info = _string(b"a") + struct.pack("<I4QIQ", 4, 2**62, 2**62, 2**62, 2**62, 0, 0)
    _header(path, 1, 0, info, size=_GB)


def _alignment(path: Path) -> None:
    field = _key(b"general.alignment", 4) + struct.pack("<I", 0)
    _header(path, 0, 1, field)


_FILES: Mapping[str, Callable[[Path], None]] = {
    "a long string": _long_string,
    "a long key": _long_key,
    "long strings": _long_strings,
    "a sparse array": _sparse_array,
    "nested arrays": _nested_arrays,
    "empty tensors": _empty_tensors,
    "many fields": _many_fields,
    "sparse tensors": _sparse_tensors,
    "many dimensions": _many_dimensions,
    "large dimensions": _large_dimensions,
    "no alignment": _alignment,
}
