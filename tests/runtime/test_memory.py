"""Main memory within control groups, as they look inside and outside of containers."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from rbee.runtime.memory import MainMemory, main_memory, within_groups

GB = 1_000_000_000
MACHINE = MainMemory(16 * GB, 10 * GB)
V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw"
V1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
UNLIMITED = 9223372036854771712


class Machine:
    """Its files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: object) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def process(self, groups: str, *mounts: str) -> None:
        self.write("/proc/self/cgroup", groups)
        self.write(
            "/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda rw\n" + "\n".join(mounts)
        )

    def group(self, path: str, limit: object, current: int = 0, unused: int = 0) -> None:
        folder = f"/sys/fs/cgroup{path}"
        self.write(f"{folder}/memory.max", limit)
        self.write(f"{folder}/memory.current", current)
        self.write(f"{folder}/memory.stat", f"anon 5\nfile 7\ninactive_file {unused}")

    def first_group(self, path: str, limit: int, usage: int = 0, unused: int = 0) -> None:
        folder = f"/sys/fs/cgroup/memory{path}"
        self.write(f"{folder}/memory.limit_in_bytes", limit)
        self.write(f"{folder}/memory.usage_in_bytes", usage)
        self.write(f"{folder}/memory.stat", f"cache 9\ntotal_inactive_file {unused}")

    def memory(self) -> MainMemory:
        return within_groups(MACHINE, self.root / "proc/self", self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_control_groups_it_is_the_machines(machine: Machine) -> None:
    assert machine.memory() == MACHINE


def test_a_group_without_a_limit_limits_nothing(machine: Machine) -> None:
    machine.process("0::/user.slice/shell", V2)
    machine.group("/user.slice/shell", "max", 3 * GB)
    machine.group("/user.slice", "max", 3 * GB)
    assert machine.memory() == MACHINE


def test_a_limit_is_all_there_is_and_what_is_used_of_it_is_not_available(machine: Machine) -> None:
    machine.process("0::/system.slice/rbee.service", V2)
    machine.group("/system.slice/rbee.service", 4 * GB, 3 * GB, unused=GB)
    assert machine.memory() == MainMemory(4 * GB, 2 * GB)


def test_what_was_read_of_files_can_be_had_back_whether_it_was_used_of_late_or_not(
    machine: Machine,
) -> None:
    """As free(1) and lxcfs count."""
    machine.process("0::/unit", V2)
    machine.group("/unit", 4 * GB, 3 * GB, unused=GB)
    kept = f"active_file {GB}\nslab_reclaimable {GB // 4}\nslab {GB}"
    machine.write("/sys/fs/cgroup/unit/memory.stat", f"anon 5\ninactive_file {GB}\n{kept}")
    assert machine.memory() == MainMemory(4 * GB, 3 * GB + GB // 4)


def test_the_limit_of_a_group_around_ones_own_counts(machine: Machine) -> None:
    machine.process("0::/pod/container/worker", V2)
    machine.group("/pod/container/worker", "max", GB)
    machine.group("/pod/container", 8 * GB, 2 * GB)
    machine.group("/pod", 5 * GB, 4 * GB)
    assert machine.memory() == MainMemory(5 * GB, GB)


def test_the_smaller_of_two_limits_is_the_total_and_the_tighter_one_says_what_is_free(
    machine: Machine,
) -> None:
    machine.process("0::/pod/container", V2)
    machine.group("/pod/container", 3 * GB, GB)
    machine.group("/pod", 6 * GB, 5 * GB + GB // 2)
    assert machine.memory() == MainMemory(3 * GB, GB // 2)


def test_a_container_sees_its_group_as_the_root(machine: Machine) -> None:
    machine.process("0::/", V2)
    machine.group("", 2 * GB, GB)
    assert machine.memory() == MainMemory(2 * GB, GB)


def test_memory_high_is_a_limit_too(machine: Machine) -> None:
    machine.process("0::/unit", V2)
    machine.group("/unit", "max", GB)
    machine.write("/sys/fs/cgroup/unit/memory.high", 3 * GB)
    assert machine.memory() == MainMemory(3 * GB, 2 * GB)


def test_version_1(machine: Machine) -> None:
    machine.process("4:memory:/docker/abc\n1:cpu:/\n0::/", V1)
    machine.first_group("/docker/abc", 4 * GB, 2 * GB, unused=GB)
    machine.first_group("/docker", UNLIMITED, 9 * GB)
    machine.first_group("", UNLIMITED, 9 * GB)
    assert machine.memory() == MainMemory(4 * GB, 3 * GB)


def test_version_1_in_a_container_without_a_namespace(machine: Machine) -> None:
    """The process knows its path on the host, of which the container has mounted its own part."""
    machine.process("4:cpu,memory:/docker/abc", V1.replace(" / ", " /docker/abc ", 1))
    machine.first_group("", 4 * GB, GB)
    assert machine.memory() == MainMemory(4 * GB, 3 * GB)


def test_what_is_used_beyond_a_limit_leaves_nothing(machine: Machine) -> None:
    machine.process("0::/unit", V2)
    machine.group("/unit", GB, 2 * GB)
    assert machine.memory() == MainMemory(GB, 0)


@pytest.mark.parametrize("text", ["", "0", "0::", "nonsense", "0::/../../other"])
def test_what_cannot_be_read_limits_nothing(machine: Machine, text: str) -> None:
    machine.process(text, "nonsense", V2)
    assert machine.memory() == MACHINE


def test_this_machine_has_no_more_than_the_system_says() -> None:
    found, most = main_memory(), psutil.virtual_memory()
    assert 0 < found.available <= found.total <= most.total
