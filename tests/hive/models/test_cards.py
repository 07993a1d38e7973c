"""What the headers of this node's models tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from rbee.gguf.capabilities import capabilities
from rbee.gguf.reader import read
from rbee.hive.models.cards import Cards
from rbee.hive.models.folder import Folder
from rbee.hive.models.inventory import Inventory
from rbee.runtime.narration import Narrator
from rbee.worker.model.tool_formats.families import REASONINGS

BUNDLED = "bundled:smollm2-135m-instruct"


def model(path: Path, template: str = "", pools: bool = False, layers: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(8)
    writer.add_token_list(["a", "b"])
    if template:
        writer.add_chat_template(template)
    if pools:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tensor("token_embd.weight", np.zeros((2, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
async def inventory(tmp_path: Path) -> AsyncIterator[Inventory]:
    narrator = Narrator(lambda _: None)
    made = Inventory(tmp_path / "models.db", Folder(tmp_path / "models"), narrator)
    yield made
    await made.close()


async def test_every_whole_model_and_the_bundled_one_has_a_card(
    inventory: Inventory, tmp_path: Path
) -> None:
    path = model(tmp_path / "models" / "own" / "repo" / "m-q8_0.gguf", "{{ tools }}")
    (path.parent / "broken-q8_0.gguf").write_bytes(b"GGUF nothing")
    elsewhere = model(tmp_path / "other.gguf")
    cards = Cards(inventory)
    found = {card.reference: card for card in await cards.cards({"file:/other": elsewhere})}
    assert set(found) == {"hf:own/repo/m-q8_0.gguf", BUNDLED, "file:/other"}
    card = found["hf:own/repo/m-q8_0.gguf"]
    assert (card.architecture, card.parameters, card.context_length) == ("llama", 16, 512)
    assert (card.quantization, card.embedding_length) == ("Q8_0", 8)
    assert card.capabilities == ["completion", "tools"]
    assert found[BUNDLED].parameters == 134_515_008


async def test_a_file_that_has_changed_is_read_again(inventory: Inventory, tmp_path: Path) -> None:
    path = model(tmp_path / "m.gguf")
    cards = Cards(inventory)
    before = {card.reference: card for card in await cards.cards({"file:/m": path})}
    model(path, "<think>", layers=2)
    after = {card.reference: card for card in await cards.cards({"file:/m": path})}
    assert before["file:/m"].capabilities == ["completion"]
    assert after["file:/m"].capabilities == ["completion", "thinking"]


async def test_the_metadata_has_the_template_by_itself(
    inventory: Inventory, tmp_path: Path
) -> None:
    found = await Cards(inventory).metadata(model(tmp_path / "m.gguf", "{{ hi }}"))
    assert found.chat_template == "{{ hi }}"
    assert found.fields["llama.context_length"] == 512
    assert not [key for key in found.fields if "chat_template" in key]


def test_what_pools_is_for_vectors(tmp_path: Path) -> None:
    assert capabilities(read(model(tmp_path / "m.gguf", "{{ tools }}", pools=True))) == [
        "embedding"
    ]


@pytest.mark.parametrize("marks", REASONINGS)
def test_a_template_with_the_marks_of_any_family_thinks(tmp_path: Path, marks: object) -> None:
    opens = str(marks.opens)  # type: ignore[attr-defined]
    assert "thinking" in capabilities(read(model(tmp_path / "m.gguf", f"{{{{ 1 }}}}{opens}")))
