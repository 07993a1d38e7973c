"""A model in llama.cpp, through llama-cpp-python's low-level API.

What only reads is thread-safe: `Model.tokenizer`, `Model.grammars`, `Model.pair` and the facts
about the model. Native calls release the interpreter lock.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rbee.contract.errors import (
    BackendUnavailable,
    ModelCorrupt,
    RbeeError,
    UnsupportedModelFormat,
)
from rbee.contract.model_ref import FORMS
from rbee.contract.nodes import Usable
from rbee.worker.model import devices
from rbee.worker.model.bindings import C
from rbee.worker.model.grammar import Grammars
from rbee.worker.model.tokenizer import Tokenizer

_log = logging.getLogger("llama-cpp")
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_PIECE = 512
_SPECIAL = ("bos", "eos", "unk", "sep", "pad", "mask")
_UNKNOWN = b"tokenizer.ggml.unknown_token_id"


class _Log:
    """llama.cpp's log: passed on to ours, and its last errors kept, to say why a load failed. What
    it warns of before ours is set up, as in a standby worker, is kept until then: it says some
    things only once. While it is interrupted, what it calls errors are none."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=8)
        self.is_interrupted = False
        self._early: deque[tuple[int, str]] = deque(maxlen=32)
        self.callback = C.llama_log_callback(self._take)
        C.llama_log_set(self.callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _: Any) -> None:
        line = text.decode(errors="replace").strip()
        ours = logging.DEBUG if self.is_interrupted else _LEVELS.get(level, logging.DEBUG)
        if ours == logging.ERROR and line:
            self.errors.append(line)
        if line and _log.hasHandlers():
            _log.log(ours, "%s", line)
        elif line and ours >= logging.WARNING:
            self._early.append((ours, line))

    def pass_on(self) -> None:
        """Log what was kept, if our log is set up by now."""
        while self._early and _log.hasHandlers():
            level, line = self._early.popleft()
            _log.log(level, "%s", line)

    def reason(self) -> str:
        """The first of the last errors, which usually is the cause."""
        return self.errors[0] if self.errors else "llama.cpp gave no reason"


@functools.cache
def _llama_log() -> _Log:
    """One for the life of the process: llama.cpp keeps the pointer to the callback."""
    return _Log()


def forget_reasons() -> None:
    """What llama.cpp logs from here on is the reason if the next call fails."""
    _llama_log().errors.clear()


def last_reason() -> str:
    """Why llama.cpp's last call failed, in its own words."""
    return _llama_log().reason()


def interrupt(is_interrupted: bool) -> None:
    """Whether llama.cpp gives up what it computes because it was told to."""
    _llama_log().is_interrupted = is_interrupted


def initialise() -> list[str]:
    """Let llama.cpp do what it needs no model for, once: it fills its tables and looks for devices.
    Returns the backends. What it logs goes to our log from here on."""
    _llama_log().pass_on()
    C.llama_backend_init()
    return devices.backends()


def usable() -> Usable:
    """The backends and devices that llama.cpp can compute on."""
    initialise()
    return devices.usable()


