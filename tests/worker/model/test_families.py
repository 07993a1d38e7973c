"""Models without a chat template: the family's own, by the vocabulary."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rbee.worker.model.chat_template import ChatTemplate
from rbee.worker.model.templates.families import FAMILIES, Family, family
from rbee.worker.model.templates.renderers import Renderers

SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Ho"},
    {"role": "user", "content": "Bye"},
]


@pytest.fixture
async def renderers() -> AsyncIterator[Renderers]:
    found = Renderers()
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("tokens", "prompt"),
    [
        (
            ["<|im_start|>", "<|im_end|>"],
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nHo<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
        (
            ["<|im_start|>", "<|im_end|>", "<|im_sep|>"],
            "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|>"
            "<|im_start|>assistant<|im_sep|>Ho<|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|>"
            "<|im_start|>assistant<|im_sep|>",
        ),
        (
            ["<start_of_turn>", "<end_of_turn>"],
            "<start_of_turn>user\nBe brief.\nHi<end_of_turn>\n<start_of_turn>model\nHo<end_of_turn>"
            "\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
            "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHo<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (["[INST]", "[/INST]"], "[INST] Be brief.\nHi[/INST] Ho</s>[INST] Bye[/INST]"),
        (
            ["[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"],
            "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Ho</s>[INST]Bye[/INST]",
        ),
        (
            ["<|user|>", "<|assistant|>", "<|end|>"],
            "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHo<|end|>\n"
            "<|user|>\nBye<|end|>\n<|assistant|>\n",
        ),
        (
            ["<|user|>", "<|assistant|>"],
            "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHo</s>\n"
            "<|user|>\nBye</s>\n<|assistant|>\n",
        ),
        (
            ["<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"],
            "Be brief.<｜User｜>Hi<｜Assistant｜>Ho<｜end▁of▁sentence｜>"
            "<｜User｜>Bye<｜Assistant｜>",
        ),
        # One of two marks is not enough.
        (["<|im_end|>"], "Be brief.\n\nUser: Hi\n\nAssistant: Ho\n\nUser: Bye\n\nAssistant:"),
    ],
)
async def test_a_conversation_has_the_marks_of_the_family(
    renderers: Renderers, tokens: list[str], prompt: str
) -> None:
    template = ChatTemplate({"default": family(tokens).source}, {"eos_token": "</s>"}, renderers)
    assert await template.render(SAID) == prompt


@pytest.mark.parametrize("each", FAMILIES, ids=lambda each: each.name)
async def test_each_family_shows_every_turn_and_writes_no_marks_but_its_own(
    renderers: Renderers, each: Family
) -> None:
    template = ChatTemplate({"default": each.source}, {"eos_token": "</s>"}, renderers)
    prompt = await template.render(SAID)
    places = [prompt.index(turn["content"]) for turn in SAID]
    assert places == sorted(places)
    others = {mark for other in FAMILIES for mark in other.marks} - set(each.marks)
    assert [mark for mark in others if mark in prompt and mark != "<|system|>"] == []
    assert each.end in (*each.marks, "")
