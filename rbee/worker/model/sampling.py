"""How the next token is chosen: llama.cpp's own samplers, one chain per request."""

from __future__ import annotations

import secrets
from typing import Any

from rbee.contract.tasks import Sampling
from rbee.worker.model.bindings import C
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model

# Below it, logits divided by the temperature are no float32 any more, and nothing is likeliest.
_COLDEST = 1e-30


class Sampler:
    """A sampler chain for one request."""

    def __init__(self, model: Model, request: Sampling) -> None:
        """A request without a seed gets a random one."""
        size = model.vocabulary_size
        parts: list[Any] = []
        if request.ignore_eos:
            biases = [C.llama_logit_bias(token, -float("inf")) for token in model.ends()]
            array = (C.llama_logit_bias * len(biases))(*biases)
            parts.append(C.llama_sampler_init_logit_bias(size, len(biases), array))
        if request.repeat_penalty != 1.0:
            parts.append(C.llama_sampler_init_penalties(size, 64, request.repeat_penalty, 0.0, 0.0))
        if request.temperature < _COLDEST:
            parts.append(C.llama_sampler_init_greedy())
        else:
            parts.append(C.llama_sampler_init_top_k(request.top_k))
            parts.append(C.llama_sampler_init_top_p(request.top_p, 1))
            parts.append(C.llama_sampler_init_min_p(request.min_p, 1))
            parts.append(C.llama_sampler_init_temp(request.temperature))
            seed = secrets.randbits(32) if request.seed is None else request.seed
            parts.append(C.llama_sampler_init_dist(seed))
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        for part in parts:
            C.llama_sampler_chain_add(self._chain, part)

    def sample(self, context: Context, index: int) -> int:
        """The token that follows the batch's token at `index`."""
        return int(C.llama_sampler_sample(self._chain, context.handle, index))

    def free(self) -> None:
        C.llama_sampler_free(self._chain)
