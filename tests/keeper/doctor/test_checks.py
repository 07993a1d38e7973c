"""The checks of the doctor: what is wrong, and what to type."""

from __future__ import annotations

import shlex

import msgspec
import pytest

from rbee.contract.nodes import Detected, DeviceMemory
from rbee.contract.registry import NodeCheck
from rbee.keeper.doctor import check_daemons as daemons
from rbee.keeper.doctor import check_files as files
from rbee.keeper.doctor import check_programs as programs
from rbee.keeper.doctor.check_daemons import Daemon, Port
from rbee.keeper.doctor.check_files import ConfigFile, Database, Folder, KeyFile, ModelsFolder
from rbee.keeper.doctor.check_programs import Memory, Program, Units
from rbee.keeper.doctor.findings import Report, fine, problem, warning

GB = 1_000_000_000
GONE = Program(name="queen-rbee", command="q", error="gone")
NAMES = ("rbee-keeper", "queen-rbee", "rbee-hive", "llm-worker-rbee")
ALL = [Program(name=name, command=name, version="0.1.0", on_path=f"/bin/{name}") for name in NAMES]
STATE = Folder(path="/h/.rbee", exists=True, mode=0o700)
KEY = KeyFile(path="/h/.rbee/api_key", named=False, exists=True, mode=0o600)
URL = "http://127.0.0.1:8080"
RUNS = Daemon(url=URL, state="runs", version="0.1.0", pid=7)
RAM = DeviceMemory("cpu", 0, "RAM", 16 * GB, 8 * GB)
CARD = DeviceMemory("cuda", 0, "RTX", 24 * GB, 24 * GB)


def test_a_report_has_a_line_for_each_finding_and_the_counts() -> None:
    found = Report.of([fine("a", "x"), warning("b", "y", "do"), problem("c", "z", "do", None)])
    lines = ["✓ a: x", "! b: y", "  → do", "✗ c: z", "  → do", "1 problem, 1 warning"]
    assert found.text().splitlines() == lines


def test_several_lines_of_a_program_become_one() -> None:
    found = Report.of([problem("a", "it says\n  no\n\nTry again")])
    assert found.text().splitlines() == ["✗ a: it says; no; Try again", "1 problem, 0 warnings"]


def test_a_report_without_findings_counts_nothing() -> None:
    assert Report.of([]).text() == "0 problems, 0 warnings"


def test_a_config_file_that_others_may_write_is_a_warning() -> None:
    found = files.config(ConfigFile(counts="/c d", mode=0o664))
    assert (found.state, found.advice) == ("warning", ["chmod go-w '/c d'"])


def test_the_shadowed_files_are_named() -> None:
    found = files.config(ConfigFile(counts="/a", shadowed=["/b"], mode=0o644))
    assert (found.state, found.said) == ("ok", "/a is read; it hides /b")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_anybody_else_may_read_is_a_problem(mode: int) -> None:
    assert files.key(msgspec.structs.replace(KEY, mode=mode)).state == "problem"


def test_a_key_that_can_be_guessed_is_warned_of() -> None:
    short = msgspec.structs.replace(KEY, lengthen="do")
    assert files.key(short).state == "warning"
    assert files.key(msgspec.structs.replace(short, mode=0o644)).state == "problem"


def test_a_key_that_does_not_exist_yet_is_fine() -> None:
    missing = msgspec.structs.replace(KEY, exists=False, mode=0)
    assert files.key(missing).state == "ok"


def test_a_configured_key_that_does_not_exist_is_a_problem() -> None:
    missing = KeyFile(path="/k", named=True, exists=False, error="gone", advice="find it")
    assert files.key(missing).advice == ["find it"]


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"mode": 0o755}, "chmod 700 /h/.rbee"),
        ({"loose": ["/h/.rbee/models.db"]}, "chmod go-w /h/.rbee/models.db"),
        ({"obstacle": "no", "mine": False}, 'sudo chown -R "$USER" /h/.rbee'),
        ({"obstacle": "no", "mode": 0o500}, "chmod u+rwx /h/.rbee"),
        ({"obstacle": "no"}, "check its owner and its disk: ls -ld /h/.rbee; df /h/.rbee"),
    ],
)
def test_each_fault_of_the_state_folder_has_its_own_advice(
    change: dict[str, object], advice: str
) -> None:
    found = files.state(msgspec.structs.replace(STATE, **change))
    assert (found.state, found.advice) == ("problem", [advice])


