"""A conversation as a prompt: by the model's own Jinja template, in a process that can be killed.

The variables are those of transformers. What a template can't take is put into a form that it can:
see `rbee.worker.model.templates.environment`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from rbee.contract.errors import InvalidRequest
from rbee.runtime import safe_text
from rbee.worker.model.killable import Failed
from rbee.worker.model.templates.renderers import Renderers, Templates

DEFAULT, WITH_TOOLS = "default", "tool_use"

_LONGEST_ERROR = 500
_OURS = ("messages", "tools", "add_generation_prompt")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class TemplateFacts(msgspec.Struct, frozen=True):
    """What a template shows the model: what a system says, the functions that it may call, those
    that it has called, and what they answered. A system's text always arrives: `render` moves it
    to the user's turn if need be."""

    system: bool
    tools: bool
    tool_calls: bool
    tool_answers: bool


class ChatTemplate:
    """Renders conversations. `stops` are texts that end an answer, whatever the request says."""

    def __init__(
        self,
        sources: Mapping[str, str],
        tokens: Mapping[str, str],
        renderers: Renderers,
        stops: Sequence[str] = (),
    ) -> None:
        """`sources` has the template by the name `default`, and the one for conversations with
        tools by `tool_use`, if there is one. `tokens` are the texts of special tokens, by the names
        that templates have for them."""
        self.stops = stops
        self._sources = dict(sources)
        self._templates = Templates(self._sources, dict(tokens))
        self._renderers = renderers

    def source(self, with_tools: bool = False) -> str:
        """The template's text."""
        return self._sources[self._name(with_tools)]

    def prepare(self) -> None:
        """Have it compiled before the first conversation; what is wrong with it, that one tells."""
        self._renderers.prepare(self._templates)

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        think: bool | None = None,
        kwargs: Mapping[str, Any] = _NOTHING,
    ) -> str:
        """The prompt, up to where the answer begins.

        `messages` and `tools` are those of the Chat Completions API, but the arguments of a call
        are an object if they can be. `kwargs` are further variables. Raises INVALID_REQUEST if the
        template refuses the conversation (an unknown role, say), is not valid, or takes too long or
        too much memory. Canceled, it stops the template.
        """
        if taken := [name for name in _OURS if name in kwargs]:
            error = f"The variable {taken[0]} of the chat template is not for chat_template_kwargs"
            raise InvalidRequest.of("chat_template_kwargs", "other variables", error)
        # The names that templates have for it.
        thinking = {} if think is None else {"enable_thinking": think, "thinking": think}
        request = {
            "render": self._name(bool(tools)),
            "messages": messages,
            "tools": tools,
            "variables": {**thinking, **kwargs},
        }
        return await self._ask(request)

    async def facts(self, with_tools: bool = True) -> TemplateFacts:
        """What the template that is used with tools, or without, can do. Raises INVALID_REQUEST as
        `render` does."""
        text = await self._ask({"facts": self._name(with_tools)})
        return msgspec.json.decode(text, type=TemplateFacts)

    def _name(self, with_tools: bool) -> str:
        return WITH_TOOLS if with_tools and WITH_TOOLS in self._sources else DEFAULT

    async def _ask(self, request: Mapping[str, Any]) -> str:
        try:
            return await self._renderers.ask(self._templates, request)
        except Failed as error:
            # It may quote the template, a stranger's text, and goes to logs and terminals.
            words = safe_text.line(" ".join(str(error).split()))[:_LONGEST_ERROR]
            message = f"The model's chat template {words}"
            raise InvalidRequest.of("messages", "the model's chat template", message) from None
