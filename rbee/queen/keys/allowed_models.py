"""Which models a key may use: decided by what a reference means, not by how it is spelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rbee.contract.model_ref import ModelRef
from rbee.contract.quantization import canonical, of_file

Verdict = Literal["yes", "no", "ask"]


def judge(model: ModelRef, allowed: Iterable[ModelRef]) -> Verdict:
    """Whether `model` is one of `allowed`; "ask" if that depends on the file that it turns out to
    be. A repository allows everything in it, at the same revision; a quantization allows the files
    that are named after it."""
    verdicts = {_judge(model, each) for each in allowed}
    return "yes" if "yes" in verdicts else "ask" if "ask" in verdicts else "no"


def _judge(model: ModelRef, one: ModelRef) -> Verdict:
    if model == one:
        return "yes"
    if model.scheme != "hf" or _place(model) != _place(one):
        return "no"
    if one.file is None and one.quantization is None:
        return "yes"
    if model.file is not None:
        named = of_file(model.file)
        return "yes" if one.quantization and named == canonical(one.quantization) else "no"
    if model.quantization is None or one.file is not None:
        return "ask"
    same = one.quantization and canonical(model.quantization) == canonical(one.quantization)
    return "yes" if same else "no"


def named_by_operator(model: ModelRef, configured: Iterable[ModelRef]) -> bool:
    """Whether a key without a list may use `model`: every model but a file by its path, unless the
    operator has `configured` it, as the default or under an alias."""
    return model.scheme != "file" or model in configured


def _place(ref: ModelRef) -> tuple[str, str, str | None]:
    """The Hub ignores case in names."""
    return ref.scheme, ref.name.lower(), ref.revision
