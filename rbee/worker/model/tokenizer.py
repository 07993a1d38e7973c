"""Text to tokens with llama.cpp's tokenizer, which no text can end and none can keep busy for long.

Its regular expressions recurse once per character of a run, so a long text gets a thread with a
stack that is large enough. It searches the rest of the text for every special token after each
one that it finds, so a text with many of them is handed over in pieces, cut before special tokens.
"""

from __future__ import annotations

import ctypes
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, Final

from rbee.worker.model.beginning import Beginning
from rbee.worker.model.bindings import C
from rbee.worker.model.large_stack import call_with_stack

# 320 to 384 bytes were measured per byte of text, with eight families' expressions.
_STACK_PER_BYTE = 512
_STACK = 1 << 20
# Bytes of text for which any thread's stack is enough.
_SHORT = 4096
# Bytes of the first look at a text that may be too long.
_FIRST_LOOK = 65_536
_PIECE = 4096
_SPECIAL: Final = C.LLAMA_TOKEN_ATTR_CONTROL | C.LLAMA_TOKEN_ATTR_USER_DEFINED
_WITH_PIECES = (C.LLAMA_VOCAB_TYPE_SPM, C.LLAMA_VOCAB_TYPE_BPE)

# What C calls space.
_BLANKS = " \t\n\v\f\r"
# Between texts, so that they can't spell a token together.
_APART = "\ufdd2"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Tokenizer:
    """Of one vocabulary. Thread-safe."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab

    def tokenize(
        self, text: str, most: int, hidden: Mapping[str, str] = _NOTHING, around: bool = True
    ) -> list[int]:
        """The token ids, unless told otherwise with the special tokens that the model expects
        `around` a text. If it surely has more than `most`, perhaps only its Beginning, which has
        more than that. `hidden` is what `hide_control` made. Raises MemoryError if there is none to
        take the text apart."""
        first, *others = self._pieces(text.encode(errors="replace"))
        before, after = self._around if around else ([], [])
        if not others:
            tokens = self._tokenize(first, most, around)
        else:
            begun = self._tokenize(first, most)
            tokens = [*before, *begun]
            if isinstance(begun, Beginning):
                return Beginning(tokens)
            for piece in others:
                if len(tokens) > most:
                    return Beginning(tokens)
                tokens += (part := self._tokenize(piece, most))
                if isinstance(part, Beginning):
                    return Beginning(tokens)
            tokens += after
        if not hidden or len(tokens) > most:
            return tokens
        inner = tokens[len(before) : len(tokens) - len(after)]
        return [*before, *self._reveal(text, inner, hidden), *after]

    def cut(self, tokens: list[int], most: int) -> list[int]:
        """The first `most` of a text's tokens, with those that the model expects around it; all of
        them if nothing else would be left."""
        before, after = self._around
        if most <= len(before) + len(after):
            return tokens
        return [*tokens[: most - len(after)], *after]

    def text(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, control tokens included."""
        return b"".join(self.pieces(tokens)).decode(errors="replace")

    def pieces(self, tokens: Sequence[int]) -> Iterator[bytes]:
        """The bytes of each token, which may be part of a character."""
        buffer = ctypes.create_string_buffer(_PIECE)
        for token in tokens:
            length = C.llama_token_to_piece(self._vocab, token, buffer, _PIECE, 0, True)
            yield buffer.raw[: max(length, 0)]

    def token(self, text: str) -> int | None:
        """The token that is spelled exactly so, if there is one."""
        tokens = self._ask(text.encode(), around=False)
        return tokens[0] if len(tokens) == 1 and self.text(tokens) == text else None

    def control_token(self, text: str) -> int | None:
        """The same, if it is a control token."""
        token = self.token(text)
        return None if token is None or not self._control_text(token) else token

    def special_tokens(self) -> dict[str, int]:
        """Every control token and every user-defined one, by its text."""
        vocab, attributes = self._vocab, C.llama_vocab_get_attr
        tokens = range(C.llama_vocab_n_tokens(vocab))
        special = [token for token in tokens if attributes(vocab, token) & _SPECIAL]
        texts = (C.llama_vocab_get_text(vocab, token) for token in special)
        return dict(zip((text.decode(errors="replace") for text in texts), special, strict=True))

    def hide_control(
        self, texts: Sequence[str], most: int
    ) -> tuple[list[str], dict[str, str]] | None:
        """The texts with a placeholder for each control token that they spell out, which then
        stays text, and what each placeholder stands for. None for texts of more than `most` tokens
        in all.

        A placeholder has only letters and digits, so that whatever writes it leaves it as it is,
        such as JSON in ASCII. Nobody can guess it.
        """
        found, places = list(texts), dict[str, str]()
        secret = secrets.token_hex(8)
        while (spelled := self._spelled_out(_APART.join(found), most)) != []:
            if spelled is None:
                return None
            # A vocabulary may have the letters of placeholders as control tokens. Those are left: a
            # placeholder in a placeholder, and so on, would have no end.
            spelled = [each for each in spelled if each not in places]
            if not spelled:
                break
            pattern = re.compile("|".join(map(re.escape, [*places.values(), *spelled])))
            for each in spelled:
                places[each] = f"x{secret}{len(places)}x"
            found = [pattern.sub(lambda at: places.get(at[0], at[0]), text) for text in found]
        return found, {placeholder: each for each, placeholder in places.items()}

    def _spelled_out(self, text: str, most: int) -> list[str] | None:
        """The control tokens in it, the longest first. None for more than `most` tokens."""
        tokens = self.tokenize(text, most)
        if len(tokens) > most:
            return None
        found = {self._control_text(token) for token in set(tokens)}
        return sorted((each for each in found if each and each in text), key=len, reverse=True)

    def _control_text(self, token: int) -> str:
        """How a control token is spelled; empty for another token."""
        if not C.llama_vocab_get_attr(self._vocab, token) & C.LLAMA_TOKEN_ATTR_CONTROL:
            return ""
        return str(C.llama_vocab_get_text(self._vocab, token).decode(errors="replace"))

    def _reveal(self, text: str, tokens: list[int], hidden: Mapping[str, str]) -> list[int]:
        """The tokens with what is hidden as plain text: a fragment that has a placeholder is taken
        apart anew."""
        revealed: list[int] = []
        placeholder = re.compile("|".join(hidden))
        for words, known, control in self._fragments(text, tokens):
            if placeholder.search(words):
                known = self._plain(placeholder.sub(lambda found: hidden[found[0]], words))
            revealed += known
            revealed += control
        return revealed

    def _fragments(
        self, text: str, tokens: list[int]
    ) -> Iterator[tuple[str, list[int], list[int]]]:
        """What stands between control tokens, without the blanks that those take, with its tokens,
        and the control token after it; at the end there is none. They stand in the text in their
        order."""
        begun, place, strips = 0, 0, False
        for at, token in enumerate(tokens):
            spelled = self._control_text(token)
            found = text.find(spelled, place) if spelled else -1
            if found < 0:
                continue
            attributes = C.llama_vocab_get_attr(self._vocab, token)
            words = text[place:found].lstrip(_BLANKS) if strips else text[place:found]
            if attributes & C.LLAMA_TOKEN_ATTR_LSTRIP:
                words = words.rstrip(_BLANKS)
            yield words, tokens[begun:at], [token]
            begun, place = at + 1, found + len(spelled)
            strips = bool(attributes & C.LLAMA_TOKEN_ATTR_RSTRIP)
        yield text[place:].lstrip(_BLANKS) if strips else text[place:], tokens[begun:], []

    def _plain(self, text: str) -> list[int]:
        data = text.encode(errors="replace")
        ask = partial(self._ask, data, around=False, control=False)
        return _with_stack(len(data), ask) if data else []

    def _tokenize(self, data: bytes, most: int, around: bool = False) -> list[int]:
        """A piece. Where it is cut for a look, a token may become several: twice as many are
        beyond doubt."""
        look = _FIRST_LOOK
        while look < len(data):
            begun = _with_stack(look, partial(self._ask, data[:look], around))
            if len(begun) > 2 * most:
                return Beginning(begun)
            look *= 2
        return _with_stack(len(data), partial(self._ask, data, around))

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut a long text before special tokens, at which llama.cpp cuts too."""
        begun = 0
        special = self._special if len(data) > _SHORT else None
        for found in special.finditer(data) if special else ():
            if found.start() - begun >= _PIECE:
                yield data[begun : found.start()]
                begun = found.start()
        yield data[begun:]

    def _ask(self, data: bytes, around: bool, control: bool = True) -> list[int]:
        """llama.cpp's tokens, with those around a text, and with control tokens where the text
        spells them out."""
        room = len(data) + 8
        buffer = (C.llama_token * room)()
        count = C.llama_tokenize(self._vocab, data, len(data), buffer, room, around, control)
        if count < 0:
            # A vocabulary without a token for the space spells it in the three bytes of "▁".
            room = -count
            buffer = (C.llama_token * room)()
            count = C.llama_tokenize(self._vocab, data, len(data), buffer, room, around, control)
        return list(buffer[: max(count, 0)])

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        """What stands before and after each text."""
        both = self._ask(b"", around=True)
        first = C.llama_vocab_get_add_bos(self._vocab)
        return both[:first], both[first:]

    @cached_property
    def _special(self) -> re.Pattern[bytes] | None:
        """Special tokens before which a text can be cut: nothing that stands there can be another
        token's middle, and they take no blanks from what stands before them."""
        if C.llama_vocab_type(self._vocab) not in _WITH_PIECES:
            return None
        texts = []
        for token in range(C.llama_vocab_n_tokens(self._vocab)):
            attributes = C.llama_vocab_get_attr(self._vocab, token)
            if attributes & _SPECIAL and not attributes & C.LLAMA_TOKEN_ATTR_LSTRIP:
                text = C.llama_vocab_get_text(self._vocab, token)
                if text[:1] in (b"<", b"[") and text[-1:] in (b">", b"]"):
                    texts.append(text)
        texts.sort(key=len, reverse=True)
        return re.compile(b"|".join(map(re.escape, texts))) if texts else None


def _with_stack(length: int, work: Callable[[], list[int]]) -> list[int]:
    """Do the `work` for a text of `length` bytes on a stack that is large enough for it."""
    if length <= _SHORT:
        return work()
    try:
        return call_with_stack(_STACK + length * _STACK_PER_BYTE, work)
    except MemoryError:
        message = f"This machine has no memory to take a text of {length} bytes apart"
        raise MemoryError(message) from None
