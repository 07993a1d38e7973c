"""Wheels made again from what is installed here, to be sent to a node and installed there without
a network: everything if it runs there, else rbee alone.

An installed package knows its files (RECORD) and all that its wheel said of itself (METADATA,
WHEEL, entry_points.txt). pip makes the rest again where it installs: scripts of entry points, byte
code, INSTALLER, REQUESTED, direct_url.json, so none of these goes in. The files of rbee itself are
those of the running package, so that an editable installation is sent as it is.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import product
from pathlib import Path, PurePosixPath

import msgspec

import rbee
from rbee.contract.errors import ProgramFailed
from rbee.queen.install.on_node.survey import machine
from rbee.queen.install.plan import Machine, difference

_OWN = "rbee"
_MADE_BY_PIP = {"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"}
_LLAMA = "llama-cpp-python"
_GPU_LIBRARY = re.compile(r"ggml-(cuda|hip|sycl|vulkan|metal)\.(so|dylib)")


class NoWheelError(Exception):
    """No wheel can be made from this installation, or from one package in it; says why."""


class Packed(msgspec.Struct, frozen=True):
    """The wheels that were made. `whole`: nothing else is needed there; else `why` not."""

    wheels: list[Path]
    whole: bool
    why: str = ""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(path.stat().st_size for path in self.wheels)


class Packages:
    """What is installed on this machine."""

    def make_own(self, folder: Path) -> Path:
        """The wheel of rbee itself. Raises NoWheelError."""
        return make_own(folder)

    def make(self, known: Distribution, folder: Path) -> Path:
        """The wheel of one of the packages that it needs. Raises NoWheelError."""
        return make(known, folder)

    def llama_gpus(self, known: list[Distribution]) -> list[str]:
        """The graphics APIs that llama.cpp is built for here."""
        return llama_gpus(known)


def pack(
    folder: Path,
    node: str,
    theirs: Machine,
    backend: str | None,
    packages: Packages | None = None,
) -> Packed:
    """Make the wheels in `folder`. Takes seconds, much of it outside of Python.

    Raises PROGRAM_FAILED if rbee was not installed here as a package.
    """
    packages = packages or Packages()
    try:
        own = packages.make_own(folder)
    except NoWheelError as error:
        raise ProgramFailed(
            f"This installation can't be sent to {node}: {error}.",
            program="rbee",
            reason=str(error),
            hint="Install rbee here with pip, or name a repository: setup add-node … --git-repo.",
        ) from None
    try:
        known = closure()
        why = _why_not(known, packages.llama_gpus(known), theirs, backend)
        if why is None:
            return Packed([own, *(packages.make(one, folder) for one in known[1:])], whole=True)
    except NoWheelError as error:
        why = str(error)
    return Packed([own], whole=False, why=why)


def _why_not(
    known: list[Distribution], gpus: list[str], theirs: Machine, backend: str | None
) -> str | None:
    """Why what was compiled on this machine can't be used there."""
    if backend in ("cuda", "metal", "vulkan"):
        return f"llama.cpp is built there for {backend}"
    if backend == "cpu" and gpus:
        return f"llama.cpp is built for {', '.join(gpus)} here"
    ours = msgspec.convert(machine(), Machine)
    return difference(ours, theirs, native=is_native(known))


def closure(root: str = _OWN) -> list[Distribution]:
    """What `root` needs here, itself first: its requirements, theirs, and so on, by the markers and
    extras that apply on this machine. Raises NoWheelError."""
    from packaging.requirements import Requirement

    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    open_ = [(root, "")]
    while open_:
        name, extra = open_.pop(0)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, extra) in seen:
            continue
        seen.add((key, extra))
        try:
            known = found[key] = found.get(key) or distribution(name)
        except PackageNotFoundError:
            raise NoWheelError(f"{name} is not installed as a package here") from None
        for line in known.requires or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                open_ += [(wanted.name, more) for more in ("", *sorted(wanted.extras))]
    return list(found.values())


