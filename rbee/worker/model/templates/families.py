"""Chat templates for models whose file has none: each family's own, told by its vocabulary.

A template of another family is worse than none. Its marks are not tokens of the model then, which
reads them as text and writes them into its answer. So a family is chosen only if all its marks are
tokens; a model without any is asked in plain text.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple


class Family(NamedTuple):
    """`marks` are the tokens that its `source` writes, and `end` is the one that ends an answer,
    if it is another than the vocabulary's end-of-sequence token. `stops` are texts that end it."""

    name: str
    marks: tuple[str, ...]
    source: str
    end: str = ""
    stops: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """How it writes a conversation."""
        if not self.marks:
            return "as plain text, because its vocabulary has no marks for turns"
        return f"as {self.name} has them, whose marks its vocabulary has"


def family(special: Container[str]) -> Family:
    """The family of a vocabulary with these control tokens and user-defined ones."""
    return next(each for each in FAMILIES if all(mark in special for mark in each.marks))


def _turns(turn: str, begin: str) -> str:
    """Each turn alike, and how the answer begins."""
    return (
        "{% for m in messages %}"
        + turn
        + "{% endfor %}{% if add_generation_prompt %}"
        + begin
        + "{% endif %}"
    )


def _by_role(system: str, user: str, assistant: str, begin: str) -> str:
    return _turns(
        "{% if m.role == 'system' %}"
        + system
        + "{% elif m.role == 'assistant' %}"
        + assistant
        + "{% else %}"
        + user
        + "{% endif %}",
        begin,
    )


_NO_SYSTEM = "{{ raise_exception('There is no system here') }}"

FAMILIES = (
    Family(
        "Phi-4",
        ("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
        _turns(
            "<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>",
            "<|im_start|>assistant<|im_sep|>",
        ),
        "<|im_end|>",
    ),
    Family(
        "ChatML",
        ("<|im_start|>", "<|im_end|>"),
        _turns(
            "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{{ '\\n' }}",
            "<|im_start|>assistant{{ '\\n' }}",
        ),
        "<|im_end|>",
    ),
    Family(
        "Llama 3",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        _turns(
            "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>{{ '\\n\\n' }}",
        ),
        "<|eot_id|>",
    ),
    Family(
        "Llama 4",
        ("<|header_start|>", "<|header_end|>", "<|eot|>"),
        _turns(
            "<|header_start|>{{ m.role }}<|header_end|>\n\n{{ m.content | trim }}<|eot|>",
            "<|header_start|>assistant<|header_end|>{{ '\\n\\n' }}",
        ),
        "<|eot|>",
    ),
    Family(
        "Gemma",
        ("<start_of_turn>", "<end_of_turn>"),
        _by_role(
            _NO_SYSTEM,
            "<start_of_turn>user\n{{ m.content | trim }}<end_of_turn>{{ '\\n' }}",
            "<start_of_turn>model\n{{ m.content | trim }}<end_of_turn>{{ '\\n' }}",
            "<start_of_turn>model{{ '\\n' }}",
        ),
        "<end_of_turn>",
    ),
    Family(
        "Granite",
        ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
        _turns(
            "<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>{{ '\\n' }}",
            "<|start_of_role|>assistant<|end_of_role|>",
        ),
        "<|end_of_text|>",
    ),
    Family(
        "gpt-oss",
        ("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
        _by_role(
            "<|start|>system<|message|>{{ m.content }}<|end|>",
            "<|start|>user<|message|>{{ m.content }}<|end|>",
            "<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>",
            "<|start|>assistant<|channel|>final<|message|>",
        ),
    ),
    Family(
        "DeepSeek",
        ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
        _by_role(
            "{{ m.content }}",
            "<｜User｜>{{ m.content }}",
            "<｜Assistant｜>{{ m.content }}<｜end▁of▁sentence｜>",
            "<｜Assistant｜>",
        ),
        "<｜end▁of▁sentence｜>",
    ),
    Family(
        "Command R",
        (
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|SYSTEM_TOKEN|>",
            "<|USER_TOKEN|>",
            "<|CHATBOT_TOKEN|>",
        ),
        _by_role(
            "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{{ m.content }}<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{{ m.content }}<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{{ m.content }}<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        ),
        "<|END_OF_TURN_TOKEN|>",
    ),
    Family(
        "Mistral",
        ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]"),
        _by_role(
            "[SYSTEM_PROMPT]{{ m.content }}[/SYSTEM_PROMPT]",
            "[INST]{{ m.content }}[/INST]",
            "{{ m.content }}{{ eos_token }}",
            "",
        ),
    ),
    Family(
        "Mistral",
        ("[INST]", "[/INST]"),
        _by_role(
            _NO_SYSTEM,
            "[INST] {{ m.content }}[/INST]",
            " {{ m.content }}{{ eos_token }}",
            "",
        ),
    ),
    Family(
        "Phi-3",
        ("<|user|>", "<|assistant|>", "<|end|>"),
        _turns("<|{{ m.role }}|>\n{{ m.content }}<|end|>{{ '\\n' }}", "<|assistant|>{{ '\\n' }}"),
        "<|end|>",
    ),
    Family(
        "GLM-4",
        ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"),
        "[gMASK]<sop>" + _turns("<|{{ m.role }}|>\n{{ m.content }}", "<|assistant|>{{ '\\n' }}"),
        "<|user|>",
    ),
    Family(
        "Zephyr",
        ("<|user|>", "<|assistant|>"),
        _turns("<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n", "<|assistant|>{{ '\\n' }}"),
    ),
    Family(
        "plain text",
        (),
        _by_role(
            "{{ m.content }}\n\n",
            "User: {{ m.content }}\n\n",
            "Assistant: {{ m.content }}\n\n",
            "Assistant:",
        ),
        stops=("\nUser:",),
    ),
)
