"""Which chat template a model has: its own, or its family's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbee.worker.model.chat_template import DEFAULT, WITH_TOOLS, ChatTemplate
from rbee.worker.model.templates.families import family
from rbee.worker.model.templates.renderers import Renderers

if TYPE_CHECKING:
    from rbee.worker.model.llama import Model


def chat_template(model: Model, renderers: Renderers) -> tuple[ChatTemplate, str]:
    """The template, and what to tell a person of it, if anything. What ends a turn in the family's
    template then ends answers of the model."""
    tokens = model.special_texts()
    if own := model.chat_template():
        sources = {DEFAULT: own}
        if with_tools := model.chat_template(WITH_TOOLS):
            sources[WITH_TOOLS] = with_tools
        return ChatTemplate(sources, tokens, renderers), ""
    special = model.tokenizer.special_tokens()
    chosen = family(special)
    if chosen.end in special:
        model.end_with(special[chosen.end])
    told = f"the model has no chat template: conversations are written {chosen.description}"
    return ChatTemplate({DEFAULT: chosen.source}, tokens, renderers, chosen.stops), told
