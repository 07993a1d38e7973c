"""What a model can be asked for, as its header tells: by its chat template and its pooling."""

from __future__ import annotations

import re

from rbee.contract.models import Capability
from rbee.gguf.header import Header

CHAT_TEMPLATE = "tokenizer.chat_template"
_WITH_TOOLS = "tokenizer.chat_template.tool_use"
_TOOLS = r"\btools\b"
# The marks around reasoning of the families that there are, and the switch that many have.
_THINKING = (
    "<think>",
    "</think>",
    "[THINK]",
    "<|START_THINKING|>",
    "<seed:think>",
    "<|channel>thought",
    "<|channel|>analysis",
    "<|inner_prefix|>",
    "◁think▷",
    "<thought>",
    "<reasoning>",
    "enable_thinking",
)


def capabilities(header: Header) -> list[Capability]:
    """A model that pools is made for vectors; any other completes, and knows tools or reasons if
    its chat template does."""
    if f"{header.architecture}.pooling_type" in header.fields:
        return ["embedding"]
    found: list[Capability] = ["completion"]
    template = chat_template(header)
    if _WITH_TOOLS in header.fields or re.search(_TOOLS, template):
        found.append("tools")
    if any(mark in template for mark in _THINKING):
        found.append("thinking")
    return found


def chat_template(header: Header) -> str:
    """The text of the model's own template; "" if it has none, or one beyond all limits."""
    return str(header.fields.get(CHAT_TEMPLATE, ""))
