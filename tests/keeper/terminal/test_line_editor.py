"""The line editor of a chat, and what it remembers."""

from __future__ import annotations

from pathlib import Path

from rbee.keeper.terminal.line_editor import LineEditor


def test_a_history_that_can_not_be_written_any_more_ends_no_chat(tmp_path: Path) -> None:
    """As on a disk that has become full."""
    history = tmp_path / "history"
    editor = LineEditor(history, lambda _: False)
    editor.remember("One?")
    assert "One?" in history.read_text()
    history.unlink()
    history.mkdir()
    editor.remember("Two?")
