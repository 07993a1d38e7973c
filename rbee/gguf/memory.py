"""How much memory a model needs: one rule for the preflight, the listings and the doctor."""

from __future__ import annotations

from rbee.gguf.header import Header, context_length

HEADROOM = 1.2


def required_bytes(model_bytes: int, kv_bytes: int) -> int:
    """Memory that a model needs: 1.2 × its size, or weights plus KV cache if that is more."""
    return max(int(model_bytes * HEADROOM), model_bytes + kv_bytes)


def kv_bytes(header: Header, context: int | None) -> int:
    """The KV cache for the configured `context`, None for the default one."""
    return header.kv_bytes(context_length(context, header.context_length))