class Model:
    """A loaded model. `free` releases its memory; call nothing else after it."""

    def __init__(
        self,
        path: Path,
        backend: str,
        device: int,
        mmap: bool,
        on_progress: Callable[[float], bool],
    ) -> None:
        """Load `path`. `on_progress` gets a fraction, and stops the load by returning False.

        Raises BACKEND_UNAVAILABLE, and MODEL_CORRUPT with llama.cpp's own reason.
        """
        available = initialise()
        if backend not in available:
            raise BackendUnavailable(backend=backend, available=available)
        params = C.llama_model_default_params()
        params.n_gpu_layers = 0 if backend == "cpu" else -1
        params.main_gpu = device
        if (chosen := devices.device_list(backend, device)) is not None:
            # Otherwise llama.cpp spreads the layers over every device of every backend.
            params.devices, params.main_gpu = ctypes.cast(chosen, ctypes.c_void_p), 0
        params.load_mode = C.LLAMA_LOAD_MODE_MMAP if mmap else C.LLAMA_LOAD_MODE_NONE
        params.use_extra_bufts = devices.repacks()
        callback = C.llama_progress_callback(lambda fraction, _: on_progress(fraction))
        params.progress_callback = callback
        forget_reasons()
        handle = C.llama_model_load_from_file(os.fsencode(path), params)
        if not handle:
            raise _load_error(path, last_reason())
        self.on_cpu = backend == "cpu"
        self._handle = handle
        self._vocab = C.llama_model_get_vocab(handle)
        self.tokenizer = Tokenizer(self._vocab)
        self.grammars = Grammars(self._vocab)
        self.vocabulary_size = int(C.llama_vocab_n_tokens(self._vocab))
        self._piece = ctypes.create_string_buffer(_PIECE)
        self._ends: list[int] | None = None
        self._further_ends: set[int] = set()

    def free(self) -> None:
        self.grammars.close()
        C.llama_model_free(self._handle)

    def size_bytes(self) -> int:
        """The size of the weights."""
        return int(C.llama_model_size(self._handle))

    def parameters(self) -> int:
        """How many weights it has."""
        return int(C.llama_model_n_params(self._handle))

    def can_cut(self) -> bool:
        """Whether a sequence can be cut back to a prefix; a recurrent state cannot."""
        recurrent = C.llama_model_is_recurrent(self._handle)
        return not (recurrent or C.llama_model_is_hybrid(self._handle))

    def has_encoder(self) -> bool:
        """Whether llama.cpp must be told to encode its batches, not to decode them."""
        return bool(C.llama_model_has_encoder(self._handle))

    def has_decoder(self) -> bool:
        return bool(C.llama_model_has_decoder(self._handle))

    def is_diffusion(self) -> bool:
        """Whether it fills in a whole text again and again, and does not go on token by token."""
        return bool(C.llama_model_is_diffusion(self._handle))

    def vector_width(self) -> int:
        """How many numbers an embedding has."""
        return int(C.llama_model_n_embd_out(self._handle))

    def scores(self) -> int:
        """How many numbers a model that ranks makes of a text; the first one is its rank."""
        return int(C.llama_model_n_cls_out(self._handle))

    def doubled_at(self) -> int:
        """The position at which prefill takes twice as long per token as at the beginning.

        There attention costs as many operations as the weights do: four for each position, layer
        and element of the embedding, against two for each weight.
        """
        layers = C.llama_model_n_layer(self._handle)
        width = C.llama_model_n_embd(self._handle)
        return max(int(self.parameters() / (2 * width * layers)), 1)

    @property
    def handle(self) -> Any:
        return self._handle

    def chat_template(self, name: str | None = None) -> str | None:
        """The model's own Jinja template, if it has one; with `name`, one of its others. For some
        models without one llama.cpp gives a name instead, of a template of its own."""
        found = C.llama_model_chat_template(self._handle, name and name.encode())
        text = found.decode(errors="replace") if found else ""
        return text if "{" in text else None

    def rerank_template(self) -> str | None:
        """How a model that ranks wants `{query}` and `{document}` put together, if it says."""
        found = C.llama_model_chat_template(self._handle, b"rerank")
        return found.decode(errors="replace") if found else None

    def pair(self, query: list[int], document: list[int]) -> list[int]:
        """A query and a document for a model that ranks and has no template for them, as
        llama.cpp's server does it: each special token only where the model wants such."""
        vocab = self._vocab
        separator = C.llama_vocab_sep(vocab)
        end = C.llama_vocab_eos(vocab)
        begins = [C.llama_vocab_bos(vocab)] if C.llama_vocab_get_add_bos(vocab) else []
        ends = [separator if end < 0 else end] if C.llama_vocab_get_add_eos(vocab) else []
        between = [separator] if C.llama_vocab_get_add_sep(vocab) else []
        return [*begins, *query, *ends, *between, *document, *ends]

    def special_token(self, which: str) -> int | None:
        """The `bos`, `eos`, `pad`, `sep`, `mask` or `unk` token, if the model has it."""
        if which == "unk":  # llama.cpp has no function for it
            value = ctypes.create_string_buffer(32)
            C.llama_model_meta_val_str(self._handle, _UNKNOWN, value, len(value))
            token = int(value.value) if value.value.isdigit() else -1
        else:
            token = getattr(C, f"llama_vocab_{which}")(self._vocab)
        return token if 0 <= token < self.vocabulary_size else None

    def special_texts(self) -> dict[str, str]:
        """The texts of those that it has, by the names of transformers: `bos_token`, …"""
        tokens = {f"{which}_token": self.special_token(which) for which in _SPECIAL}
        return {
            name: str(C.llama_vocab_get_text(self._vocab, token).decode(errors="replace"))
            for name, token in tokens.items()
            if token is not None
        }

    def adds_bos(self) -> bool:
        """Whether the tokenizer adds the beginning-of-sequence token by itself."""
        return bool(C.llama_vocab_get_add_bos(self._vocab))

    def piece(self, token: int) -> bytes:
        """The bytes of one token; empty for a control token."""
        length = C.llama_token_to_piece(self._vocab, token, self._piece, _PIECE, 0, False)
        if length < 0:
            large = ctypes.create_string_buffer(-length)
            length = C.llama_token_to_piece(self._vocab, token, large, -length, 0, False)
            return large.raw[:length]
        return self._piece.raw[:length]

    def spelled(self, token: int) -> bytes:
        """The same, and for a control token how it is spelled."""
        return self.piece(token) or bytes(C.llama_vocab_get_text(self._vocab, token))

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer (EOS, end of turn, …)."""
        return token in self._further_ends or bool(C.llama_vocab_is_eog(self._vocab, token))

    def end_with(self, token: int) -> None:
        """Let this token end answers too. Call it before the first answer."""
        self._further_ends.add(token)

    def ends(self) -> list[int]:
        """Every token that ends an answer."""
        if self._ends is None:
            self._ends = [*filter(self.is_end, range(self.vocabulary_size))]
        return self._ends


def _load_error(path: Path, reason: str) -> RbeeError:
    """The error for a file that llama.cpp does not load, from the reason that it logged."""
    reason = reason.removeprefix("llama_model_load: error loading model: ")
    if "unknown model architecture" in reason:
        return UnsupportedModelFormat(
            f"{path} has an {reason}, for the installed llama.cpp.",
            value=str(path),
            forms=list(FORMS),
        )
    return ModelCorrupt(file=str(path), reason=reason)
