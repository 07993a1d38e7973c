"""How the next token is chosen: llama.cpp's own samplers, in a chain for each request."""

from __future__ import annotations

from typing import Any

from llama_cpp import llama_cpp as C

from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model


class Sampler:
    """llama.cpp's own sampler chain for one request."""

    def __init__(
        self,
        model: Model,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repeat_penalty: float,
        seed: int,
        ignore_eos: bool,
    ) -> None:
        size = model.vocabulary_size
        parts: list[Any] = []
        if ignore_eos:
            biases = [C.llama_logit_bias(token, -float("inf")) for token in model.ends()]
            array = (C.llama_logit_bias * len(biases))(*biases)
            parts.append(C.llama_sampler_init_logit_bias(size, len(biases), array))
        if repeat_penalty != 1.0:
            parts.append(C.llama_sampler_init_penalties(size, 64, repeat_penalty, 0.0, 0.0))
        if temperature == 0:
            parts.append(C.llama_sampler_init_greedy())
        else:
            parts.append(C.llama_sampler_init_top_k(top_k))
            parts.append(C.llama_sampler_init_top_p(top_p, 1))
            parts.append(C.llama_sampler_init_min_p(min_p, 1))
            parts.append(C.llama_sampler_init_temp(temperature))
            parts.append(C.llama_sampler_init_dist(seed))
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        for part in parts:
            C.llama_sampler_chain_add(self._chain, part)

    def sample(self, context: Context, index: int) -> int:
        """The next token after the batch's token at `index`."""
        return int(C.llama_sampler_sample(self._chain, context.handle, index))

    def free(self) -> None:
        C.llama_sampler_free(self._chain)
