"""Texts and tokens, without an answer: between queen and worker."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from rbee.contract.tasks import TokenId

# Each part of a content takes microseconds by itself, on a thread that nothing can stop: with
# these, a request takes seconds at most.
_MOST_PARTS, _MOST_CHARACTERS, _MOST_TOKENS = 8_192, 1_000_000, 500_000

Text = Annotated[str, Meta(max_length=_MOST_CHARACTERS)]


class TokenizeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/tokenize: a text, or a list of up to 8192 texts and ids of tokens, which stay as
    they are; a million characters in all. `add_special` puts the special tokens around it that the
    model expects there. Without `parse_special`, a control token that is spelled out stays text.
    `with_pieces` asks for the text of each token too."""

    content: Text | Annotated[list[Text | TokenId], Meta(max_length=_MOST_PARTS)]
    add_special: bool = False
    parse_special: bool = True
    with_pieces: bool = False

    def __post_init__(self) -> None:
        if sum(len(each) for each in self.content if isinstance(each, str)) > _MOST_CHARACTERS:
            raise ValueError(f"content: Expected at most {_MOST_CHARACTERS} characters in all")


class Tokens(msgspec.Struct, frozen=True):
    """The ids of the tokens. A piece is a text, or its bytes if they are no whole characters."""

    tokens: list[int]
    pieces: list[str | list[int]] | None = None


class DetokenizeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/detokenize: at most half a million tokens."""

    tokens: Annotated[list[TokenId], Meta(max_length=_MOST_TOKENS)]


class PlainText(msgspec.Struct, frozen=True):
    """The text of some tokens, control tokens included."""

    content: str


class PromptText(msgspec.Struct, frozen=True):
    """A conversation as the model's chat template writes it, up to where the answer begins."""

    prompt: str


class TemplateText(msgspec.Struct, frozen=True):
    """The model's chat template, and how the tokens are spelled that begin and end a sequence;
    null if it has none."""

    chat_template: str
    bos_token: str | None
    eos_token: str | None
