"""What a client means by the name of a model: decided from the models that are known.

Clients write what their program was configured with: an alias, a reference in any of its forms,
`name:latest` as with Ollama, a file's name. Case counts only where it makes a difference.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from rbee.contract import model_ref
from rbee.contract.errors import ModelNotFound, RbeeError

_LATEST = ":latest"
_ENDING = ".gguf"
_LONGEST = 256
# How many names, and how many letters of an unknown one, are looked at more closely.
_COMPARED = 32


class Names:
    """What each name means, while these are the references of the models that there are, and the
    aliases. Made once for many requests: it takes some milliseconds for a thousand models."""

    def __init__(self, known: Sequence[str], aliases: Mapping[str, str]) -> None:
        self.known = known
        self._whole = {*known, *aliases}

    def resolve(self, name: str) -> str | None:
        """An alias or a reference for a Task; None if nothing is known by this name. A reference to
        a model that is not there yet means itself, since it can be fetched."""
        if name in self._whole:
            return name
        plain = name.removesuffix(_LATEST)
        for written in (name, plain):
            loose = self._in_any_case.get(written.lower(), set())
            for found in (self._spelled.get(written, set()), loose):
                if len(found) == 1:
                    return next(iter(found))
        return plain if _is_reference(plain) else None

    def not_found(self, name: str) -> ModelNotFound:
        """The error for a name that nothing is known by, with the nearest names."""
        written = name.lower()[:_LONGEST]
        # Comparing letter by letter is slow: only those that have most in common, by a quick look.
        parts = [written[at : at + 3] for at in range(min(len(written), _COMPARED))]
        candidates = heapq.nlargest(
            _COMPARED, self._in_any_case, key=lambda each: sum(part in each for part in parts)
        )
        close = difflib.get_close_matches(written, candidates, n=3, cutoff=0.5)
        shown = {spelling.lower(): spelling for spelling in self._spelled} if close else {}
        near = [shown[each] for each in close]
        nearest = f"The nearest names are {', '.join(near)}. " if near else ""
        hint = f"{nearest}GET /v1/models lists them all, and hf:OWNER/REPO names any GGUF model."
        said = f"There is no model named {name[:_LONGEST]!r}."
        return ModelNotFound(said, model=name[:_LONGEST], near=near, hint=hint)

    @cached_property
    def _spelled(self) -> dict[str, set[str]]:
        """Every name, with what it may mean. A name that means one thing by itself hides what it
        might be short for."""
        found: dict[str, set[str]] = {}
        for reference in self.known:
            for spelling, target in _short(reference):
                found.setdefault(spelling, set()).add(target)
        return found | {name: {name} for name in self._whole}

    @cached_property
    def _in_any_case(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for spelling, targets in self._spelled.items():
            found.setdefault(spelling.lower(), set()).update(targets)
        return found


def _short(reference: str) -> Iterator[tuple[str, str]]:
    """The shorter names of a reference, each with the reference that it stands for."""
    try:
        model = model_ref.parse(reference)
    except RbeeError:
        return
    file = (model.file or model.name).rpartition("/")[2]
    if model.scheme != "bundled":
        yield file, reference
    if file.lower().endswith(_ENDING):
        yield file[: -len(_ENDING)], reference
    yield reference.removeprefix(f"{model.scheme}:"), reference
    if model.scheme == "hf" and model.revision is None:
        repository = f"hf:{model.name}"
        yield model.name, repository
        yield repository, repository
        yield model.name.rpartition("/")[2], repository


def _is_reference(text: str) -> bool:
    try:
        model_ref.parse(text)
    except RbeeError:
        return False
    return True
