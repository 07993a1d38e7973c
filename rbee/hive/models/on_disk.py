"""From what lies on the disk to rows of the catalog, and back."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from rbee.contract.errors import RbeeError
from rbee.contract.model_ref import ModelRef, parse
from rbee.contract.models import ModelRow
from rbee.gguf import split
from rbee.gguf.reading import read
from rbee.hive.models import quantization
from rbee.hive.models.folder import Found


class OnDisk(msgspec.Struct, frozen=True):
    """A model that is on this node. `row` is None for one that the catalog does not hold: a file
    elsewhere, or the bundled one."""

    reference: ModelRef
    path: Path
    row: ModelRow | None = None

    @property
    def quantization(self) -> str | None:
        told = self.row.quantization if self.row else None
        return quantization.of_file(self.reference.file or self.path.name) or told


def on_disk(row: ModelRow) -> OnDisk:
    """What a row names."""
    return OnDisk(parse(row.reference), Path(row.local_path), row)


def same_repository(one: ModelRef, other: ModelRef) -> bool:
    """Whether both name files of one repository and revision. The Hub takes large letters and
    small ones for the same."""

    def place(ref: ModelRef) -> tuple[str, str, str | None]:
        return ref.scheme, ref.name.lower(), ref.revision

    return place(one) == place(other)


def is_there(first: Path) -> bool:
    """Whether a model has its file, or all of them. Blocks."""
    with contextlib.suppress(OSError):  # a folder that can't be entered
        return all(first.with_name(name).is_file() for name in split.parts(first.name))
    return False


def is_whole(model: OnDisk) -> bool:
    """Whether it is there, and as large as it came. Blocks."""
    if not is_there(model.path):
        return False
    if model.row is None or model.row.sha256 is None:
        return True
    names = split.parts(model.path.name)
    with contextlib.suppress(OSError):  # gone just now
        there = sum(model.path.with_name(name).stat().st_size for name in names)
        return there == model.row.size_bytes
    return False


def sized(row: ModelRow, there: int | None) -> ModelRow:
    """The row as it is told: one whose file has another size now is damaged."""
    if there is None or there == row.size_bytes:
        return row
    return msgspec.structs.replace(row, state="damaged", bytes_downloaded=there)


def of_found(found: list[Found]) -> list[ModelRow]:
    """Rows of files that nobody fetched here. Only where its name does not tell its quantization is
    a header read: there may be a thousand of them. Blocks."""
    return [_row(model, model.quantization or _from_header(model.path)) for model in found]


def of_partial(found: Found, size: int | None) -> ModelRow:
    """How a model is told that is not whole. `size` is the one that it will have, where it is just
    being fetched; else that of its partial files is known, and 0 where one has not begun."""
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
        return read(path).quantization
    return None
