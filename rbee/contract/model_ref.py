"""How a model is named: the forms of CONTRACT.md, read and written in one place.

hf:owner/repo[@revision][:QUANT]      hf:owner/repo[@revision]/path/file.gguf
file:/abs/path.gguf                   bundled:smollm2-135m-instruct
owner/repo   (means hf:)              a bare word (an alias)

The path of a file in a repository is percent-encoded where it holds what a reference can't: blanks,
`%#?:@` and letters outside ASCII (RFC 3986, 2.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

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
_HF = (
    rf"(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._-]{{0,95}}))?"
    r"(?:/(?P<file>[^\s:@?#\\\x00-\x1f\x7f]+\.(?i:gguf))|:(?P<quantization>[A-Za-z][A-Za-z0-9_]{0,15}))?"
)
# A file's path as the Hub has it, behind the repository.
_WRITTEN_OUT = rf"(?i)(?P<place>{_NAME}/{_NAME}(?:@[^/]*)?/)(?P<file>.+\.gguf)"
_ENCODED = r"[^!-~]|[%#?:@]"
# What no name of a file may hold, however it is written.
_NEVER = r"[\\\x00-\x1f\x7f]"


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
        file = f"/{encoded(self.file)}" if self.file else ""
        quantization = f":{self.quantization}" if self.quantization else ""
        return f"{self.scheme}:{self.name}{revision}{file}{quantization}"

    @property
    def repository(self) -> str:
        """The name for comparing: the Hub ignores case in names."""
        return self.name.lower() if self.scheme == "hf" else self.name

    @property
    def shown(self) -> str:
        """The reference for people to read, with the file's name as it is in its repository."""
        if self.file is None:
            return str(self)
        return f"{str(self).removesuffix(encoded(self.file))}{self.file}"


def encoded(file: str, but: str = "") -> str:
    """The path of a file in a repository, for a reference; the characters of `but` stay. Raises
    UnicodeEncodeError for a name that is not UTF-8."""
    return re.sub(
        _ENCODED, lambda each: each[0] if each[0] in but else quote(each[0], safe=""), file
    )


def shown(reference: str) -> str:
    """A reference of another program for people to read."""
    try:
        return parse(reference).shown
    except RbeeError:
        return reference


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
    match = re.fullmatch(_HF, rest)
    if match is None:
        near = {"near": found} if (found := _near(rest)) else {}
        raise InvalidModelRef(value=written, forms=list(FORMS), **near)
    try:
        file = unquote(match["file"], errors="strict") if match["file"] else None
    except UnicodeDecodeError:
        raise InvalidModelRef(value=written, forms=list(FORMS)) from None
    # Any of them would make a file's place another one: `owner/repo//etc/m.gguf`.
    if file and (not {"", ".", ".."}.isdisjoint(file.split("/")) or re.search(_NEVER, file)):
        raise InvalidModelRef(value=written, forms=list(FORMS))
    quantization = match["quantization"]
    return ModelRef(
        "hf",
        match["repo"],
        match["revision"] if match["revision"] != "main" else None,
        file,
        quantization.upper() if quantization else None,
    )


def _near(rest: str) -> list[str]:
    """The reference of a file whose name was written as it is in its repository."""
    found = re.fullmatch(_WRITTEN_OUT, rest)
    try:
        file = encoded(found["file"], but="%") if found else ""
        return (
            [str(_hf(f"{found['place']}{file}", rest))] if found and file != found["file"] else []
        )
    except (RbeeError, UnicodeEncodeError):
        return []
