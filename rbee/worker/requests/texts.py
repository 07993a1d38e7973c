"""Texts to tokens and back, and conversations to prompts. None of it takes a slot."""

from __future__ import annotations

import sys
from functools import partial

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import InferenceRequest
from rbee.contract.texts import (
    DetokenizeRequest,
    PlainText,
    PromptText,
    TemplateText,
    TokenizeRequest,
    Tokens,
)
from rbee.worker.model.tokenizer import Tokenizer
from rbee.worker.requests import tool_use
from rbee.worker.requests.admission import check_tokens
from rbee.worker.requests.prompt import written
from rbee.worker.requests.requests import Requests


async def tokenize(requests: Requests, message: TokenizeRequest) -> Tokens:
    """The tokens of a text. Raises INVALID_REQUEST, and PROMPT_TOO_LONG if there is no memory to
    take it apart."""
    model = requests.loaded.model
    content: list[str | int] = (
        [message.content] if isinstance(message.content, str) else [*message.content]
    )
    ids = [each for each in content if isinstance(each, int)]
    check_tokens("content", ids, model.vocabulary_size)
    work = partial(_tokens, model.tokenizer, content, message)
    return await requests.tokenize("content", work)


async def detokenize(requests: Requests, message: DetokenizeRequest) -> PlainText:
    """The text of some tokens. Raises INVALID_REQUEST."""
    model = requests.loaded.model
    check_tokens("tokens", message.tokens, model.vocabulary_size)
    return PlainText(await requests.in_thread(lambda: model.tokenizer.text(message.tokens)))


async def write_prompt(requests: Requests, message: InferenceRequest) -> PromptText:
    """The prompt of a conversation. Raises INVALID_REQUEST as the chat template does."""
    if message.messages is None:
        raise InvalidRequest.of("messages", "given", "Expected messages")
    told = await tool_use.as_told(requests.loaded, message)
    return PromptText(await written(requests.loaded, told))


def template(requests: Requests) -> TemplateText:
    """The template itself."""
    loaded = requests.loaded
    found = (loaded.model.special_token(which) for which in ("bos", "eos"))
    begin, end = (
        None if token is None else loaded.model.tokenizer.text([token]) for token in found
    )
    return TemplateText(loaded.chat.source(), begin, end)


def _tokens(tokenizer: Tokenizer, content: list[str | int], message: TokenizeRequest) -> Tokens:
    found: list[int] = []
    around = message.add_special
    for each in content:
        if isinstance(each, int):
            found.append(each)
        else:
            found += _of_text(tokenizer, each, around, message.parse_special)
        around = False  # it stands before the first only
    if not message.with_pieces:
        return Tokens(found)
    return Tokens(found, [_piece(each) for each in tokenizer.pieces(found)])


def _of_text(tokenizer: Tokenizer, text: str, around: bool, control: bool) -> list[int]:
    if control:
        return tokenizer.tokenize(text, sys.maxsize, around=around)
    hiding = tokenizer.hide_control([text], sys.maxsize)
    assert hiding is not None  # any number of tokens will do
    [said], hidden = hiding
    return tokenizer.tokenize(said, sys.maxsize, hidden, around)


def _piece(found: bytes) -> str | list[int]:
    try:
        return found.decode()
    except UnicodeDecodeError:
        return list(found)
