"""The file names of a split model: `NAME-00001-of-00003.gguf` and so on.

llama.cpp and the `gguf` package write these names, and llama.cpp finds the other parts by them.
Numbers count from 1 and have five digits. A name that only looks like a part (part 0, part 4 of 3,
six digits, more parts than any model has) is that of an ordinary file. Folders in front of the name
are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rbee.gguf import limits

_PART = r"(?si)(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<ending>\.gguf)"
_ENDING = ".gguf"
_NAMED = 3


def place(name: str) -> tuple[int, int]:
    """The number of a part, from 1, and of how many; (1, 1) for a file that is not split."""
    found = _found(name)
    return (int(found["number"]), int(found["count"])) if found else (1, 1)


def is_first(name: str) -> bool:
    """Whether a model is loaded by this file: its only one, or the first of its parts."""
    return place(name)[0] == 1


def parts(name: str) -> list[str]:
    """The names of all parts of the model that `name` belongs to, in order; [name] if it is not
    split. The ending keeps its case, as the other files have the same.
    """
    return list(each_part(name))


def each_part(name: str) -> Iterator[str]:
    """The names of `parts` one by one, for names of strangers that claim a thousand."""
    found = _found(name)
    if found is None:
        yield name
        return
    stem, count, ending = found["stem"], int(found["count"]), found["ending"]
    for number in range(1, count + 1):
        yield f"{stem}{suffix(number, count, ending)}"


def told_missing(missing: Sequence[int], name: str) -> str:
    """What to say of the `missing` parts, by number, of the model that `name` is a part of."""
    names = parts(name)
    if len(missing) == 1:
        [number] = missing
        return f"part {number} of {len(names)} is missing: {names[number - 1]}"
    named = [names[number - 1] for number in missing[:_NAMED]]
    if len(missing) > _NAMED:
        named.append(f"and {len(missing) - _NAMED} more")
    return f"{len(missing)} of its {len(names)} parts are missing: {', '.join(named)}"


def stem(name: str) -> str:
    """What the names of all parts share: `name` without its number and ending.

    For an ordinary file it is the name without `.gguf`; for a file of another kind, the name.
    """
    if found := _found(name):
        return found["stem"]
    return name[: -len(_ENDING)] if name.lower().endswith(_ENDING) else name


def suffix(number: int, count: int, ending: str = _ENDING) -> str:
    """How the name of part `number` (from 1) of `count` ends. llama.cpp expects lower case."""
    return f"-{number:05d}-of-{count:05d}{ending}"


def _found(name: str) -> re.Match[str] | None:
    found = re.fullmatch(_PART, name)
    if found is None or not 1 <= int(found["number"]) <= int(found["count"]) <= limits.PARTS:
        return None
    return found
