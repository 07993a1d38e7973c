"""The models that a repository on the Hub offers, and which of them a reference means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath

import msgspec

from rbee.contract.errors import InvalidModelRef, ModelNotFound, UnsupportedModelFormat
from rbee.contract.model_ref import FORMS, ModelRef, encoded, parse
from rbee.contract.quantization import of_file
from rbee.gguf import quantization, split
from rbee.gguf.choice import choose

# GGUF files that are not models but belong to them, or to tools.
_NOT_MODELS = ("mmproj", "imatrix")


class RemoteFile(msgspec.Struct, frozen=True):
    """A file of a repository. `sha256` is None for the few that the Hub knows only by git's
    `blob` hash. One that is not `is_measured` has a size of 0: the listing does not say it, as with
    some mirrors of the Hub."""

    path: str
    size_bytes: int
    sha256: str | None
    blob: str = ""
    is_measured: bool = True

    @property
    def identity(self) -> str:
        """The name of this content, for partial files: another content has another one."""
        return f"{self.size_bytes}-{(self.sha256 or self.blob or 'unknown')[:16]}"


class Listing(msgspec.Struct, frozen=True):
    """A repository at one commit."""

    commit: str
    files: tuple[RemoteFile, ...]


class RemoteModel(msgspec.Struct, frozen=True):
    """One model of a repository: one file, or the parts of a split one in their order.

    `reference` names it by its first file, as the catalog and the workers do.
    """

    reference: ModelRef
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def quantization(self) -> str | None:
        return of_file(self.files[0].path)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def is_measured(self) -> bool:
        return all(file.is_measured for file in self.files)


class _Incomplete(msgspec.Struct, frozen=True):
    """A split model that lacks parts, named by its first file, which may be one of them."""

    reference: ModelRef
    path: str

    @property
    def quantization(self) -> str | None:
        return of_file(self.path)


def models(listing: Listing, ref: ModelRef) -> list[RemoteModel]:
    """Every model in the listing of `ref`'s repository; a split one only if no part is missing."""
    files = {file.path: file for file in listing.files}
    found = []
    for path, reference in _named(ref, (path for path in sorted(files) if split.is_first(path))):
        if all(part in files for part in split.each_part(path)):
            whole = tuple(files[part] for part in split.parts(path))
            found.append(RemoteModel(reference, listing.commit, whole))
    return found


def _incomplete(listing: Listing, ref: ModelRef) -> list[_Incomplete]:
    files = {file.path for file in listing.files}
    firsts = {next(split.each_part(path)) for path in files if split.place(path) != (1, 1)}
    return [
        _Incomplete(reference, path)
        for path, reference in _named(ref, sorted(firsts))
        if not all(part in files for part in split.each_part(path))
    ]


def _named(ref: ModelRef, paths: Iterable[str]) -> Iterator[tuple[str, ModelRef]]:
    """Those of `paths` that are models, with their references."""
    for path in paths:
        name = PurePosixPath(path).name.lower()
        if not name.endswith(".gguf") or any(other in name for other in _NOT_MODELS):
            continue
        reference = named(ref.name, ref.revision, path)
        if reference is not None:
            yield path, reference


def named(repository: str, revision: str | None, path: str) -> ModelRef | None:
    """The reference of a file in a repository; None for a path that no reference can name."""
    at = f"@{revision}" if revision else ""
    try:
        ref = parse(f"hf:{repository}{at}/{encoded(path)}")
    except (InvalidModelRef, UnsupportedModelFormat, UnicodeEncodeError):
        return None
    return ref if ref.file == path else None


def pick(listing: Listing, ref: ModelRef) -> RemoteModel:
    """The model that `ref` means. Raises MODEL_NOT_FOUND with near names, or the missing parts; and
    UNSUPPORTED_MODEL_FORMAT for a repository without GGUF files."""
    offered = models(listing, ref)
    found = choose(offered, ref) if offered else None
    if found is not None:
        return found
    if (incomplete := choose(_incomplete(listing, ref), ref)) is not None:
        raise _not_whole(listing, ref, incomplete, _near(offered, ref))
    if not offered:
        if any(file.path.endswith((".safetensors", ".bin")) for file in listing.files):
            message = f"{ref.name} holds no GGUF file."
            raise UnsupportedModelFormat(message, value=str(ref), forms=list(FORMS))
        raise ModelNotFound(f"{ref.name} holds no GGUF model.", model=str(ref), near=[])
    message = f"{ref.name} has no {ref.file or ref.quantization}."
    raise ModelNotFound(message, model=str(ref), near=_near(offered, ref))


def _not_whole(
    listing: Listing, ref: ModelRef, found: _Incomplete, near: Sequence[str]
) -> ModelNotFound:
    there = {file.path for file in listing.files}
    parts = enumerate(split.each_part(found.path), start=1)
    missing = [number for number, part in parts if part not in there]
    told = split.told_missing(missing, PurePosixPath(found.path).name)
    return ModelNotFound(
        f"{found.reference.shown} is not whole on the Hub: {told}.",
        model=str(ref),
        near=near,
        hint=f"Ask the owner of {ref.name} to upload what is missing, or use "
        f"{', '.join(near) or 'another model'}.",
    )


def quantizations(offered: Iterable[RemoteModel]) -> list[str]:
    """The quantizations that are named, from few bits to many."""
    return quantization.by_size({model.quantization for model in offered if model.quantization})


def place(ref: ModelRef, path: str) -> PurePosixPath:
    """Where a file of the repository of `ref` lies, below the models folder."""
    at = f"@{ref.revision}" if ref.revision else ""
    return PurePosixPath(f"{ref.name}{at}") / path


def at_place(relative: PurePosixPath) -> ModelRef | None:
    """The reference of a file at that place, the reverse of `place`; None for any other place."""
    if len(relative.parts) < 3:
        return None
    owner, repository = relative.parts[:2]
    name, _, revision = repository.partition("@")
    ref = named(f"{owner}/{name}", revision or None, str(PurePosixPath(*relative.parts[2:])))
    # `REPO@main` and `REPO@` are folders that `place` never names.
    return ref if ref and ref.file and place(ref, ref.file) == relative else None


def _near(offered: Sequence[RemoteModel], ref: ModelRef) -> list[str]:
    if ref.file is not None:
        files = {model.reference.file or "": str(model.reference) for model in offered}
        # To compare long names takes milliseconds, and they may be a stranger's.
        names = dict(islice(((k, v) for k, v in files.items() if len(k) < 200), 500))
        import difflib  # only a name that is not there needs it

        close = difflib.get_close_matches(ref.file, names, n=3, cutoff=0.3)
        return [names[name] for name in close]
    at = f"@{ref.revision}" if ref.revision else ""
    there = quantizations(offered)
    wanted = quantization.bits(ref.quantization or "")
    there.sort(key=lambda name: abs(quantization.bits(name) - wanted))
    return [f"hf:{ref.name}{at}:{name}" for name in there[:4]]
