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


@pytest.mark.skipif(not control_group.can_be_made(), reason="control groups can't be made")
def test_a_trial_leaves_nothing() -> None:
    before = Path("/proc/self/cgroup").read_text()
    assert control_group.can_be_made()
    assert Path("/proc/self/cgroup").read_text() == before


def test_a_group_that_can_t_be_entered_can_t_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a folder where others may write, but no group moves."""
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "mountinfo").write_text(f"1 2 0:3 / {tmp_path} rw - cgroup2 cgroup rw\n")
    monkeypatch.setattr(control_group, "_OWN", tmp_path / "cgroup")
    monkeypatch.setattr(control_group, "_MOUNTS", tmp_path / "mountinfo")
    monkeypatch.setattr(control_group, "_move_to", _refuse)
    assert not control_group.can_be_made()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cgroup", "mountinfo"]


def _refuse(folder: Path) -> None:
    raise PermissionError(folder)
