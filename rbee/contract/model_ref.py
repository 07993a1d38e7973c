"""How a model is named: the forms of CONTRACT.md, read and written in one place.

hf:owner/repo[@revision][:QUANT]      hf:owner/repo[@revision]/path/file.gguf
file:/abs/path.gguf                   bundled:smollm2-135m-instruct
owner/repo   (means hf:)              a bare word (an alias)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from rbee.contract.errors import InvalidModelRef, RbeeError, UnsupportedModelFormat

FORMS = (
    "hf:owner/repo",
    "hf:owner/repo:Q8_0",
    "hf:owner/repo/path/file.gguf",
    "hf:owner/repo@revision",
    "file:/abs/path.gguf",
    "bundled:smollm2-135m-instruct",
    "owner/repo",
    "an alias",
)

BUNDLED = "smollm2-135m-instruct"
DEFAULT = f"bundled:{BUNDLED}"

ALIASES: Mapping[str, str] = {
    "tinyllama": "hf:TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
    "qwen-0.5b": "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF",
    "smollm2": DEFAULT,
}

_OTHER_FORMATS = (".safetensors", ".bin", ".pt", ".pth", ".onnx", ".ggml")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HF = re.compile(
    rf"(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._-]{{0,95}}))?"
    r"(?:/(?P<file>[^\s:@?#\\\x00-\x1f\x7f]+\.(?i:gguf))|:(?P<quantization>[A-Za-z][A-Za-z0-9_]{0,15}))?",
)


class ModelRef(msgspec.Struct, frozen=True):
    """One model. `scheme` is `hf`, `file` or `bundled`; `name` is a repository, an absolute path
    or a bundled model's name. Two references name the same model when they are equal."""

    scheme: str
    name: str
    revision: str | None = None
    file: str | None = None
    quantization: str | None = None

    def __str__(self) -> str:
        """The reference in the one form in which the programs pass it on."""
        revision = f"@{self.revision}" if self.revision else ""
        file = f"/{self.file}" if self.file else ""
        quantization = f":{self.quantization}" if self.quantization else ""
        return f"{self.scheme}:{self.name}{revision}{file}{quantization}"


def parse(text: str, aliases: Mapping[str, str] | None = None) -> ModelRef:
    """Read a reference as a person writes it.

    `aliases` are the configuration's, on top of the built-in ones; an alias may not name another
    alias. Raises INVALID_MODEL_REF, with near names where there are some, and
    UNSUPPORTED_MODEL_FORMAT for a file that by its name is another format.
    """
    known = {**ALIASES, **(aliases or {})}
    if text not in known:
        return _parse(text, known)
    try:
        return _parse(known[text], {})
    except RbeeError as error:
        # Whoever wrote the alias is not to blame for what it stands for.
        message = f"The alias {text!r} is wrong: {error.message}"
        raise type(error)(message, **error.details) from None


def _parse(text: str, known: Mapping[str, str]) -> ModelRef:
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "file":
        return _file(rest, text)
    if colon and scheme == "bundled":
        if rest == BUNDLED:
            return ModelRef("bundled", BUNDLED)
        raise InvalidModelRef(value=text, forms=list(FORMS), near=[DEFAULT])
    if colon and scheme == "hf":
        return _hf(rest, text)
    if "/" in text and not text.startswith(("/", ".", "~")):
        return _hf(text, text)
    import difflib

    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    if text.startswith(("/", ".", "~")):
        near = [f"file:{text}"]
    raise InvalidModelRef(value=text, forms=list(FORMS), near=near)


def _file(path: str, written: str) -> ModelRef:
    if not path.startswith("/") or "\0" in path:
        raise InvalidModelRef(
            f"{written!r} is not a model reference: a file needs its absolute path.",
            value=written,
            forms=list(FORMS),
        )
    # By whatever name: the file's header decides.
    return ModelRef("file", path)


def _hf(rest: str, written: str) -> ModelRef:
    if rest.lower().endswith(_OTHER_FORMATS):
        raise UnsupportedModelFormat(value=written, forms=list(FORMS))
    match = _HF.fullmatch(rest)
    # Any of them would make a file's place another one: `owner/repo//etc/m.gguf`.
    if match is None or not {"", ".", ".."}.isdisjoint(rest.split("/")):
        raise InvalidModelRef(value=written, forms=list(FORMS))
    quantization = match["quantization"]
    return ModelRef(
        "hf",
        match["repo"],
        match["revision"] if match["revision"] != "main" else None,
        match["file"],
        quantization.upper() if quantization else None,
    )
