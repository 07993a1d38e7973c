"""The installed packages as wheels, so that a node's pip needs no package index.

Python's rule for a wheel is that of its installation, read backwards: RECORD lists what a package
consists of (PEP 427).
"""

import importlib.metadata
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What rbee is built with; the rest of what is needed is what rbee says that it needs.
_BUILD = "hatchling"


def write_wheels(folder: Path) -> None:
    """Write a wheel of everything that rbee needs, and of what builds it, but not of rbee."""
    folder.mkdir()
    found: dict[str, Distribution] = {}
    for name in (_BUILD, *_needed("rbee")):
        _collect(name, found)
    for distribution in found.values():
        _write_wheel(distribution, folder)


def _collect(name: str, found: dict[str, Distribution]) -> None:
    if canonicalize_name(name) in found:
        return
    found[canonicalize_name(name)] = importlib.metadata.distribution(name)
    for needed in _needed(name):
        _collect(needed, found)


def _needed(name: str) -> Iterator[str]:
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _write_wheel(distribution: Distribution, folder: Path) -> None:
    tag = _tag(distribution)
    name = canonicalize_name(distribution.name).replace("-", "_")
    with zipfile.ZipFile(folder / f"{name}-{distribution.version}-{tag}.whl", "w") as wheel:
        for file in distribution.files or ():
            path = Path(str(file.locate()))
            # Programs and manual pages, which are outside, are made at the installation or not
            # needed; so are compiled modules.
            if ".." not in file.parts and file.suffix != ".pyc" and path.is_file():
                wheel.write(path, file.as_posix())


def _tag(distribution: Distribution) -> str:
    lines = (distribution.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]
    assert tags, f"{distribution.name} was not installed from a wheel"
    pythons, abis, platforms = zip(*(tag.split("-") for tag in tags), strict=True)
    return "-".join(".".join(sorted(set(part))) for part in (pythons, abis, platforms))
