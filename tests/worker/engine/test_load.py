"""A model that is split over several files: loaded as one, and it answers as the whole one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract.errors import ModelCorrupt
from rbee.contract.events import Loading
from rbee.worker.engine.load import Load, Loaded
from tests.worker.conftest import settings_of

Open = Callable[..., Any]
Parts = Callable[[int], list[Path]]


@pytest.mark.parametrize("each", [1, 5])
async def test_a_split_model_answers_as_the_whole_one_does(
    desk: Open, noise: Path, split: Parts, each: int
) -> None:
    parts = split(each)
    assert len(parts) == -(-12 // each)
    texts = []
    for path in (noise, parts[0]):
        at = desk(path)
        at.engine.start()
        await at.opened()
        at.let()
        at.begin("x", "abc", max_tokens=30, ignore_eos=True)
        await at.done("x")
        texts.append(at.text("x"))
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 3


@pytest.mark.parametrize("mmap", [True, False])
async def test_progress_goes_over_all_parts(split: Parts, mmap: bool) -> None:
    parts = split(5)
    told: list[Loading] = []
    said: list[str] = []
    load = Load(settings_of(parts[0], context=64, mmap=mmap), told.append, said.append)
    loaded = await asyncio.to_thread(load)
    loaded.free()
    await asyncio.sleep(0)
    size = sum(part.stat().st_size for part in parts)
    assert loaded.header.size_bytes == size
    # The layer's last tensor is the model's last: it is there when the last part has been read.
    assert [(news.layers_loaded, news.layers_total) for news in told] == [(0, 1), (1, 1)]
    assert told[-1].vram_mb == round(size / 1_000_000, 1)
    assert "in 3 files" in said[0]


async def test_a_load_that_lacks_a_part_says_which(split: Parts) -> None:
    parts = split(5)
    parts[1].unlink()
    load = Load(settings_of(parts[0], context=64), lambda _: None, lambda _: None)
    with pytest.raises(ModelCorrupt, match="part 2 of 3 is missing: noise-00002-of"):
        await asyncio.to_thread(load)


@pytest.mark.parametrize(("generates", "batch"), [(True, 512), (False, 600)])
def test_the_context_for_vectors_holds_the_longest_text_and_reads_it_at_once_where_it_must(
    noise: Path, load: Callable[..., Loaded], generates: bool, batch: int
) -> None:
    loaded = msgspec.structs.replace(load(noise), generates=generates)
    context = loaded.embedding_context([[1], [1] * 600, [1, 2]])
    assert (context.tokens, context.batch_size, context.sequences) == (600, batch, 3)
    context.free()
    loaded.free()