def make_own(folder: Path) -> Path:
    """The wheel of rbee itself, as it runs here. Raises NoWheelError."""
    try:
        known = distribution(_OWN)
    except PackageNotFoundError:
        raise NoWheelError("rbee is not installed as a package here") from None
    stem = f"{_OWN}-{rbee.__version__}"
    info = f"{stem}.dist-info"
    wheel = _Wheel(folder / f"{stem}-py3-none-any.whl", info)
    with wheel:
        for place in map(Path, rbee.__path__):
            for path in sorted(place.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    wheel.add(f"{_OWN}/{path.relative_to(place).as_posix()}", path.read_bytes())
        metadata = known.read_text("METADATA") or ""
        # An editable installation may be older than its files.
        metadata = re.sub(r"(?m)^Version: .*$", f"Version: {rbee.__version__}", metadata, count=1)
        for file in known.files or []:
            if "licenses" in file.parts:
                wheel.add(f"{info}/licenses/{file.name}", file.read_binary())
        wheel.add(f"{info}/METADATA", metadata.encode())
        wheel.add(f"{info}/entry_points.txt", (known.read_text("entry_points.txt") or "").encode())
        wheel.add(
            f"{info}/WHEEL",
            b"Wheel-Version: 1.0\nGenerator: rbee\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return wheel.path


def make(known: Distribution, folder: Path) -> Path:
    """The wheel of an installed package. Raises NoWheelError if it was not installed from a wheel,
    or lacks files."""
    name = known.name
    about = known.read_text("WHEEL")
    files = known.files
    if about is None or not files or known.read_text("RECORD") is None:
        raise NoWheelError(f"{name} was not installed from a wheel")
    if any(path.suffix == ".pth" and "editable" in path.name for path in files):
        raise NoWheelError(f"{name} is installed as editable")
    info = next(path.parts[0] for path in files if path.parts[0].endswith(".dist-info"))
    stem = info.removesuffix(".dist-info")
    wheel = _Wheel(folder / f"{stem}-{_tags(about)}.whl", info)
    with wheel:
        for path in files:
            if path.suffix == ".pyc" or (path.parent.name == info and path.name in _MADE_BY_PIP):
                continue
            inside = _inside(path, stem, {point.name for point in known.entry_points})
            if inside is None:
                continue
            source = Path(str(known.locate_file(path)))
            if not source.is_file():
                raise NoWheelError(f"{name} lacks its file {path}")
            wheel.add(
                inside, _script(source) if ".data/scripts/" in inside else source.read_bytes()
            )
    return wheel.path


def is_native(known: list[Distribution]) -> bool:
    """Whether one of them was compiled on this machine rather than for all of its kind."""
    tags = [tag for one in known for tag in _tag_lines(one.read_text("WHEEL") or "")]
    return any(re.search(r"-(linux|native)_", tag) for tag in tags)


def llama_gpus(known: list[Distribution]) -> list[str]:
    """The graphics APIs that llama.cpp was built for here, by the names of its libraries."""
    files = [file for one in known if _key(one) == _LLAMA for file in one.files or []]
    return sorted({match[1] for file in files if (match := _GPU_LIBRARY.search(file.name))})


def _key(known: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", known.name).lower()


def _inside(path: PurePosixPath, stem: str, points: set[str]) -> str | None:
    """Where an installed file stands in its wheel; None for what pip makes itself."""
    if path.is_absolute():
        raise NoWheelError(f"{stem} has a file at {path}")
    outside = [part for part in path.parts if part != ".."]
    if len(outside) == len(path.parts):
        return path.as_posix()
    if outside[0] == "bin":
        return None if outside[-1] in points else f"{stem}.data/scripts/{outside[-1]}"
    return f"{stem}.data/data/{'/'.join(outside)}"


def _script(source: Path) -> bytes:
    """pip replaces `#!python` with the path of its Python."""
    head, end, rest = source.read_bytes().partition(b"\n")
    return b"#!python" + end + rest if re.match(rb"#!.*python", head) else head + end + rest


def _tag_lines(about: str) -> Iterator[str]:
    for line in about.splitlines():
        if line.startswith("Tag:"):
            yield line.removeprefix("Tag:").strip()


def _tags(about: str) -> str:
    """The file name's three last parts: the tags, folded as in PEP 425."""
    tags = [tag.split("-") for tag in _tag_lines(about)]
    folded = [list(dict.fromkeys(part)) for part in zip(*tags, strict=True)]
    if sorted(map(list, product(*folded))) != sorted(tags):
        folded = [[part] for part in tags[0]]
    return "-".join(".".join(part) for part in folded)


class _Wheel:
    """A wheel being written: its files, then their record."""

    def __init__(self, path: Path, info: str) -> None:
        self.path = path
        self._info = info
        self._record: list[str] = []

    def __enter__(self) -> None:
        self._zip = zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def __exit__(self, *_: object) -> None:
        name = f"{self._info}/RECORD"
        self._write(name, "\n".join([*self._record, f"{name},,", ""]).encode())
        self._zip.close()

    def add(self, name: str, content: bytes) -> None:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        quoted = f'"{name}"' if "," in name else name
        self._record.append(f"{quoted},sha256={digest},{len(content)}")
        self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        entry = zipfile.ZipInfo(name)  # dated 1980, so that the same files make the same wheel
        entry.external_attr = 0o100644 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(entry, content, compresslevel=1)
