"""The pages that are made from the code are as the code is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.__main__ import all_pages, is_stale

PAGES = all_pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_as_the_code_has_it_each_time(path: Path) -> None:
    text = PAGES[path]()
    assert not is_stale(path, text), "stale: run `python -m pages`"
    assert PAGES[path]() == text


def test_a_change_by_hand_and_a_missing_page_are_stale(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert is_stale(page, "text")
    page.write_text("other", encoding="utf-8")
    assert is_stale(page, "text")
    page.write_text("text", encoding="utf-8")
    assert not is_stale(page, "text")
