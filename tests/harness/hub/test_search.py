"""The harness's Hub answers the search of the real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from harness.hub.hub import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    one = Hub("127.0.0.1", 0)
    for name, files in {
        "lab/tiny": "m.gguf",
        "lab/Tiny-two": "m.gguf",
        "lab/tiny-x": "a.bin",
    }.items():
        one.add_repository(name, {files: file})
    one.repositories["lab/Tiny-two"].downloads = 5
    yield one
    one.close()


def found(hub: Hub, words: str, **more: object) -> list[tuple[str, int | None]]:
    models = HfApi(endpoint=hub.url, token=False).list_models(search=words, filter="gguf", **more)
    return [(each.id, each.downloads) for each in models]


def test_repositories_with_gguf_are_found_by_words_and_ordered_by_downloads(hub: Hub) -> None:
    assert found(hub, "TINY", sort="downloads") == [("lab/Tiny-two", 5), ("lab/tiny", 0)]
    assert found(hub, "two lab") == [("lab/Tiny-two", 5)]
    assert found(hub, "tiny", sort="downloads", limit=1) == [("lab/Tiny-two", 5)]
    assert found(hub, "none") == []
    assert hub.log.searches()[-1].query == {"search": "none", "filter": "gguf"}