def test_a_state_folder_is_fine_also_before_it_exists() -> None:
    assert files.state(STATE).state == "ok"
    assert files.state(Folder(path="/h/.rbee", exists=False)).state == "ok"


@pytest.mark.parametrize("name", ["catalog", "registry"])
def test_a_damaged_database_is_a_problem(name: str) -> None:
    found = files.database(Database(name=name, path="/d", exists=True, damage="noise"))
    assert found.state == "problem"
    assert found.advice[0].startswith("rbee-keeper ")


@pytest.mark.parametrize(("free", "state"), [(GB // 3, "problem"), (GB, "warning"), (9 * GB, "ok")])
def test_a_disk_has_enough_space_or_little_or_too_little(free: int, state: str) -> None:
    found = files.models(ModelsFolder(folder=STATE, free_bytes=free))
    assert [each.state for each in found] == [state]


def test_an_incomplete_download_is_named_with_its_size() -> None:
    facts = ModelsFolder(folder=STATE, free_bytes=9 * GB, partial={"a.gguf": 2_000_000})
    _, found = files.models(facts)
    assert (found.name, found.state) == ("downloads", "warning")
    assert "a.gguf" in found.said
    assert "2 MB" in found.said


def changed(**more: object) -> list[Program]:
    return [*ALL[:3], msgspec.structs.replace(ALL[3], **more)]


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (ALL, "ok", "0.1.0"),
        (changed(version=None, error="gone"), "problem", "llm-worker-rbee: gone"),
        (changed(version="0.2.0"), "problem", "llm-worker-rbee is 0.2.0"),
        ([*changed(version="0.2.0")[2:], GONE], "problem", "llm-worker-rbee is 0.2.0"),
        ([*changed(version="0.2.0")[2:], GONE], "problem", "queen-rbee: q: gone"),
        (changed(on_path=None), "warning", "PATH does not have llm-worker-rbee"),
        (changed(path_version="0.2.0"), "warning", "/bin/llm-worker-rbee is 0.2.0"),
        (changed(path_version="0.1.0"), "ok", "0.1.0"),
    ],
)
def test_all_four_programs_must_be_on_path_in_one_version(
    found: list[Program], state: str, said: str
) -> None:
    one = programs.programs(found, "0.1.0")
    assert one.state == state
    assert said in one.said


def test_llama_cpp_that_does_not_use_a_card_is_a_warning_with_the_command() -> None:
    facts = Detected(
        version="1", hardware=[CARD, RAM], backends=["cpu"], devices={}, advice=["CMAKE_ARGS=…"]
    )
    found = programs.backends(facts)
    assert (found.state, found.advice) == ("warning", ["CMAKE_ARGS=…"])
    assert "RTX" in found.said


def test_llama_cpp_that_does_not_run_is_a_problem() -> None:
    note = "llama.cpp can't be asked what it can use: it is gone"
    facts = Detected(version="1", hardware=[RAM], backends=["cpu"], devices={}, notes=[note])
    assert programs.backends(facts).state == "problem"


@pytest.mark.parametrize(
    ("needed", "largest", "state"),
    [
        (None, 16, "ok"),
        (7.2, 16, "ok"),
        (8.4, 16, "warning"),  # of 8 GB
        (16.8, 16, "problem"),
        (16.8, 24, "ok"),  # on a card
    ],
)
def test_a_model_needs_no_more_than_there_is(
    needed: float | None, largest: int, state: str
) -> None:
    facts = Memory(
        model="m",
        needed=None if needed is None else int(needed * GB),
        free=8 * GB,
        total=16 * GB,
        largest=largest * GB,
    )
    assert programs.memory(facts).state == state


@pytest.mark.parametrize(
    ("name", "state"), [("utf-8", "ok"), ("UTF8", "ok"), ("latin-1", "warning")]
)
def test_a_terminal_that_is_not_utf8_is_a_warning(name: str, state: str) -> None:
    assert programs.terminal(name).state == state


def test_units_are_reported_only_if_there_are_any() -> None:
    assert programs.units([Units([], [], "install")]) == []
    assert programs.units([Units([], ["a"], "install")])[0].state == "ok"
    both = [Units(["b"], ["a"], "install"), Units(["c"], [], "sudo install")]
    assert [each.advice for each in programs.units(both)] == [["install"], ["sudo install"]]


@pytest.mark.parametrize(
    ("found", "state", "advice"),
    [
        (RUNS, "ok", ""),
        (Daemon(url=URL, state="free"), "ok", ""),
        (Daemon(url=URL, state="held"), "problem", "[queen] port"),
        (Daemon(url=URL, state="remote"), "problem", "rbee-keeper daemon start"),
        (Daemon(url=URL, state="unresponsive", pid=7), "problem", "rbee-keeper daemon stop"),
        (msgspec.structs.replace(RUNS, refuses_key=True), "problem", "kill 7"),
        (msgspec.structs.replace(RUNS, is_stalled=True), "problem", "rbee-keeper daemon stop"),
        (msgspec.structs.replace(RUNS, mismatch="old", advice="pip"), "problem", "daemon stop"),
    ],
)
def test_each_state_of_the_queen_has_its_finding(found: Daemon, state: str, advice: str) -> None:
    one = daemons.queen(found)
    assert one.state == state
    assert advice in " ".join(one.advice)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (RUNS, "ok"),
        (Daemon(url=URL, state="free"), "ok"),
        (Daemon(url=URL, state="held", holder="x"), "warning"),
        (Daemon(url=URL, state="unresponsive", pid=7), "problem"),
        (Daemon(url=URL, state="remote"), "problem"),
        (Daemon(url=URL, state="runs", refuses_key=True), "problem"),
        (msgspec.structs.replace(RUNS, mismatch="old"), "problem"),
    ],
)
def test_each_state_of_the_hive_has_its_finding(found: Daemon, state: str) -> None:
    assert daemons.hive(found).state == state


