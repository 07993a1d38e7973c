"""How the next token is chosen: llama.cpp's own samplers, one chain per request.

A grammar takes away what it does not allow before the chain chooses. Probabilities are told as the
model gave them, before that and before everything in the chain.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from rbee.contract.events import TokenLogprob
from rbee.contract.tasks import Sampling
from rbee.worker.model.bindings import C
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model

if TYPE_CHECKING:  # most answers have none
    from rbee.worker.model.constraint import Constraint

# Below it, logits divided by the temperature are no float32 any more, and nothing is likeliest.
_COLDEST = 1e-30
# From here on a bias forbids its token. It stays a number, so that where only such tokens are left
# one of them comes: divided by the lowest temperature it still is a float32.
_FORBIDS = -100.0
_FORBIDDEN = -1e8
_REPEATED_IN = 64


class Sampler:
    """A sampler chain for one request."""

    def __init__(
        self, model: Model, request: Sampling, constraint: Constraint | None = None
    ) -> None:
        """A request without a seed gets a random one. `constraint` is the request's grammar."""
        self._model = model
        self._constraint = constraint
        self._most_likely = request.logprobs
        self.logprob: TokenLogprob | None = None
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        for part in _chain(model, request):
            C.llama_sampler_chain_add(self._chain, part)

    def sample(self, context: Context, index: int) -> int:
        """The token that follows the batch's token at `index`. `logprob` tells of it, if that was
        asked for. Raises INVALID_REQUEST if the grammar has no way on."""
        likelihood = None
        if self._most_likely is not None:
            from rbee.worker.model.likelihood import Likelihood

            likelihood = Likelihood(context.logits(index), self._most_likely)
        if self._constraint is not None:
            self._constraint.restrict(context.logits(index))
        token = int(C.llama_sampler_sample(self._chain, context.handle, index))
        if self._constraint is not None:
            self._constraint.accept(token)
        if likelihood is not None:
            self.logprob = likelihood.of(token, self._model.spelled)
        return token

    @property
    def is_complete(self) -> bool:
        """Whether the grammar lets nothing follow."""
        return self._constraint is not None and self._constraint.is_complete

    def free(self) -> None:
        C.llama_sampler_free(self._chain)


def _chain(model: Model, request: Sampling) -> list[Any]:
    parts = []
    if biases := _biases(model, request):
        array = (C.llama_logit_bias * len(biases))(
            *(C.llama_logit_bias(token, bias) for token, bias in biases.items())
        )
        size = model.vocabulary_size
        parts.append(C.llama_sampler_init_logit_bias(size, len(biases), array))
    if request.repeat_penalty != 1.0:
        parts.append(_penalties(model, _REPEATED_IN, request.repeat_penalty, 0.0, 0.0))
    presence, frequency = request.presence_penalty, request.frequency_penalty
    if presence or frequency:
        # Over the whole answer.
        parts.append(_penalties(model, request.max_tokens, 1.0, frequency, presence))
    if request.temperature < _COLDEST:
        return [*parts, C.llama_sampler_init_greedy()]
    seed = secrets.randbits(32) if request.seed is None else request.seed
    return [
        *parts,
        C.llama_sampler_init_top_k(request.top_k),
        C.llama_sampler_init_top_p(request.top_p, 1),
        C.llama_sampler_init_min_p(request.min_p, 1),
        C.llama_sampler_init_temp(request.temperature),
        C.llama_sampler_init_dist(seed),
    ]


def _biases(model: Model, request: Sampling) -> dict[int, float]:
    biases = {
        int(token): _FORBIDDEN if bias <= _FORBIDS else bias
        for token, bias in request.logit_bias.items()
    }
    if request.ignore_eos:
        biases |= dict.fromkeys(model.ends(), -float("inf"))
    return biases


def _penalties(model: Model, last: int, repeat: float, frequency: float, presence: float) -> Any:
    return C.llama_sampler_init_penalties(model.vocabulary_size, last, repeat, frequency, presence)
