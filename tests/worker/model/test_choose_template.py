"""The chat template of a model: its own, or one for its vocabulary, which is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from harness.model_files.synthetic import write_model
from rbee.worker.engine.load import Load
from tests.worker.conftest import settings_of
from tests.worker.engine.conftest import write_model as write_alphabet


async def test_a_vocabulary_with_the_marks_of_chatml_is_asked_in_chatml(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.gguf", 1, width=64, hidden=64, template="")
    said: list[str] = []
    loaded = await asyncio.to_thread(
        Load(settings_of(model, context=64), lambda _: None, said.append)
    )
    await asyncio.sleep(0)
    assert "no chat template" in said[1] and "ChatML" in said[1]
    assert "<|im_start|>" in loaded.chat.source()
    [end] = loaded.model.tokenizer.tokenize("<|im_end|>", 9)
    assert loaded.model.is_end(end)
    loaded.free()


async def test_a_vocabulary_without_marks_is_asked_in_plain_text(tmp_path: Path) -> None:
    write_alphabet(tmp_path / "m.gguf", noise=False)
    said: list[str] = []
    model = tmp_path / "m.gguf"
    loaded = await asyncio.to_thread(
        Load(settings_of(model, context=64), lambda _: None, said.append)
    )
    await asyncio.sleep(0)
    assert len(said) == 2 and "plain text" in said[1]
    assert "<|" not in loaded.chat.source()
    assert loaded.chat.stops == ("\nUser:",)
    loaded.free()


async def test_a_model_with_a_template_of_its_own_is_not_spoken_of(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.gguf", 1, width=64, hidden=64, template="{{ 'mine' }}")
    said: list[str] = []
    loaded = await asyncio.to_thread(
        Load(settings_of(model, context=64), lambda _: None, said.append)
    )
    await asyncio.sleep(0)
    assert len(said) == 1
    assert loaded.chat.source() == "{{ 'mine' }}"
    loaded.free()


async def test_a_template_for_tools_is_found_by_its_name(tmp_path: Path) -> None:
    templates = [
        {"name": "default", "template": "{{ 'mine' }}"},
        {"name": "tool_use", "template": "{{ 'with tools' }}"},
        {"name": "rag", "template": "{{ 'other' }}"},
    ]
    write_alphabet(tmp_path / "m.gguf", noise=False, templates=templates)
    model = tmp_path / "m.gguf"
    loaded = await asyncio.to_thread(
        Load(settings_of(model, context=64), lambda _: None, lambda _: None)
    )
    assert loaded.chat.source() == "{{ 'mine' }}"
    assert loaded.chat.source(with_tools=True) == "{{ 'with tools' }}"
    loaded.free()


async def test_a_token_can_be_made_an_end(tmp_path: Path) -> None:
    write_alphabet(tmp_path / "m.gguf", noise=False)
    loaded = await asyncio.to_thread(
        Load(settings_of(tmp_path / "m.gguf", context=64), lambda _: None, lambda _: None)
    )
    assert not loaded.model.is_end(5)
    loaded.model.end_with(5)
    assert loaded.model.is_end(5) and 5 in loaded.model.ends()
    loaded.free()
