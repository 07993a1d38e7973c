"""Groups of the kernel, where the harness may make them."""

from pathlib import Path

import pytest

from harness.world import control_group


def test_without_control_groups_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(control_group, "_OWN", tmp_path / "missing")
    assert control_group.enter("rbee-none") is None
    assert not control_group.can_be_made()
