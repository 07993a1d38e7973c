"""Whether a model can read a text in steps, each of which sees those before it.

Whether it can is llama.cpp's knowledge, but it tells only a part of it. A model with bidirectional
attention can't, nor one without a KV cache. And there are architectures whose tokens do see only
those before them, whose context has a cache, and which never look into it (llama-embed). Only what
they compute shows that.
"""

from __future__ import annotations

import math

from rbee.contract.errors import UnsupportedModelFormat
from rbee.contract.model_ref import FORMS
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model, last_reason

_HALF = 4


def reads_in_steps(model: Model, architecture: str, context: Context, threads: int) -> bool:
    """Whether `model`, of which `context` is one, can read in steps. If it can't, it can't generate
    either: an answer is read token by token.

    A model that is made for embeddings by its name, or by how it pools, is tried out. That takes as
    long as twenty tokens. Raises UNSUPPORTED_MODEL_FORMAT if it can't compute
    them.
    """
    if not context.causal or model.has_encoder() or model.is_diffusion():
        return False
    for_vectors = context.pooling != "none" or "embed" in architecture
    return not for_vectors or _looks_back(model, architecture, threads)


def _looks_back(model: Model, architecture: str, threads: int) -> bool:
    """Read the second half of a text after the first one, together with it, and without it. What
    comes of the first way is nearly that of the second, or exactly that of the third."""
    tokens = [number % model.vocabulary_size for number in range(2 * _HALF)]
    context = Context(model, len(tokens), 1, threads, vectors="none")

    def last(begin: int, end: int) -> list[float]:
        context.clear_batch()
        context.add(0, begin, tokens[begin:end], outputs=end - begin)
        if context.decode() != 0:
            raise UnsupportedModelFormat(
                f"llama.cpp can't compute with this {architecture} model: {last_reason()}",
                value=architecture,
                forms=list(FORMS),
                hint="Use another model or backend.",
            )
        return [float(part) for part in context.vectors()[-1]]

    try:
        last(0, _HALF)
        after = last(_HALF, len(tokens))
        context.forget(0)
        together = last(0, len(tokens))
        context.forget(0)
        without = last(_HALF, len(tokens))
    finally:
        context.free()
    return not math.dist(after, without) < math.dist(after, together)