def test_each_state_of_the_worker_ports_has_its_finding() -> None:
    states = [
        daemons.workers(port).state for port in (Port("a", True), Port("a", False, "w", True))
    ]
    assert states == ["ok", "ok"]
    assert daemons.workers(Port("a:1", False, "nginx")).state == "warning"
    assert daemons.workers(Port("a:1", False, remote=True)).state == "problem"


def test_an_address_of_another_machine_is_not_reported_as_held() -> None:
    found = daemons.hive(Daemon(url="http://256.1.1.1:9200", state="remote"))
    assert "which is not an address of this machine" in found.said
    assert "[hive] host" in found.advice[0]


def test_a_path_is_one_word_of_the_advised_command() -> None:
    paths = ["/home/a b/x.pid", "/home/o'c/y.pid"]
    assert shlex.split(daemons.pid_files(paths).advice[0]) == ["rm", *paths]


@pytest.mark.parametrize(
    ("group", "advice"),
    [
        (None, "sudo chgrp -R rbee '/m m' && sudo find '/m m' -type d -exec chmod g+rwxs {} +"),
        ("people", 'sudo usermod --append --groups people "$USER"'),
    ],
)
def test_a_models_folder_of_another_account_is_shared_and_not_taken(
    group: str | None, advice: str
) -> None:
    theirs = Folder(path="/m m", exists=True, mine=False, group=group, obstacle="no")
    [found] = files.models(ModelsFolder(folder=theirs, free_bytes=9 * GB))
    assert advice in found.advice[0]
    assert "chown" not in " ".join(found.advice)


@pytest.mark.parametrize(
    ("ahead", "state"),
    [(None, None), (0.5, None), (-4.9, None), (6, "warning"), (-60, "warning"), (-7200, "problem")],
)
def test_a_clock_may_be_wrong_by_a_little(ahead: float | None, state: str | None) -> None:
    check = NodeCheck(node="n", hive="running", version="0.1.0", clock_ahead_s=ahead)
    states = [each.state for each in daemons.nodes([check]) if each.name == "clock of n"]
    assert states == ([] if state is None else [state])


def test_a_node_that_can_not_be_reached_is_a_problem_with_its_advice() -> None:
    check = NodeCheck(node="n", hive="unreachable", code="X", error="refused", advice="ssh n")
    (found,) = daemons.nodes([check])
    assert (found.name, found.state, found.advice) == ("node n", "problem", ["ssh n"])


def test_without_nodes_there_is_nothing_to_check() -> None:
    assert [each.state for each in daemons.nodes([])] == ["ok"]
