"""What other nodes offer of a model, compared with what was asked for and what the Hub says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import msgspec

from rbee.contract.errors import RbeeError
from rbee.contract.model_ref import ModelRef, parse
from rbee.contract.models import ModelSource
from rbee.gguf import split
from rbee.gguf.choice import choose
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.hive.models.stored_models import same_repository


def offered(source: ModelSource, ref: ModelRef) -> RemoteModel | None:
    """The model that a node offers; None if it is not what `ref` means."""
    try:
        reference = parse(source.shared.reference)
    except RbeeError:
        return None
    if reference.file is None or not same_repository(reference, ref):
        return None
    place = PurePosixPath(reference.file)
    names = [file.name for file in source.shared.files]
    if names != split.parts(place.name)[: len(names) + 1]:
        return None
    files = tuple(
        RemoteFile(str(place.with_name(file.name)), file.size_bytes, file.sha256)
        for file in source.shared.files
    )
    return choose([RemoteModel(reference, reference.revision or "main", files)], ref)


def same(model: RemoteModel, other: RemoteModel) -> bool:
    """Whether two sources have the same model, as far as both say its content."""
    return len(model.files) == len(other.files) and all(
        (one.path, one.size_bytes) == (two.path, two.size_bytes)
        and (one.sha256 is None or one.sha256 == two.sha256)
        for one, two in zip(model.files, other.files, strict=True)
    )


def with_hashes(model: RemoteModel, source: ModelSource, ref: ModelRef) -> RemoteModel:
    """The model, with the hashes of one that agrees for the files whose hash is not known."""
    other = offered(source, ref)
    if other is None:
        return model
    files = [
        one if one.sha256 is not None else msgspec.structs.replace(one, sha256=two.sha256)
        for one, two in zip(model.files, other.files, strict=True)
    ]
    return msgspec.structs.replace(model, files=tuple(files))


def agreeing(
    model: RemoteModel, sources: Iterable[ModelSource], ref: ModelRef
) -> list[ModelSource]:
    """The sources that offer this very model."""
    return [
        source
        for source in sources
        if (found := offered(source, ref)) is not None and same(model, found)
    ]


def first(sources: Sequence[ModelSource], ref: ModelRef) -> RemoteModel | None:
    """The model of the first source that offers what `ref` means."""
    found = (offered(source, ref) for source in sources)
    return next((model for model in found if model is not None), None)
