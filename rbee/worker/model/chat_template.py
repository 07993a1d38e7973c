"""A conversation as a prompt: the model's own Jinja template, in a sandbox."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import Message

# llama.cpp uses it too, for a model without a template.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class ChatTemplate:
    """Renders messages. The template comes with the model, from strangers: hence the sandbox."""

    def __init__(self, source: str | None, bos: str, eos: str) -> None:
        self._bos, self._eos = bos, eos
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = time.strftime
        self._environment = environment
        self._source = source or CHATML
        self._compiled: Template | None = None

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt, up to where the answer begins.

        Raises INVALID_REQUEST if the template refuses the conversation (an unknown role, say) or
        does not compile. It is compiled here and not at the load, so that a model with a broken
        template still answers a raw prompt.
        """
        try:
            return self._template().render(
                messages=[{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                bos_token=self._bos,
                eos_token=self._eos,
            )
        except Exception as error:  # a template is a program, and may raise anything
            message = f"The model's chat template refuses this: {error}"
            raise InvalidRequest.of("messages", "the model's chat template", message) from None

    def _template(self) -> Template:
        if self._compiled is None:
            self._compiled = self._environment.from_string(self._source)
        return self._compiled


def _refuse(message: str) -> None:
    raise TemplateError(message)
